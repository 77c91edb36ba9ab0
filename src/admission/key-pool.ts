// The upstream's keys and the models on them: their gates, what was learned of their limits, and whether they serve.
// Decides which key a call goes to; knows no queue and no user.

import { compilePattern } from "../base/name-pattern.ts";
import { Gates } from "./gates.ts";
import { Health } from "./health.ts";
import { LearnedConcurrency, LearnedPace } from "./learned-limit.ts";
import type { AdmissionLimits, Blocker, GateLimits, KeyLimits, LaneState } from "./scheduler.ts";

/** A model on a key: GLM counts calls per account and model. */
export class KeyModel {
  readonly model: string;
  readonly gates = new Gates();
  readonly learned = new LearnedConcurrency();
  readonly health = new Health();
  ceiling = Number.POSITIVE_INFINITY;

  constructor(model: string) {
    this.model = model;
  }

  configure(limits: GateLimits | null, guardMs: number): void {
    this.ceiling = limits?.concurrencyMax ?? Number.POSITIVE_INFINITY;
    this.gates.configure(limits ?? unlimited, guardMs, 1);
    this.applyLearned();
  }

  applyLearned(): void {
    this.gates.concurrencyMax = Math.min(this.ceiling, this.learned.limit ?? Number.POSITIVE_INFINITY);
  }

  /** Nothing would be lost if it was forgotten. */
  isForgettable(now: number): boolean {
    return this.gates.isIdle(now) && this.learned.limit === null && this.health.isHealthy;
  }
}

export class UpstreamKey {
  limits: KeyLimits;
  readonly gates = new Gates();
  readonly pace = new LearnedPace();
  readonly health = new Health();
  /** Those with calls in flight, limits or something learned. */
  readonly models = new Map<string, KeyModel>();
  /** Configured, without the learned part. */
  guardMs = 0;
  #serves: (model: string) => boolean = () => true;

  constructor(limits: KeyLimits) {
    this.limits = limits;
  }

  configure(limits: KeyLimits, guardMs: number): void {
    this.limits = limits;
    this.guardMs = guardMs;
    const patterns = limits.models?.map(compilePattern);
    this.#serves = patterns ? (model) => patterns.some((matches) => matches(model)) : () => true;
    this.applyPace();
  }

  applyPace(): void {
    this.gates.configure(this.limits, this.guardMs + this.pace.guardMs, this.pace.slowdown);
  }

  serves(model: string): boolean {
    return this.#serves(model);
  }
}

const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const compiledMax = 1_000;
const retiredMax = 100;
/** Models on a key of which something is remembered: clients may send any name. */
const modelsMax = 1_000;

export interface Choice {
  readonly key: UpstreamKey;
  readonly keyModel: KeyModel | undefined;
}

export class KeyPool {
  keys: UpstreamKey[] = [];
  /** Taken out of the configuration, the newest first: should one come back, its calls and sends still count. */
  #retired: UpstreamKey[] = [];
  #limits: AdmissionLimits;
  /** Whose tokens are kept for calls that are next, until `keepNothing`. */
  readonly #kept = new Set<Gates>();
  #modelRules: { matches: (model: string) => boolean; limits: GateLimits }[] = [];
  #limitsByModel = new Map<string, GateLimits | null>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.configure(limits);
  }

  /** Keys keep their state by name. An operator who changes something wants another try: blocks end. */
  configure(limits: AdmissionLimits): void {
    this.#limits = limits;
    this.#limitsByModel = new Map();
    this.#modelRules = limits.models.map((rule) => ({ matches: compilePattern(rule.pattern), limits: rule }));
    const before = [...this.keys, ...this.#retired];
    this.keys = limits.keys.map((keyLimits) => {
      const key = before.find(({ limits: { name } }) => name === keyLimits.name) ?? new UpstreamKey(keyLimits);
      key.configure(keyLimits, limits.sendGuardMs);
      key.health.reset();
      for (const keyModel of key.models.values()) {
        keyModel.configure(this.limitsOf(keyModel.model), limits.sendGuardMs);
        keyModel.health.reset();
      }
      return key;
    });
    this.#retired = before.filter((key) => !this.keys.includes(key)).slice(0, retiredMax);
  }

  /** Whether calls for the model may have to wait where others need not, so that they queue apart. */
  isApart(model: string): boolean {
    if (this.limitsOf(model) !== null || !this.serves(model)) return true;
    for (const key of this.keys) {
      const keyModel = key.models.get(model);
      if (keyModel && (keyModel.learned.limit !== null || !keyModel.health.isHealthy)) return true;
      if (this.keys.length > 1 && key.limits.models !== null) return true;
    }
    return false;
  }

  /** Whether any key is for it at all. */
  serves(model: string): boolean {
    return this.keys.some((key) => key.serves(model));
  }

  /** The key with the most room that may start a call now; null: none. */
  choose(model: string, tokens: number, now: number): Choice | null {
    let best: Choice | null = null;
    let bestRoom = Number.NEGATIVE_INFINITY;
    for (const key of this.keys) {
      if (this.#openAt(key, model, tokens, now) > now) continue;
      const room = 1 - key.gates.inFlight / Math.min(key.gates.concurrencyMax, Number.MAX_SAFE_INTEGER);
      if (best && room <= bestRoom) continue;
      best = { key, keyModel: key.models.get(model) };
      bestRoom = room;
    }
    return best;
  }

  /** When the first key may start such a call, if nothing else changes. */
  openAt(model: string, tokens: number, now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const key of this.keys) at = Math.min(at, this.#openAt(key, model, tokens, now));
    return at;
  }

  /** The same, but for the keys' own tokens: who is next in fair order waits for them, and a key is kept for it. */
  laneOpenAt(model: string, tokens: number, now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const key of this.keys) at = Math.min(at, this.#openAt(key, model, tokens, now, 0));
    return at;
  }

  /**
   * A call that is next lacks nothing but a key's tokens: of the keys like that, the one that has them first starts
   * nothing else, or small calls would take them one by one. The other keys go on.
   */
  keepKey(model: string, tokens: number, now: number): void {
    const lacking = this.keys.filter((key) => this.#openAt(key, model, tokens, now, 0) <= now);
    this.#keepFirst(lacking, tokens, now);
  }

  /** The same for the model's own tokens: another key may have enough for calls behind. False: no key is like that. */
  keepModel(model: string, tokens: number, now: number): boolean {
    if (this.keys.length === 1) return false;
    const lacking = this.keys.filter((key) => this.#openAt(key, model, 0, now) <= now);
    return this.#keepFirst(
      lacking.flatMap((key) => key.models.get(model) ?? []),
      tokens,
      now,
    );
  }

  #keepFirst(scopes: readonly { readonly gates: Gates }[], tokens: number, now: number): boolean {
    const times = scopes.map(({ gates }) => gates.openAt(now, tokens));
    const first = scopes[times.indexOf(Math.min(...times))];
    if (first) this.#kept.add(first.gates);
    return first !== undefined;
  }

  keepNothing(): void {
    this.#kept.clear();
  }

  /** When a key as a whole may start anything: before it, no lane has to be looked at. */
  anyOpenAt(now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const key of this.keys) at = Math.min(at, this.#keyOpenAt(key, 0, now));
    return at;
  }

  #openAt(key: UpstreamKey, model: string, tokens: number, now: number, keyTokens = tokens): number {
    if (!key.serves(model)) return Number.POSITIVE_INFINITY;
    const at = this.#limitsOpenAt(key, model, tokens, now, keyTokens);
    // It is not a matter of time as long as it is kept. What opens later may be for one before whom it is kept for.
    return at <= now && this.#isKept(key, model) ? Number.POSITIVE_INFINITY : at;
  }

  #isKept(key: UpstreamKey, model: string): boolean {
    if (this.#kept.size === 0) return false;
    const keyModel = key.models.get(model);
    return this.#kept.has(key.gates) || (keyModel !== undefined && this.#kept.has(keyModel.gates));
  }

  #limitsOpenAt(key: UpstreamKey, model: string, tokens: number, now: number, keyTokens: number): number {
    const keyAt = this.#keyOpenAt(key, keyTokens, now);
    const keyModel = key.models.get(model);
    // Nothing of it counts yet, so no limit of its own can be reached.
    if (!keyModel) return keyAt;
    const { gates, learned, health, ceiling } = keyModel;
    if (gates.inFlight >= gates.concurrencyMax && gates.inFlight < ceiling) {
      // The learned limit alone holds it back, and that rises with time.
      return Math.max(keyAt, learned.risesAt(this.slotMsOf(model)), health.openAt(now));
    }
    return Math.max(keyAt, gates.openAt(now, tokens), health.openAt(now));
  }

  #keyOpenAt(key: UpstreamKey, tokens: number, now: number): number {
    return Math.max(key.gates.openAt(now, tokens), key.health.openAt(now));
  }

  /** Typical time in flight of the model's calls, for how soon a learned limit may rise. */
  slotMsOf: (model: string) => number = () => 0;

  /** Lets learned limits rise whose time has come while they hold calls back. */
  relax(model: string, now: number, onChange: (key: UpstreamKey, keyModel: KeyModel | null) => void): void {
    for (const key of this.keys) {
      if (key.pace.quickensAt <= now) {
        key.pace.quicken(now);
        key.applyPace();
        onChange(key, null);
      }
      const keyModel = key.models.get(model);
      if (!keyModel || keyModel.learned.limit === null || !this.#holdsBack(keyModel, now)) continue;
      keyModel.learned.raise(keyModel.ceiling, now);
      keyModel.applyLearned();
      onChange(key, keyModel);
    }
  }

  /** The learned limit alone is in the way, and its time has come. */
  #holdsBack({ gates, learned, model }: KeyModel, now: number): boolean {
    return gates.inFlight >= gates.concurrencyMax && learned.risesAt(this.slotMsOf(model)) <= now;
  }

  modelOn(key: UpstreamKey, model: string): KeyModel {
    let keyModel = key.models.get(model);
    if (!keyModel) {
      if (key.models.size >= modelsMax) this.#forgetModels(key);
      keyModel = new KeyModel(model);
      keyModel.configure(this.limitsOf(model), this.#limits.sendGuardMs);
      key.models.set(model, keyModel);
    }
    return keyModel;
  }

  /** Harmless for a model of which something is still to be known. */
  forget(key: UpstreamKey, keyModel: KeyModel, now: number): void {
    if (keyModel.isForgettable(now) && this.limitsOf(keyModel.model) === null) key.models.delete(keyModel.model);
  }

  #forgetModels(key: UpstreamKey): void {
    for (const [model, keyModel] of key.models) if (keyModel.gates.inFlight === 0) key.models.delete(model);
  }

  /** What is configured for the model on each key, or null. */
  limitsOf(model: string): GateLimits | null {
    if (this.#modelRules.length === 0) return null;
    const known = this.#limitsByModel.get(model);
    if (known !== undefined) return known;
    if (this.#limitsByModel.size >= compiledMax) this.#limitsByModel.clear();
    const limits = this.#modelRules.find(({ matches }) => matches(model))?.limits ?? null;
    this.#limitsByModel.set(model, limits);
    return limits;
  }

  /** Starts per millisecond of all keys that serve the model; Infinity: no bound. */
  ratePerMs(model: string): number {
    return this.#sum(model, (key) => key.gates.rate / (1_000 * key.pace.slowdown));
  }

  /** Calls in flight that are allowed now, all keys together; Infinity: no bound. */
  concurrencyOf(model: string): number {
    return this.#sum(model, (key) => {
      const ofModel = key.models.get(model)?.gates.concurrencyMax ?? this.limitsOf(model)?.concurrencyMax;
      return Math.min(key.gates.concurrencyMax, ofModel ?? Number.POSITIVE_INFINITY);
    });
  }

  tokensPerMs(model: string): number {
    return this.#sum(model, (key) => (key.limits.tokensPerMinute ?? Number.POSITIVE_INFINITY) / 60_000);
  }

  #sum(model: string, read: (key: UpstreamKey) => number): number {
    let sum = 0;
    for (const key of this.keys) if (key.serves(model)) sum += read(key);
    return sum === 0 ? Number.POSITIVE_INFINITY : sum;
  }

  /** The block that a call can't outlive on any key; null: there is hope. */
  blockBeyond(model: string, deadlineAt: number): Health | null {
    let found: Health | null = null;
    for (const key of this.keys) {
      if (!key.serves(model)) continue;
      const healths = [key.health, key.models.get(model)?.health];
      const block = healths.find((health) => health && health.refusal !== null && health.blockedUntil >= deadlineAt);
      if (!block) return null;
      if (!found || block.blockedUntil < found.blockedUntil) found = block;
    }
    return found;
  }

  /** What keeps a call from starting, by the key that is nearest to it; null: nothing of the upstream's. */
  findBlocker(model: string, tokens: number, now: number): Blocker | null {
    let blocker: Blocker | null = null;
    for (const key of this.keys) {
      if (!key.serves(model)) continue;
      const keyModel = key.models.get(model);
      const ofModel =
        keyModel && (keyModel.health.openAt(now) > now ? "hold" : keyModel.gates.findBlocker(now, tokens));
      const ofKey = key.health.openAt(now) > now ? "hold" : key.gates.findBlocker(now, tokens);
      if (!ofModel && !ofKey) return null;
      blocker ??= ofModel ? `model_${ofModel}` : ofKey;
    }
    return blocker;
  }

  lanes(now: number): LaneState[] {
    return this.keys.flatMap((key) => {
      const { gates, health, pace } = key;
      const state: LaneState = {
        upstreamKey: key.limits.name,
        model: null,
        running: gates.inFlight,
        concurrencyMax: toBound(gates.concurrencyMax),
        learnedConcurrency: null,
        slowdown: pace.slowdown,
        guardMs: key.guardMs + pace.guardMs,
        ...describeHealth(health, now),
      };
      const ofModels = Array.from(
        key.models.values(),
        (keyModel): LaneState => ({
          upstreamKey: key.limits.name,
          model: keyModel.model,
          running: keyModel.gates.inFlight,
          concurrencyMax: toBound(keyModel.gates.concurrencyMax),
          learnedConcurrency: keyModel.learned.limit,
          slowdown: 1,
          guardMs: key.guardMs,
          ...describeHealth(keyModel.health, now),
        }),
      );
      return [state, ...ofModels];
    });
  }
}

function describeHealth(health: Health, now: number) {
  return {
    blockedMs: Math.max(0, health.blockedUntil - now) || 0,
    blockedBecause: health.because,
    isDisabled: health.refusal !== null,
  };
}

function toBound(value: number): number | null {
  return value === Number.POSITIVE_INFINITY ? null : value;
}

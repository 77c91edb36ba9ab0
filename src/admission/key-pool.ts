// The upstream's keys, their accounts and the models on these: their gates, what was learned of their limits, and
// whether they serve. Decides which key a call goes to; knows no queue and no user.

import { compilePattern } from "../base/name-pattern.ts";
import { anywhere, type Destination } from "./destination.ts";
import type { Gates } from "./gates.ts";
import type { Health } from "./health.ts";
import { KeyChoice } from "./key-choice.ts";
import { KeyHealths } from "./key-healths.ts";
import { describeLanes } from "./lane-states.ts";
import type { AdmissionLimits, Blocker, GateLimits, KeyLimits, LaneState } from "./scheduler.ts";
import { Account, KeyModel, UpstreamKey } from "./upstream-key.ts";

const compiledMax = 1_000;
const retiredMax = 100;
/** Models on an account of which something is remembered: clients may send any name. */
const modelsMax = 1_000;

export interface Choice {
  readonly key: UpstreamKey;
  readonly keyModel: KeyModel | undefined;
}

export class KeyPool {
  keys: UpstreamKey[] = [];
  /** Of the keys, each once. */
  accounts: Account[] = [];
  /** Taken out of the configuration, the newest first: should one come back, its calls and sends still count. */
  #retired: UpstreamKey[] = [];
  readonly #healths: KeyHealths;
  readonly #choice = new KeyChoice();
  #limits: AdmissionLimits;
  /** Whose tokens are kept for calls that are next, until `keepNothing`. */
  readonly #kept = new Set<Gates>();
  #modelRules: { matches: (model: string) => boolean; limits: GateLimits }[] = [];
  #limitsByModel = new Map<string, GateLimits | null>();

  /** Until then calls were sent of which nothing is known; null: none. */
  readonly #unknownUntil: number | null;

  constructor(limits: AdmissionLimits, healths = new KeyHealths(), unknownUntil: number | null = null) {
    this.#unknownUntil = unknownUntil;
    this.#limits = limits;
    this.#healths = healths;
    this.#apply(limits);
    if (unknownUntil !== null) for (const { gates } of this.accounts) gates.fill(unknownUntil);
  }

  /** Keys and accounts keep their state by name. An operator who changes something wants another try: blocks end. */
  configure(limits: AdmissionLimits): void {
    this.#apply(limits);
    for (const { health } of [...this.keys, ...this.accounts]) health.reset();
    this.#healths.keepOnly(new Set([...this.keys, ...this.#retired].map(({ name }) => name)));
  }

  #apply(limits: AdmissionLimits): void {
    this.#limits = limits;
    this.#limitsByModel = new Map();
    this.#modelRules = limits.models.map((rule) => ({ matches: compilePattern(rule.pattern), limits: rule }));
    const before = [...this.keys, ...this.#retired];
    this.#configureKeys(limits, before);
    this.#retired = before.filter((key) => !this.keys.includes(key)).slice(0, retiredMax);
    for (const account of this.accounts) this.#configureAccount(account, limits);
    this.#choice.configure(this.keys);
  }

  #configureKeys(limits: AdmissionLimits, before: readonly UpstreamKey[]): void {
    const accounts = new Map(before.map(({ account }) => [account.name, account]));
    const wanted = new Set(limits.keys.map(nameAccount));
    this.keys = limits.keys.map((keyLimits) => {
      const known = before.find(({ name }) => name === keyLimits.name);
      const accountName = nameAccount(keyLimits);
      let account = accounts.get(accountName);
      // The key's account has got another name, if nobody else goes by the old one.
      if (!account && known && !wanted.has(known.account.name)) {
        account = known.account;
        account.name = accountName;
      }
      account ??= new Account(accountName);
      accounts.set(accountName, account);
      const health = this.#healths.of(keyLimits.name);
      const key = known ?? new UpstreamKey(keyLimits, account, health);
      key.configure(keyLimits, account, health);
      return key;
    });
    this.accounts = [...new Set(this.keys.map(({ account }) => account))];
  }

  #configureAccount(account: Account, limits: AdmissionLimits): void {
    account.keys = this.keys.filter((key) => key.account === account);
    account.weight = Math.max(...account.keys.map(({ weight }) => weight));
    account.configure((account.keys[0] as UpstreamKey).limits, limits.sendGuardMs);
    for (const keyModel of account.models.values()) {
      keyModel.configure(this.limitsOf(keyModel.model), limits.sendGuardMs);
    }
  }

  /** Whether calls for the model may have to wait where others need not, so that they queue apart. */
  isApart(model: string): boolean {
    if (this.limitsOf(model) !== null || !this.serves(anywhere(model))) return true;
    if (this.keys.length > 1 && this.keys.some(({ limits }) => limits.models !== null)) return true;
    return this.accounts.some(({ models }) => {
      const keyModel = models.get(model);
      return keyModel !== undefined && (keyModel.learned.limit !== null || !keyModel.isHealthy);
    });
  }

  /** Whether a call that goes only there may have to wait where others need not. */
  get hasChoice(): boolean {
    return this.keys.length > 1;
  }

  /** Whether any key is for it at all. */
  serves(to: Destination): boolean {
    return this.keys.some((key) => this.isFor(key, to));
  }

  /** Whether the key that a call is bound to is there, or another one of its account. */
  knows(upstreamKey: string): boolean {
    return this.#accountOf(upstreamKey) !== null;
  }

  isFor(key: UpstreamKey, to: Destination): boolean {
    if (to.keyKind !== null && to.keyKind !== key.kind) return false;
    // What a call is bound to is there, whatever else the key is for.
    if (to.upstreamKey !== null) return this.#accountOf(to.upstreamKey) === key.account;
    return key.serves(to.model);
  }

  #accountOf(name: string): Account | null {
    const key = this.keys.find((other) => other.name === name) ?? this.#retired.find((other) => other.name === name);
    return key && this.accounts.includes(key.account) ? key.account : null;
  }

  /** The key that takes such a call now; null: none may start it. */
  choose(to: Destination, tokens: number, now: number): Choice | null {
    const open = this.keys.filter((key) => this.#openAt(key, to, tokens, now) <= now);
    const key = this.#choice.pick(open, to);
    return key && { key, keyModel: key.models.get(to.model) };
  }

  /** The key was chosen, and its call starts. */
  take(key: UpstreamKey): void {
    this.#choice.take(key);
  }

  /** When the first key may start such a call, if nothing else changes. */
  openAt(to: Destination, tokens: number, now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const key of this.keys) at = Math.min(at, this.#openAt(key, to, tokens, now));
    return at;
  }

  /** The same, but for the accounts' own tokens: who is next in fair order waits for them, and a key is kept for it. */
  laneOpenAt(to: Destination, tokens: number, now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const key of this.keys) at = Math.min(at, this.#openAt(key, to, tokens, now, 0));
    return at;
  }

  /**
   * A call that is next lacks nothing but a key's tokens: of the keys like that, the one that has them first starts
   * nothing else, or small calls would take them one by one. The other keys go on.
   */
  keepKey(to: Destination, tokens: number, now: number): void {
    const lacking = this.keys.filter((key) => this.#openAt(key, to, tokens, now, 0) <= now);
    this.#keepFirst(lacking, tokens, now);
  }

  /** The same for the model's own tokens: another key may have enough for calls behind. False: no key is like that. */
  keepModel(to: Destination, tokens: number, now: number): boolean {
    if (this.accounts.length === 1) return false;
    const lacking = this.keys.filter((key) => this.#openAt(key, to, 0, now) <= now);
    return this.#keepFirst(
      lacking.flatMap((key) => key.models.get(to.model) ?? []),
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

  #openAt(key: UpstreamKey, to: Destination, tokens: number, now: number, keyTokens = tokens): number {
    if (!this.isFor(key, to)) return Number.POSITIVE_INFINITY;
    const at = this.#limitsOpenAt(key, to.model, tokens, now, keyTokens);
    if (at > now) return at;
    // It is not a matter of time as long as it is kept. What opens later may be for one before whom it is kept for.
    if (this.#isKept(key, to.model) || this.#failed(key, to)) return Number.POSITIVE_INFINITY;
    return at;
  }

  #isKept(key: UpstreamKey, model: string): boolean {
    if (this.#kept.size === 0) return false;
    const keyModel = key.models.get(model);
    return this.#kept.has(key.gates) || (keyModel !== undefined && this.#kept.has(keyModel.gates));
  }

  /** It failed the call, and another one is left that may not. */
  #failed(key: UpstreamKey, to: Destination): boolean {
    return to.triedKeys.includes(key.name) && this.hasUntried(to);
  }

  /** Whether a key that the call has not tried serves it, or will before its deadline. */
  hasUntried(to: Destination): boolean {
    return this.keys.some(
      (key) =>
        !to.triedKeys.includes(key.name) && this.isFor(key, to) && this.#blockOf(key, to.model, to.deadlineAt) === null,
    );
  }

  /** Whether another key than this one serves such calls, or will before this one's deadline. */
  hasOther(than: UpstreamKey, to: Destination): boolean {
    return this.keys.some(
      (key) => key !== than && this.isFor(key, to) && this.#blockOf(key, to.model, to.deadlineAt) === null,
    );
  }

  #limitsOpenAt(key: UpstreamKey, model: string, tokens: number, now: number, keyTokens: number): number {
    const keyAt = this.#keyOpenAt(key, keyTokens, now);
    const isUnknown = this.#unknownUntil !== null && this.limitsOf(model) !== null;
    const keyModel = isUnknown ? this.modelOn(key, model) : key.models.get(model);
    // Nothing of it counts yet, so no limit of its own can be reached.
    if (!keyModel) return keyAt;
    const { gates, learned, ceiling } = keyModel;
    const servesAt = keyModel.servesAt(key, now);
    if (gates.inFlight >= gates.concurrencyMax && gates.inFlight < ceiling) {
      // The learned limit alone holds it back, and that rises with time.
      return Math.max(keyAt, learned.risesAt(this.slotMsOf(model)), servesAt);
    }
    return Math.max(keyAt, gates.openAt(now, tokens), servesAt);
  }

  #keyOpenAt(key: UpstreamKey, tokens: number, now: number): number {
    return Math.max(key.gates.openAt(now, tokens), key.servesAt(now));
  }

  /** Typical time in flight of the model's calls, for how soon a learned limit may rise. */
  slotMsOf: (model: string) => number = () => 0;

  /** Lets learned limits rise whose time has come while they hold calls back. */
  relax(model: string, now: number, onChange: (account: Account, keyModel: KeyModel | null) => void): void {
    for (const account of this.accounts) {
      if (account.pace.quickensAt <= now) {
        account.pace.quicken(now);
        account.applyPace();
        onChange(account, null);
      }
      const keyModel = account.models.get(model);
      if (!keyModel || keyModel.learned.limit === null || !this.#holdsBack(keyModel, now)) continue;
      keyModel.learned.raise(keyModel.ceiling, now);
      keyModel.applyLearned();
      onChange(account, keyModel);
    }
  }

  /** The learned limit alone is in the way, and its time has come. */
  #holdsBack({ gates, learned, model }: KeyModel, now: number): boolean {
    return gates.inFlight >= gates.concurrencyMax && learned.risesAt(this.slotMsOf(model)) <= now;
  }

  modelOn({ account }: UpstreamKey, model: string): KeyModel {
    let keyModel = account.models.get(model);
    if (!keyModel) {
      if (account.models.size >= modelsMax) this.#forgetModels(account);
      keyModel = new KeyModel(model, account);
      keyModel.configure(this.limitsOf(model), this.#limits.sendGuardMs);
      if (this.#unknownUntil !== null) keyModel.gates.fill(this.#unknownUntil);
      account.models.set(model, keyModel);
    }
    return keyModel;
  }

  /** Harmless for a model of which something is still to be known. */
  forget(keyModel: KeyModel, now: number): void {
    const { account, model } = keyModel;
    if (!keyModel.isForgettable(now) || this.limitsOf(model) !== null) return;
    if (account.models.get(model) === keyModel) account.models.delete(model);
  }

  /** Makes room: those of which nothing was learned go first, then the oldest. */
  #forgetModels({ models }: Account): void {
    for (const [model, keyModel] of models) if (keyModel.isUnused && keyModel.isUntroubled) models.delete(model);
    for (const [model, keyModel] of models) {
      if (models.size < modelsMax) return;
      if (keyModel.isUnused) models.delete(model);
    }
  }

  /** What is configured for the model on each account, or null. */
  limitsOf(model: string): GateLimits | null {
    if (this.#modelRules.length === 0) return null;
    const known = this.#limitsByModel.get(model);
    if (known !== undefined) return known;
    if (this.#limitsByModel.size >= compiledMax) this.#limitsByModel.clear();
    const limits = this.#modelRules.find(({ matches }) => matches(model))?.limits ?? null;
    this.#limitsByModel.set(model, limits);
    return limits;
  }

  /** Starts per millisecond of all accounts that serve the model; Infinity: no bound. */
  ratePerMs(model: string): number {
    return this.rateFor(anywhere(model));
  }

  rateFor(to: Destination): number {
    return this.#sum(to, ({ gates, pace }) => gates.rate / (1_000 * pace.slowdown));
  }

  /** Calls in flight that are allowed now, all accounts together; Infinity: no bound. */
  concurrencyOf(model: string): number {
    return this.placesFor(anywhere(model));
  }

  placesFor(to: Destination): number {
    return this.#sum(to, ({ gates, models }) => {
      const ofModel = models.get(to.model)?.gates.concurrencyMax ?? this.limitsOf(to.model)?.concurrencyMax;
      return Math.min(gates.concurrencyMax, ofModel ?? Number.POSITIVE_INFINITY);
    });
  }

  tokensPerMs(model: string): number {
    return this.tokensFor(anywhere(model));
  }

  tokensFor(to: Destination): number {
    return this.#sum(to, ({ limits }) => (limits.tokensPerMinute ?? Number.POSITIVE_INFINITY) / 60_000);
  }

  #sum(to: Destination, read: (account: Account) => number): number {
    let sum = 0;
    for (const account of this.accounts) if (this.keyFor(account, to)) sum += read(account);
    return sum === 0 ? Number.POSITIVE_INFINITY : sum;
  }

  /** Of the account's keys that are for the call, the one that serves it first; null: none is. */
  keyFor(account: Account, to: Destination): UpstreamKey | null {
    let first: UpstreamKey | null = null;
    for (const key of account.keys) {
      if (!this.isFor(key, to)) continue;
      if (!first || key.health.blockedUntil < first.health.blockedUntil) first = key;
    }
    return first;
  }

  /** The block that a call can't outlive on any key; null: there is hope. */
  blockBeyond(to: Destination): Health | null {
    let found: Health | null = null;
    for (const key of this.keys) {
      if (!this.isFor(key, to)) continue;
      const block = this.#blockOf(key, to.model, to.deadlineAt);
      if (!block) return null;
      if (!found || block.blockedUntil < found.blockedUntil) found = block;
    }
    return found;
  }

  /** What keeps the key from serving the model until then; null: nothing that is known. */
  #blockOf(key: UpstreamKey, model: string, until: number): Health | null {
    const keyModel = key.models.get(model);
    const healths = keyModel ? [key.health, keyModel.health, keyModel.barOf(key)] : [key.health];
    return healths.find((health) => health && health.refusal !== null && health.blockedUntil >= until) ?? null;
  }

  /** What keeps a call from starting, by the key that is nearest to it; null: nothing of the upstream's. */
  findBlocker(to: Destination, tokens: number, now: number): Blocker | null {
    let blocker: Blocker | null = null;
    for (const key of this.keys) {
      if (!this.isFor(key, to) || this.#failed(key, to)) continue;
      const keyModel = key.models.get(to.model);
      const ofModel =
        keyModel && (keyModel.servesAt(key, now) > now ? "hold" : keyModel.gates.findBlocker(now, tokens));
      const ofKey = key.servesAt(now) > now ? "hold" : key.gates.findBlocker(now, tokens);
      if (!ofModel && !ofKey) return null;
      blocker ??= ofModel ? `model_${ofModel}` : ofKey;
    }
    return blocker;
  }

  lanes(now: number): LaneState[] {
    return describeLanes(this.keys, now);
  }
}

/** A key without an account has one of its own name. */
function nameAccount({ account, name }: KeyLimits): string {
  return account ?? name;
}

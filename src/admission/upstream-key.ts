// One key of the pool, the account that it belongs to, and the models there: what each bears, what was learned of it,
// and whether it serves. Keys of one account share all but their own health: the upstream counts by account.
//
//   account: gates, pace, ─┬─ keys: name, health, failures              a refused key does not stop its sibling
//            backoff, health └─ models: gates, learned limit,             of which a key alone may be barred
//                                       backoff, health

import { compilePattern } from "../base/name-pattern.ts";
import { Backoff } from "./backoff.ts";
import { hashText } from "./destination.ts";
import { FailureEvidence } from "./failure-evidence.ts";
import { Gates } from "./gates.ts";
import { Health } from "./health.ts";
import { LearnedConcurrency, LearnedPace } from "./learned-limit.ts";
import { Pacer } from "./pacer.ts";
import type { GateLimits, KeyLimits } from "./scheduler.ts";

const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };

/** A model on an account: GLM counts calls per account and model. */
export class KeyModel {
  readonly model: string;
  readonly account: Account;
  readonly gates = new Gates(new Pacer());
  readonly learned = new LearnedConcurrency();
  readonly health = new Health();
  /** Pauses after refusals for too many calls at once. */
  readonly backoff = new Backoff();
  /** Calls that run here or are not settled: what the upstream says of them is still to come. */
  openCalls = 0;
  ceiling = Number.POSITIVE_INFINITY;
  /** Of keys that the model was refused on, though the account's others may serve it. */
  #barred: Map<UpstreamKey, Health> | null = null;

  constructor(model: string, account: Account) {
    this.model = model;
    this.account = account;
  }

  configure(limits: GateLimits | null, guardMs: number): void {
    this.ceiling = limits?.concurrencyMax ?? Number.POSITIVE_INFINITY;
    this.gates.configure(limits ?? unlimited, guardMs, 1);
    this.applyLearned();
    this.health.reset();
    this.#barred = null;
  }

  applyLearned(): void {
    this.gates.concurrencyMax = Math.min(this.ceiling, this.learned.limit ?? Number.POSITIVE_INFINITY);
  }

  /** Whether the key is barred from the model; null: it was never. */
  barOf(key: UpstreamKey): Health | null {
    return this.#barred?.get(key) ?? null;
  }

  /** To be tripped. */
  bar(key: UpstreamKey): Health {
    this.#barred ??= new Map();
    const known = this.#barred.get(key);
    if (known) return known;
    const health = new Health();
    this.#barred.set(key, health);
    return health;
  }

  /** When the upstream serves the model on this key, if nothing else changes. */
  servesAt(key: UpstreamKey, now: number): number {
    const at = this.health.openAt(now);
    return this.#barred === null ? at : Math.max(at, this.#barred.get(key)?.openAt(now) ?? now);
  }

  get isHealthy(): boolean {
    if (!this.health.isHealthy) return false;
    for (const bar of this.#barred?.values() ?? []) if (!bar.isHealthy) return false;
    return true;
  }

  /** Nothing would be lost if it was forgotten. */
  isForgettable(now: number): boolean {
    return this.isUnused && this.gates.isIdle(now) && this.isUntroubled;
  }

  get isUnused(): boolean {
    return this.openCalls === 0 && this.gates.inFlight === 0;
  }

  /** The upstream's answers have taught nothing that still holds. */
  get isUntroubled(): boolean {
    return this.learned.limit === null && !this.backoff.isRaised && this.isHealthy;
  }
}

export class Account {
  name: string;
  /** Those of its first key. */
  limits: GateLimits = unlimited;
  readonly gates = new Gates(new Pacer());
  readonly pace = new LearnedPace();
  /** Shut after refusals for too many starts, which the upstream counts for all keys together. */
  readonly health = new Health();
  readonly backoff = new Backoff();
  /** Those with calls in flight, limits or something learned. */
  readonly models = new Map<string, KeyModel>();
  /** Keys that are in use. */
  keys: UpstreamKey[] = [];
  /** The largest of its keys'. */
  weight = 1;
  /** Configured, without the learned part. */
  guardMs = 0;

  constructor(name: string) {
    this.name = name;
  }

  configure(limits: GateLimits, guardMs: number): void {
    this.limits = limits;
    this.guardMs = guardMs;
    this.applyPace();
  }

  applyPace(): void {
    this.gates.configure(this.limits, this.guardMs + this.pace.guardMs, this.pace.slowdown);
  }
}

export class UpstreamKey {
  limits: KeyLimits;
  account: Account;
  health: Health;
  /** Its name as a number. */
  readonly hash: number;
  readonly failures = new FailureEvidence();
  /** Calls that it was chosen for, by its weight: among keys with the same room the one with the least is next. */
  turns = 0;
  #serves: (model: string) => boolean = () => true;

  constructor(limits: KeyLimits, account: Account, health: Health) {
    this.limits = limits;
    this.account = account;
    this.health = health;
    this.hash = hashText(limits.name);
  }

  configure(limits: KeyLimits, account: Account, health: Health): void {
    this.limits = limits;
    this.account = account;
    this.health = health;
    const patterns = limits.models?.map(compilePattern);
    this.#serves = patterns ? (model) => patterns.some((matches) => matches(model)) : () => true;
  }

  get name(): string {
    return this.limits.name;
  }

  get weight(): number {
    return this.limits.weight ?? 1;
  }

  get kind(): string {
    return this.limits.kind ?? "glm";
  }

  get gates(): Gates {
    return this.account.gates;
  }

  get models(): Map<string, KeyModel> {
    return this.account.models;
  }

  /** When the upstream serves the key, if nothing else changes. */
  servesAt(now: number): number {
    return Math.max(this.health.openAt(now), this.account.health.openAt(now));
  }

  serves(model: string): boolean {
    return this.#serves(model);
  }
}

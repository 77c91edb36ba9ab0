// When a call will start, as far as that can be foreseen from what runs and waits now. Exact while every call takes as
// long as the last ones and nobody else comes; calls of those who have had less come first, so it is a lower bound.

import type { LinkedList } from "../base/linked-list.ts";
import type { Costs } from "./costs.ts";
import type { Destination } from "./destination.ts";
import type { Gates } from "./gates.ts";
import type { KeyPool } from "./key-pool.ts";
import { Quantile } from "./quantile.ts";
import type { RunningGrant } from "./waiter.ts";

/** Beyond so many places at once, their ends are taken as evenly spread. */
const slotsMax = 256;
/** What is told of a wait without an end, as for a model that a reload has left without a key. */
const waitMsMax = 24 * 3_600_000;
/** Differences below it are nobody's concern. */
const slackMs = 100;
/** What a refused client is told: not sooner (nothing will have changed), spread (or all come back in step). */
const retryMsMin = 1_000;
const timedOutRetryMsMin = 2_000;
const retryJitterShare = 0.2;

export class Estimator {
  readonly #pool: KeyPool;
  readonly #costs: Costs;
  readonly #running: LinkedList<RunningGrant>;
  /** Nine of ten calls have waited less than so many times what was foreseen. */
  readonly #overrun = new Quantile(0.9, 1);

  constructor(pool: KeyPool, costs: Costs, running: LinkedList<RunningGrant>) {
    this.#pool = pool;
    this.#costs = costs;
    this.#running = running;
  }

  /** Milliseconds until the start of a call that goes there and has `ahead` others before it. */
  waitMs(to: Destination, tokens: number, ahead: number, now: number): number {
    const longestMs = Math.max(
      0,
      this.#byRateMs(to, ahead, now),
      this.#bySlotMs(to, ahead, now),
      this.#byTokensMs(to, tokens, ahead, now),
    );
    return Math.min(waitMsMax, longestMs);
  }

  /** A call that had to wait has started: how far those who came later have pushed it back. */
  noteWait(foreseenMs: number, waitedMs: number): void {
    this.#overrun.add((waitedMs + slackMs) / (foreseenMs + slackMs));
  }

  /** What nine of ten calls stay below that are foreseen to wait for `waitMs`. */
  toP90(waitMs: number): number {
    return Math.max(waitMs, (waitMs + slackMs) * this.#overrun.value - slackMs);
  }

  /** The same for the limits of one user alone, with `ahead` of its own calls before it. */
  userWaitMs(gates: Gates, model: string, ahead: number, now: number): number {
    const byRateMs = gates.startAfter(ahead, now) - now;
    const beyond = ahead + 1 + gates.inFlight - gates.concurrencyMax;
    const bySlotMs = beyond > 0 ? (beyond / gates.concurrencyMax) * this.#costs.slotMsOf(model) : 0;
    return Math.max(byRateMs, bySlotMs);
  }

  /** Each account takes its part of those ahead, by its rate. */
  #byRateMs(to: Destination, ahead: number, now: number): number {
    const { accounts } = this.#pool;
    const total = accounts.length === 1 ? 0 : this.#pool.rateFor(to);
    let least = Number.POSITIVE_INFINITY;
    for (const account of accounts) {
      const key = this.#pool.keyFor(account, to);
      if (!key) continue;
      const { gates, pace, health } = account;
      const part =
        accounts.length === 1 ? ahead : Math.floor((ahead * gates.rate) / pace.slowdown / 1_000 / total || 0);
      const keyModel = account.models.get(to.model);
      const blocks = [health, key.health, keyModel?.health, keyModel?.barOf(key)];
      let at = Math.max(now, ...blocks.map((block) => block?.blockedUntil ?? 0));
      at = Math.max(at, gates.startAfter(part, now), keyModel?.gates.startAfter(part, now) ?? now);
      least = Math.min(least, at);
    }
    return least - now;
  }

  /** Places become free as running calls end, then once for each call that takes one. */
  #bySlotMs(to: Destination, ahead: number, now: number): number {
    const slots = this.#pool.placesFor(to);
    if (slots === Number.POSITIVE_INFINITY) return 0;
    const meanMs = this.#costs.slotMsOf(to.model);
    const accounts = new Set(this.#pool.accounts.filter((account) => this.#pool.keyFor(account, to)));
    if (slots > slotsMax) {
      let inFlight = 0;
      for (const { gates } of accounts) inFlight += gates.inFlight;
      return (Math.max(0, ahead + 1 + inFlight - slots) / slots) * meanMs;
    }
    const endsInMs: number[] = [];
    for (const { grantedAt, sentAt, key } of this.#running) {
      if (!accounts.has(key.account)) continue;
      const elapsedMs = now - (sentAt ?? grantedAt);
      // What has run for longer than usual will run on: as long as it has run is the best guess.
      endsInMs.push(elapsedMs <= meanMs ? meanMs - elapsedMs : elapsedMs);
    }
    while (endsInMs.length < slots) endsInMs.push(0);
    endsInMs.sort((a, b) => a - b);
    // More may run than the limit allows, after it was lowered: the first to end leave nothing free.
    const surplus = endsInMs.length - slots;
    const rounds = Math.floor(ahead / slots);
    return (endsInMs[surplus + (ahead % slots)] as number) + rounds * meanMs;
  }

  #byTokensMs(to: Destination, tokens: number, ahead: number, now: number): number {
    const perMs = this.#pool.tokensFor(to);
    if (perMs === Number.POSITIVE_INFINITY) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (const account of this.#pool.accounts) {
      if (!this.#pool.keyFor(account, to)) continue;
      const freeAt = account.gates.tokens?.freeAt(now, tokens) ?? now;
      least = Math.min(least, freeAt === Number.POSITIVE_INFINITY ? now : freeAt);
    }
    return least - now + (ahead * this.#costs.meanTokensOf(to.model)) / perMs;
  }
}

/** What is known when a client is refused. All in milliseconds. */
export interface RetryFacts {
  /** The wait that it would have now, and how long it may wait. */
  readonly waitMs: number;
  readonly mayWaitMs: number;
  /** Until there is a place in the queue. */
  readonly placeMs: number;
  readonly hasWaited: boolean;
}

/** When it should come back: to a place, and late enough that half the time it may wait will do. */
export function adviseRetryMs({ waitMs, mayWaitMs, placeMs, hasWaited }: RetryFacts, random: number): number {
  const leastMs = Math.max(placeMs, hasWaited ? timedOutRetryMsMin : retryMsMin);
  return Math.ceil(Math.max(leastMs, waitMs - mayWaitMs / 2) * (1 + retryJitterShare * random));
}

// What one user, group or key has taken, by window: what was charged, and what calls that have not ended have reserved.
// A call counts in the windows of its arrival: when a window has moved on by its end, nothing of it is counted there.

import { type LimitWindow, limitWindows } from "../base/limits.ts";
import type { Windows } from "./windows.ts";

export interface Amounts {
  readonly requests: number;
  readonly tokens: number;
  readonly costMicros: number;
}

interface Tally {
  startsAt: number;
  requests: number;
  tokens: number;
  costMicros: number;
  reservedRequests: number;
  reservedTokens: number;
  reservedCostMicros: number;
}

export class Counters {
  /** Calls that wait or run. */
  inFlight = 0;
  readonly #tallies: Record<LimitWindow, Tally>;

  constructor(windows: Windows) {
    this.#tallies = Object.fromEntries(limitWindows.map((name) => [name, toTally(windows[name].startsAt)])) as Record<
      LimitWindow,
      Tally
    >;
  }

  /** Begins those windows anew that have moved on. */
  roll(windows: Windows): void {
    for (const name of limitWindows) {
      const { startsAt } = windows[name];
      if (this.#tallies[name].startsAt !== startsAt) this.#tallies[name] = toTally(startsAt);
    }
  }

  used(window: LimitWindow): Amounts {
    return this.#tallies[window];
  }

  reserved(window: LimitWindow): Amounts {
    const { reservedRequests, reservedTokens, reservedCostMicros } = this.#tallies[window];
    return { requests: reservedRequests, tokens: reservedTokens, costMicros: reservedCostMicros };
  }

  /** After `roll`. The returned function takes the reservation back and charges instead; to be called once. */
  reserve(amounts: Amounts): (charge: Amounts) => void {
    this.inFlight++;
    const held = limitWindows.map((name) => this.#tallies[name]);
    for (const tally of held) {
      tally.reservedRequests += amounts.requests;
      tally.reservedTokens += amounts.tokens;
      tally.reservedCostMicros += amounts.costMicros;
    }
    return (charge) => {
      this.inFlight--;
      // A tally whose window has moved on is nobody's any more; changing it does no harm.
      for (const tally of held) {
        tally.reservedRequests -= amounts.requests;
        tally.reservedTokens -= amounts.tokens;
        tally.reservedCostMicros -= amounts.costMicros;
        tally.requests += charge.requests;
        tally.tokens += charge.tokens;
        tally.costMicros += charge.costMicros;
      }
    };
  }

  /** Adds what the records say of calls before this process. */
  restore(window: LimitWindow, { requests, tokens, costMicros }: Amounts): void {
    const tally = this.#tallies[window];
    tally.requests += requests;
    tally.tokens += tokens;
    tally.costMicros += costMicros;
  }
}

function toTally(startsAt: number): Tally {
  return {
    startsAt,
    requests: 0,
    tokens: 0,
    costMicros: 0,
    reservedRequests: 0,
    reservedTokens: 0,
    reservedCostMicros: 0,
  };
}

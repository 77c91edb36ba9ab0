// What one user, group or key has taken, by window: what was charged, and what calls that have not ended have reserved.
// A call counts in the windows of its arrival: when a window has moved on by its end, nothing of it is counted there.

import { type LimitWindow, limitWindows } from "../base/limits.ts";
import type { Window, Windows } from "./windows.ts";

export interface Amounts {
  readonly requests: number;
  readonly tokens: number;
  readonly costMicros: number;
}

export const nothing: Amounts = Object.freeze({ requests: 0, tokens: 0, costMicros: 0 });

/** Numbers side by side, since there are five for each of a hundred thousand keys. */
export interface Tally extends Amounts {
  readonly reservedRequests: number;
  readonly reservedTokens: number;
  readonly reservedCostMicros: number;
}

class OpenTally implements Tally {
  readonly window: Window;
  /** Of the window before, for calls that were still being read when it ended. */
  previous: OpenTally | null;
  requests = 0;
  tokens = 0;
  costMicros = 0;
  reservedRequests = 0;
  reservedTokens = 0;
  reservedCostMicros = 0;

  constructor(window: Window, previous: OpenTally | null) {
    this.window = window;
    this.previous = previous;
  }

  reserve({ requests, tokens, costMicros }: Amounts, sign: 1 | -1): void {
    this.reservedRequests += sign * requests;
    this.reservedTokens += sign * tokens;
    this.reservedCostMicros += sign * costMicros;
  }

  charge({ requests, tokens, costMicros }: Amounts): void {
    this.requests += requests;
    this.tokens += tokens;
    this.costMicros += costMicros;
  }
}

export class Counters {
  /** Calls that wait or run. */
  inFlight = 0;
  /** Only where something was taken: most keys of a long life have nothing but a total. */
  readonly #tallies: Partial<Record<LimitWindow, OpenTally>> = {};

  /** Of the window that a call counts in that arrived then (`Clock.now`). Null: nothing was taken. */
  find(name: LimitWindow, windows: Windows, arrivedAt: number): Tally | null {
    const window = windows[name];
    const last = this.#tallies[name] ?? null;
    const isOfNow = last?.window.startsAt === window.startsAt;
    if (arrivedAt >= window.begunAt) return isOfNow ? last : null;
    const before = isOfNow ? last.previous : last;
    return before?.window.endsAt === window.startsAt ? before : null;
  }

  /** The returned function takes the reservation back and charges instead; to be called once. */
  reserve(amounts: Amounts, windows: Windows, arrivedAt: number): (charge: Amounts) => void {
    this.inFlight++;
    const held = limitWindows.map((name) => this.#open(name, windows, arrivedAt));
    for (const tally of held) tally.reserve(amounts, 1);
    return (charge) => {
      this.inFlight--;
      // A tally whose window has moved on is nobody's any more; changing it does no harm.
      for (const tally of held) {
        tally.reserve(amounts, -1);
        tally.charge(charge);
      }
    };
  }

  /** Of windows that ended before the last one began, nobody asks any more. */
  forgetBefore(windows: Windows): void {
    for (const name of limitWindows) {
      const last = this.#tallies[name];
      if (last && last.window.endsAt < windows[name].startsAt) delete this.#tallies[name];
    }
  }

  /** Adds what the records say of calls before this process. */
  restore(name: LimitWindow, windows: Windows, amounts: Amounts): void {
    this.#open(name, windows, Number.POSITIVE_INFINITY).charge(amounts);
  }

  #open(name: LimitWindow, windows: Windows, arrivedAt: number): OpenTally {
    const tally = this.#openNow(name, windows[name]);
    if (arrivedAt >= tally.window.begunAt) return tally;
    tally.previous ??= new OpenTally({ ...noWindow, endsAt: tally.window.startsAt }, null);
    return tally.previous;
  }

  #openNow(name: LimitWindow, window: Window): OpenTally {
    const last = this.#tallies[name] ?? null;
    if (last?.window.startsAt === window.startsAt) return last;
    // Only one before is kept, and only the one right before.
    if (last) last.previous = null;
    const tally = new OpenTally(window, last?.window.endsAt === window.startsAt ? last : null);
    this.#tallies[name] = tally;
    return tally;
  }
}

const noWindow: Window = {
  startsAt: Number.NEGATIVE_INFINITY,
  endsAt: Number.NEGATIVE_INFINITY,
  begunAt: Number.NEGATIVE_INFINITY,
};

export function add(a: Amounts, b: Amounts): Amounts {
  return { requests: a.requests + b.requests, tokens: a.tokens + b.tokens, costMicros: a.costMicros + b.costMicros };
}

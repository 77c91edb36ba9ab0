// The limits of one scope (an upstream key, a model on it, a user): starts in a window, calls at once, tokens per
// minute, and a block until some time. A call passes the gates of all its scopes: all are checked, then all are taken.

import type { Blocker, GateLimits } from "./scheduler.ts";
import { TokenWindow } from "./token-window.ts";
import { createWindowLog, toWindowLimits, type WindowLog } from "./window-log.ts";

const minuteMs = 60_000;

export class Gates {
  inFlight = 0;
  /** Calls in flight that are allowed; Infinity: no bound. */
  concurrencyMax = Number.POSITIVE_INFINITY;
  blockedUntil = Number.NEGATIVE_INFINITY;
  /** What limits now; null: nothing. */
  window: WindowLog | null = null;
  tokens: TokenWindow | null = null;
  /** What counts. Goes on when a limit is taken away, so that one that comes back knows what its window has seen. */
  windowLog: WindowLog | null = null;
  tokenLog: TokenWindow | null = null;
  /** Calls of which the tokens that they used are not known yet. */
  unsettled = 0;
  /** Starts per second as configured, for estimates; Infinity: no bound. */
  rate = Number.POSITIVE_INFINITY;

  /** `slowdown` stretches the window, `guardMs` is added to it. What was sent and runs stays counted. */
  configure(limits: GateLimits, guardMs: number, slowdown: number): void {
    const { startsPerSecond, concurrencyMax, tokensPerMinute } = limits;
    this.concurrencyMax = concurrencyMax ?? Number.POSITIVE_INFINITY;
    this.rate = startsPerSecond ?? Number.POSITIVE_INFINITY;
    if (startsPerSecond !== null) {
      const { startsMax, windowMs } = toWindowLimits(startsPerSecond, 0);
      const stretched = { startsMax, windowMs: windowMs * slowdown + guardMs, nominalMs: windowMs };
      if (this.windowLog) this.windowLog.configure(stretched);
      else this.windowLog = createWindowLog(stretched);
    }
    this.window = startsPerSecond === null ? null : this.windowLog;
    if (tokensPerMinute !== null) {
      this.tokenLog ??= new TokenWindow(tokensPerMinute, minuteMs + guardMs);
      this.tokenLog.tokensMax = tokensPerMinute;
      this.tokenLog.windowMs = minuteMs + guardMs;
    }
    this.tokens = tokensPerMinute === null ? null : this.tokenLog;
  }

  /** When a call of so many tokens may pass, if nothing else changes; Infinity: only after something else ends. */
  openAt(now: number, tokens: number): number {
    if (this.inFlight >= this.concurrencyMax) return Number.POSITIVE_INFINITY;
    let at = this.blockedUntil > now ? this.blockedUntil : now;
    if (this.window) at = Math.max(at, this.window.freeAt(now));
    if (this.tokens) at = Math.max(at, this.tokens.freeAt(now, tokens));
    return at;
  }

  /** Nothing would be lost if it was forgotten, also of limits that were taken away and may come back. */
  isIdle(now: number): boolean {
    if (this.inFlight > 0 || this.unsettled > 0) return false;
    const startsEndAt = this.windowLog?.remaining(now).allAt ?? now;
    const tokensEndAt = this.tokenLog?.emptyAt(now) ?? now;
    return startsEndAt <= now && tokensEndAt <= now;
  }

  /** What shuts it now, as a word without its scope; null: nothing. */
  findBlocker(now: number, tokens: number): Extract<Blocker, "rate" | "concurrency" | "tokens" | "hold"> | null {
    if (this.blockedUntil > now) return "hold";
    if (this.inFlight >= this.concurrencyMax) return "concurrency";
    if (this.window && this.window.freeAt(now) > now) return "rate";
    if (this.tokens && this.tokens.freeAt(now, tokens) > now) return "tokens";
    return null;
  }
}

/**
 * What one call holds of one scope, from its grant to its end. Remembers which gates it took, so that limits that
 * come or go meanwhile leave nothing behind.
 */
export class Hold {
  readonly gates: Gates;
  readonly #window: WindowLog | null;
  readonly #tokens: TokenWindow | null;
  readonly #reservedTokens: number;
  /** Debt: the estimate counts from the send and what it lacked is added at the end. Else it is held to the end. */
  readonly #isDebt: boolean;
  #sentAt = 0;
  #isSent = false;
  #isFreed = false;
  #isSpent = false;

  constructor(gates: Gates, tokens: number, isDebt: boolean) {
    this.gates = gates;
    this.#window = gates.windowLog;
    this.#tokens = gates.tokenLog;
    this.#reservedTokens = tokens;
    this.#isDebt = isDebt;
    gates.inFlight++;
    this.#window?.reserve();
    if (!this.#tokens) return;
    this.#tokens.reserve(tokens);
    gates.unsettled++;
  }

  stamp(now: number): void {
    this.#isSent = true;
    this.#sentAt = now;
    this.#window?.stamp(now);
    if (this.#isDebt) this.#tokens?.spend(this.#reservedTokens, this.#reservedTokens, now);
  }

  /** Never sent: its places in the windows are free again. */
  refund(): void {
    if (this.#isSent) return;
    this.#isSent = true;
    this.#window?.refund();
    if (this.#settle()) this.#tokens?.spend(this.#reservedTokens, 0, 0);
  }

  /** It no longer counts as in flight. The first call counts. */
  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.gates.inFlight--;
  }

  /** The tokens that it really used. The first call counts. */
  spend(actual: number, now: number): void {
    if (!this.#tokens || !this.#settle()) return;
    if (!this.#isDebt) this.#tokens.spend(this.#reservedTokens, actual, now);
    else if (actual > this.#reservedTokens) this.#tokens.spend(0, actual - this.#reservedTokens, now);
    else this.#tokens.refund(this.#reservedTokens - actual, this.#sentAt, now);
  }

  /** True for the first time. */
  #settle(): boolean {
    if (this.#isSpent) return false;
    this.#isSpent = true;
    if (this.#tokens) this.gates.unsettled--;
    return true;
  }
}

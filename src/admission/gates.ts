// The limits of one scope (an upstream key, a model on it, a user): starts in a window, calls at once, tokens per
// minute. A call passes the gates of all its scopes: all are checked, then all are taken.

import type { Pacer } from "./pacer.ts";
import type { Blocker, GateLimits } from "./scheduler.ts";
import { TokenWindow } from "./token-window.ts";
import { createWindowLog, toWindowLimits, type WindowLog } from "./window-log.ts";

const minuteMs = 60_000;
/** Of a large window, so many places are looked at to foresee a start: off by no more than what lies between two. */
const foreseenMax = 64;

export class Gates {
  inFlight = 0;
  /** Calls in flight that are allowed; Infinity: no bound. */
  concurrencyMax = Number.POSITIVE_INFINITY;
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
  /** Spaces the starts; null: they come as the window allows. */
  readonly pacer: Pacer | null;

  constructor(pacer: Pacer | null = null) {
    this.pacer = pacer;
  }

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
      this.pacer?.configure(startsMax, stretched.windowMs);
    } else this.pacer?.lift();
    this.window = startsPerSecond === null ? null : this.windowLog;
    if (tokensPerMinute !== null) {
      this.tokenLog ??= new TokenWindow(tokensPerMinute, minuteMs + guardMs);
      this.tokenLog.tokensMax = tokensPerMinute;
      this.tokenLog.windowMs = minuteMs + guardMs;
    }
    this.tokens = tokensPerMinute === null ? null : this.tokenLog;
  }

  /** Counts a call of before. Those that come later must have been sent and have ended later, or count for longer. */
  recall(sentAt: number, tokens: number, endedAt: number): void {
    this.windowLog?.recall(sentAt);
    this.pacer?.recall(sentAt);
    this.tokenLog?.spend(0, tokens, endedAt);
  }

  /** Counts as much as the limits let through at most, sent at that time. */
  fill(at: number): void {
    for (let count = this.window?.startsMax ?? 0; count > 0; count--) this.windowLog?.recall(at);
    if (this.window) this.pacer?.recall(at);
    if (this.tokens) this.tokens.spend(0, this.tokens.tokensMax, at);
  }

  /** When a call of so many tokens may pass, if nothing else changes; Infinity: only after something else ends. */
  openAt(now: number, tokens: number): number {
    if (this.inFlight >= this.concurrencyMax) return Number.POSITIVE_INFINITY;
    let at = now;
    if (this.window) at = Math.max(at, this.window.freeAt(now));
    if (this.pacer) at = Math.max(at, this.pacer.opensAt);
    if (this.tokens) at = Math.max(at, this.tokens.freeAt(now, tokens));
    return at;
  }

  /** When the rate lets a call start that has `ahead` others before it, if each starts as soon as it may. */
  startAfter(ahead: number, now: number): number {
    const { window, pacer } = this;
    if (!window) return now;
    if (!pacer) return window.freeAfter(ahead, now);
    const { spacingMs, opensAt } = pacer;
    const firstAt = Math.max(opensAt, window.freeAfter(0, now));
    let at = firstAt + ahead * spacingMs;
    // A place that becomes free late holds up all behind it. Starts a whole window behind are kept off by their spaces.
    const last = Math.min(ahead, window.startsMax - 1);
    const step = Math.ceil(last / foreseenMax);
    for (let before = last; before > 0; before -= step) {
      at = Math.max(at, window.freeAfter(before, now) + (ahead - before) * spacingMs);
    }
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
  findBlocker(now: number, tokens: number): Extract<Blocker, "rate" | "concurrency" | "tokens"> | null {
    if (this.inFlight >= this.concurrencyMax) return "concurrency";
    if ((this.window && this.window.freeAt(now) > now) || (this.pacer && this.pacer.opensAt > now)) return "rate";
    if (this.tokens && this.tokens.freeAt(now, tokens) > now) return "tokens";
    return null;
  }
}

/** A call that starts. */
export interface Start {
  /** Tokens that it takes from the limits, and whether they are a guess. */
  readonly tokens: number;
  readonly isDebt: boolean;
  /** Whether it starts later than it came. */
  readonly hasWaited: boolean;
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
  readonly #slotBeforeAt: number;
  readonly #slotAt: number;
  #sentAt = 0;
  #isSent = false;
  #isFreed = false;
  #isSpent = false;

  constructor(gates: Gates, { tokens, isDebt, hasWaited }: Start, now: number) {
    this.gates = gates;
    this.#window = gates.windowLog;
    this.#tokens = gates.tokenLog;
    this.#reservedTokens = tokens;
    this.#isDebt = isDebt;
    this.#slotBeforeAt = gates.pacer?.slotAt ?? now;
    gates.pacer?.take(now, hasWaited, gates.window?.openedAt ?? now);
    this.#slotAt = gates.pacer?.slotAt ?? now;
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
    this.gates.pacer?.giveBack(this.#slotAt, this.#slotBeforeAt);
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

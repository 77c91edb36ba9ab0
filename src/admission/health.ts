// Whether the upstream serves a key, or a model on it, at all just now. After a pause that was not about our limits,
// one call at a time finds out whether it is over.
//
//   healthy ── pause ──▶ paused ── time ──▶ healthy
//      │ ▲
//      │ └──────────────── good answer ───────────────┐
//      └── trip ──▶ blocked ── time ──▶ probing: one call at a time ── trip ──▶ blocked, for longer
//
// What is refused for a limit is refused at once. There, a probe that was not refused for `probeMs` lets the next one go.

import type { RefusalReason } from "../base/refusal.ts";

export class Health {
  blockedUntil = Number.NEGATIVE_INFINITY;
  /** The upstream's business code or word, while it is blocked or probed. */
  because: string | null = null;
  /** What calls that can't outlive the block are refused with; null: they wait, and time out. */
  refusal: RefusalReason | null = null;
  /** Trips since the last good answer. */
  tripCount = 0;
  /** When it last gave a good answer. */
  goodAt = Number.NEGATIVE_INFINITY;
  #isProbing = false;
  #trippedAt = Number.NEGATIVE_INFINITY;
  /** The call that finds out. */
  #probe: object | null = null;
  #probedAt = Number.NEGATIVE_INFINITY;
  #probeMs = Number.POSITIVE_INFINITY;
  readonly #onChange: (() => void) | null;

  /** `onChange` is told when it is open or shut for calls that it was not for before, but for the passing of time. */
  constructor(onChange: (() => void) | null = null) {
    this.#onChange = onChange;
  }

  /** Nothing starts until then; afterwards all is as before. */
  pause(until: number, because: string): void {
    if (until <= this.blockedUntil) return;
    this.blockedUntil = until;
    if (this.refusal === null) this.because = because;
  }

  /** Nothing starts until then; afterwards it is probed. A block with a refusal outlasts what is over before it. */
  trip(
    until: number,
    because: string,
    refusal: RefusalReason | null,
    now: number,
    probeMs = Number.POSITIVE_INFINITY,
  ): void {
    if (this.refusal === null || this.blockedUntil < until) {
      this.because = because;
      this.refusal = refusal;
      this.#probeMs = probeMs;
    }
    this.blockedUntil = Math.max(this.blockedUntil, until);
    this.tripCount++;
    this.#isProbing = true;
    this.#trippedAt = now;
    this.#probe = null;
    this.#onChange?.();
  }

  /** True for a call that was sent before the block, if others have said the same, or worse, already. */
  isOldNews(sentAt: number, refusal: RefusalReason | null): boolean {
    return this.#isProbing && sentAt <= this.#trippedAt && (refusal === null || refusal === this.refusal);
  }

  /** A call sent at `sentAt` went well. True: that ends a block. */
  recover(sentAt: number, now: number): boolean {
    this.goodAt = now;
    if (!this.#isProbing || sentAt <= this.#trippedAt) return false;
    this.reset();
    return true;
  }

  reset(): void {
    this.blockedUntil = Number.NEGATIVE_INFINITY;
    this.because = null;
    this.refusal = null;
    this.tripCount = 0;
    this.#isProbing = false;
    this.#probe = null;
    this.#onChange?.();
  }

  openAt(now: number): number {
    if (this.blockedUntil > now) return this.blockedUntil;
    return this.#isProbing && this.#probe !== null ? Math.max(now, this.#probedAt + this.#probeMs) : now;
  }

  get isHealthy(): boolean {
    return !this.#isProbing && this.because === null;
  }

  isBlocked(now: number): boolean {
    return this.blockedUntil > now;
  }

  start(call: object, now: number): void {
    if (this.#isProbing) {
      this.#probe = call;
      this.#probedAt = now;
    } else this.because = null;
  }

  end(call: object): void {
    if (this.#probe !== call) return;
    this.#probe = null;
    this.#onChange?.();
  }
}

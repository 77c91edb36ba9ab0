// What the upstream's refusals teach of a limit that nobody told us: how many calls at once, and how slowly. Falls at
// a refusal, for calls that were sent before it took effect by no more than what they prove, and rises again step by
// step, each time later when the same limit is hit again, so that a stable limit is probed ever more rarely.
//
//   calls at once:  null (nothing learned) ── refusal with n in flight ──▶ n - 1 ── hold ──▶ + 1 ── … ──▶ null at the ceiling
//   pace:           1 ── refusal ──▶ + 25 ms guard ── refusal ──▶ × 1.25, + 25 ms ── hold ──▶ ÷ 1.25 ── … ──▶ 1

const holdMsMin = 30_000;
const holdMsMax = 30 * 60_000;
/** After a day without a refusal, nothing that was learned is believed any more. */
const calmMs = 24 * 3_600_000;
/** Above it, a limit falls by a fifth; below, by one. */
const smallLimitMax = 10;
const slowdownStep = 1.25;
const slowdownMax = 16;
const guardStepMs = 25;
const guardMsMax = 500;
/** A rise waits for at least so many calls to have ended. */
const slotTimesBeforeRise = 10;

export class LearnedConcurrency {
  /** Null: nothing learned. */
  limit: number | null = null;
  #changedAt = Number.NEGATIVE_INFINITY;
  #loweredAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #holdMs = holdMsMin;
  /** The fewest calls in flight that drew a refusal. */
  #badCount = Number.POSITIVE_INFINITY;
  /** Refusals of calls that were sent before the last fall, the one that made it included. */
  #refusedCount = 0;

  /** True: it fell. `inFlightAtSend` counts the refused call itself and is more than one. */
  lower(inFlightAtSend: number, sentAt: number, now: number): boolean {
    if (now - this.#refusedAt > calmMs) this.#holdMs = holdMsMin;
    this.#refusedAt = now;
    if (sentAt <= this.#loweredAt) return this.#lowerFurther(inFlightAtSend);
    this.#refusedCount = 1;
    const from = Math.min(this.limit ?? Number.POSITIVE_INFINITY, inFlightAtSend);
    this.limit = Math.max(1, from <= smallLimitMax ? Math.ceil(from) - 1 : Math.floor(from * 0.8));
    const isSameAgain = inFlightAtSend === this.#badCount;
    this.#holdMs = isSameAgain ? Math.min(holdMsMax, this.#holdMs * 2) : holdMsMin;
    this.#badCount = inFlightAtSend;
    this.#changedAt = now;
    this.#loweredAt = now;
    return true;
  }

  /** Sent before the last fall took effect. Of those in flight then, no more were taken than were not refused. */
  #lowerFurther(inFlightAtSend: number): boolean {
    this.#refusedCount++;
    const taken = Math.max(1, inFlightAtSend - this.#refusedCount);
    if (this.limit === null || taken >= this.limit) return false;
    this.limit = taken;
    return true;
  }

  /** So many calls were in flight when one was sent that went well: what was too many once is so no more. */
  disprove(inFlightAtSend: number): void {
    if (inFlightAtSend < this.#badCount) return;
    this.#badCount = Number.POSITIVE_INFINITY;
    this.#holdMs = holdMsMin;
  }

  /** Refused with nothing else in flight: it was not the number of calls. What was learned of it may soon rise. */
  doubt(): void {
    this.#badCount = Number.POSITIVE_INFINITY;
    this.#holdMs = holdMsMin;
  }

  /** Restricted to one call at once, for at least `holdMs`. */
  restrict(holdMs: number, now: number): void {
    this.limit = 1;
    this.#changedAt = now;
    this.#loweredAt = now;
    this.#refusedAt = now;
    this.#badCount = 2;
    this.#holdMs = Math.max(this.#holdMs, holdMs);
  }

  /** When it may rise if it is what holds calls back; Infinity: nothing is learned. */
  risesAt(slotMs: number): number {
    if (this.limit === null) return Number.POSITIVE_INFINITY;
    return this.#changedAt + Math.max(this.#holdMs, slotTimesBeforeRise * slotMs);
  }

  /** Its time has come. `ceiling` is the configured limit: there, nothing is learned any more. */
  raise(ceiling: number, now: number): void {
    if (this.limit === null) return;
    this.limit++;
    this.#changedAt = now;
    if (this.limit >= ceiling || now - this.#refusedAt > calmMs) this.limit = null;
  }
}

export class LearnedPace {
  /** How many times longer the window is than configured. */
  slowdown = 1;
  guardMs = 0;
  #changedAt = Number.NEGATIVE_INFINITY;
  #slowedAt = Number.NEGATIVE_INFINITY;
  #holdMs = holdMsMin;
  #slowestBad = 0;

  /**
   * True: it slowed down. The first refusal in a while only widens the guard, since starts that bunched on their way
   * are the likeliest cause, and that costs least.
   */
  slow(sentAt: number, now: number): boolean {
    if (sentAt <= this.#slowedAt) return false;
    const isFirst = now - this.#slowedAt > this.#holdMs && this.slowdown === 1;
    const isSameAgain = this.slowdown <= this.#slowestBad && now - this.#slowedAt < calmMs;
    this.#holdMs = isSameAgain && !isFirst ? Math.min(holdMsMax, this.#holdMs * 2) : holdMsMin;
    this.guardMs = Math.min(guardMsMax, this.guardMs + guardStepMs);
    if (!isFirst) {
      this.#slowestBad = this.slowdown;
      this.slowdown = Math.min(slowdownMax, this.slowdown * slowdownStep);
    }
    this.#changedAt = now;
    this.#slowedAt = now;
    return true;
  }

  /** When it may quicken; Infinity: it is at its configured pace. */
  get quickensAt(): number {
    return this.slowdown > 1 || this.guardMs > 0 ? this.#changedAt + this.#holdMs : Number.POSITIVE_INFINITY;
  }

  /** Its time has come. The guard is kept longest: it costs least. */
  quicken(now: number): void {
    if (this.slowdown > 1) this.slowdown = Math.max(1, this.slowdown / slowdownStep);
    else this.guardMs = Math.max(0, this.guardMs - guardStepMs);
    if (this.slowdown < 1.01) this.slowdown = 1;
    this.#changedAt = now;
  }
}

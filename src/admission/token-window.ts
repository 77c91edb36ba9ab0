// LLM tokens per minute: never more than `tokensMax` in any window, as far as they are known in time.
//
//   reserve ──▶ pending ── spend(reserved, actual) ──▶ buckets of 100 ms that still count
//
// What runs may be counted by the upstream at any moment of its run, so a reservation counts until it is spent, and
// what was spent counts for a whole window after that. A bucket leaves when its youngest token is too old.

/** A call that wants more than the whole window may start alone. */
const bucketMs = 100;

export class TokenWindow {
  tokensMax: number;
  windowMs: number;
  pending = 0;
  /** By bucket number, oldest first. At most one for each 100 ms of the window. */
  readonly #buckets: { number: number; tokens: number }[] = [];
  #oldest = 0;
  #spent = 0;

  constructor(tokensMax: number, windowMs: number) {
    this.tokensMax = tokensMax;
    this.windowMs = windowMs;
  }

  /** When `tokens` more fit, if nothing else changes; Infinity: only after a reservation was spent. */
  freeAt(now: number, tokens: number): number {
    this.#forget(now);
    let excess = this.#spent + this.pending + tokens - this.tokensMax;
    if (excess <= 0 || this.#spent + this.pending === 0) return now;
    if (tokens > this.tokensMax) excess = this.#spent + this.pending;
    for (let index = this.#oldest; index < this.#buckets.length; index++) {
      const bucket = this.#buckets[index] as { number: number; tokens: number };
      excess -= bucket.tokens;
      if (excess <= 0) return Math.max(now, this.#leavesAt(bucket.number));
    }
    return Number.POSITIVE_INFINITY;
  }

  used(now: number): number {
    this.#forget(now);
    return this.#spent + this.pending;
  }

  /** When all of it has left, if nothing else changes. */
  emptyAt(now: number): number {
    this.#forget(now);
    const last = this.#buckets.at(-1);
    return last && this.#spent > 0 ? this.#leavesAt(last.number) : now;
  }

  reserve(tokens: number): void {
    this.pending += tokens;
  }

  /** A reservation ends; `actual` tokens were used. May be called for a part of it. */
  spend(reserved: number, actual: number, now: number): void {
    this.pending = Math.max(0, this.pending - reserved);
    if (actual <= 0) return;
    this.#forget(now);
    const number = Math.floor(now / bucketMs);
    const last = this.#buckets.at(-1);
    if (last && last.number >= number && this.#buckets.length > this.#oldest) last.tokens += actual;
    else this.#buckets.push({ number, tokens: actual });
    this.#spent += actual;
  }

  /** Less was used than was spent at `at`. */
  refund(tokens: number, at: number, now: number): void {
    this.#forget(now);
    const number = Math.floor(at / bucketMs);
    for (let index = this.#oldest; index < this.#buckets.length; index++) {
      const bucket = this.#buckets[index] as { number: number; tokens: number };
      if (bucket.number !== number) continue;
      const given = Math.min(tokens, bucket.tokens);
      bucket.tokens -= given;
      this.#spent -= given;
    }
  }

  #leavesAt(number: number): number {
    return (number + 1) * bucketMs + this.windowMs;
  }

  #forget(now: number): void {
    while (this.#oldest < this.#buckets.length) {
      const bucket = this.#buckets[this.#oldest] as { number: number; tokens: number };
      if (now < this.#leavesAt(bucket.number)) break;
      this.#spent = Math.max(0, this.#spent - bucket.tokens);
      this.#oldest++;
    }
    if (this.#oldest === this.#buckets.length) this.#spent = 0;
    // Forgotten buckets are cut off when they are the larger part: each is moved at most once.
    if (this.#oldest > 64 && this.#oldest * 2 > this.#buckets.length) {
      this.#buckets.splice(0, this.#oldest);
      this.#oldest = 0;
    }
  }
}

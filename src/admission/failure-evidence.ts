// Whether failures to reach a key are the key's or a caller's doing. A request may itself be what breaks its connection,
// so one call counts once however often it is tried, and calls of one user say little while others are served.

/** Different calls that must have failed since the last good answer. */
const callsMin = 3;
/** So long after a good answer, calls of one user alone don't count. */
const servedRecentlyMs = 10_000;

export interface FailedCall {
  /** The same for all tries of a call. */
  readonly sequence: number;
  readonly userId: string;
  /** No connection was made, or nothing was sent over it: the request itself can't be the cause. */
  readonly isUnsent: boolean;
}

export class FailureEvidence {
  #sequences: number[] = [];
  #userId: string | null = null;
  /** Of several users, or of calls that were not sent. */
  #isGeneral = false;

  /** True: it is the key's. `goodAt` is when it last gave a good answer; `hasOther`: another key can serve the call. */
  add({ sequence, userId, isUnsent }: FailedCall, goodAt: number, hasOther: boolean, now: number): boolean {
    if (isUnsent && hasOther) return true;
    if (!this.#sequences.includes(sequence)) this.#sequences = [...this.#sequences, sequence].slice(-callsMin);
    if (isUnsent || (this.#userId !== null && this.#userId !== userId)) this.#isGeneral = true;
    this.#userId = userId;
    if (this.#sequences.length < callsMin) return false;
    return this.#isGeneral || now - goodAt > servedRecentlyMs;
  }

  clear(): void {
    this.#sequences = [];
    this.#userId = null;
    this.#isGeneral = false;
  }
}

// How long nothing starts after a refusal for a limit: longer after each refusal in a row, until a call goes well.

export const firstPauseMs = 1_000;
const pauseMsMax = 30_000;

export class Backoff {
  #inRow = 0;
  #raisedAt = Number.NEGATIVE_INFINITY;

  /** The pause from now on. Refusals of calls that were sent before it was last raised count as one. */
  raise(sentAt: number, now: number): number {
    if (sentAt > this.#raisedAt) {
      this.#inRow++;
      this.#raisedAt = now;
    }
    return Math.min(pauseMsMax, firstPauseMs * 2 ** (this.#inRow - 1));
  }

  /** A call sent at `sentAt` went well. */
  recover(sentAt: number): void {
    if (sentAt > this.#raisedAt) this.#inRow = 0;
  }

  get isRaised(): boolean {
    return this.#inRow > 0;
  }
}

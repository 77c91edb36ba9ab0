// Spreads the starts of one limit evenly while calls wait: one slot every `spacingMs` (virtual scheduling, as in GCRA).
// That no window holds more than its limit is the window log's part; this decides only how the starts lie in it.
//
//   nobody waits   a start may use slots that were left unused: up to a whole window's at once
//   calls wait     one start for each slot; unused slots are forgotten
//
//        a burst          the window opens       a slot each quarter of the window
//   ──────●●●●─────────────────●───────●───────●───────●───────●───────●───▶

/**
 * What is late, be it a timer or a send, is made up for, or each delay would lower the rate: as long as the slots are no
 * more than this part of the window ahead. Beyond that nothing is owed.
 */
const latenessShare = 0.1;
/** It is made up for by starts that are a little closer together, as far as timers of a millisecond can tell. */
const catchUpShare = 0.75;
const timerMs = 2;

export class Pacer {
  /** From one slot to the next; 0: no limit. */
  spacingMs = 0;
  /** Unused slots of so much time may be used at once when nobody waits. */
  #burstMs = 0;
  /** Between two starts, when slots are made up for. */
  #closestMs = 0;
  #latenessMsMax = 0;
  /** The slot of the last start, which is never later than the start itself. */
  slotAt = Number.NEGATIVE_INFINITY;
  /** When the last start came, if its call had waited. */
  #startedAt = Number.NEGATIVE_INFINITY;

  /** Keeps the last slot: the next one follows it at the new distance. */
  configure(startsMax: number, windowMs: number): void {
    this.spacingMs = windowMs / startsMax;
    this.#burstMs = windowMs - this.spacingMs;
    this.#closestMs = Math.max(0, this.spacingMs * catchUpShare - timerMs);
    this.#latenessMsMax = windowMs * latenessShare;
  }

  /** Nothing limits the starts. */
  lift(): void {
    this.configure(1, 0);
  }

  /** When the next start may come: at most one space after the last. */
  get opensAt(): number {
    return Math.max(this.slotAt + this.spacingMs, this.#startedAt + this.#closestMs);
  }

  /** A call starts that did or did not wait, in a window that has had room since then: it takes a slot. */
  take(now: number, hasWaited: boolean, windowOpenedAt: number): void {
    const dueAt = this.slotAt + this.spacingMs;
    this.#startedAt = hasWaited ? now : Number.NEGATIVE_INFINITY;
    if (!hasWaited) this.slotAt = Math.max(dueAt, now - this.#burstMs);
    else {
      const wasShut = windowOpenedAt - dueAt > this.#latenessMsMax;
      this.slotAt = Math.max(wasShut ? windowOpenedAt : dueAt, now - this.#latenessMsMax);
    }
  }

  /** A start of before, however it came about. */
  recall(at: number): void {
    this.slotAt = Math.max(this.slotAt, at);
  }

  /** The start did not come to pass. Only the newest slot can be used again; earlier ones have gone by. */
  giveBack(slotAt: number, slotBeforeAt: number): void {
    if (slotAt !== this.slotAt) return;
    this.slotAt = slotBeforeAt;
    this.#startedAt = Number.NEGATIVE_INFINITY;
  }
}

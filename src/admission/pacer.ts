// Spreads the starts of one limit evenly while calls wait: one slot every `spacingMs` (virtual scheduling, as in GCRA).
// That no window holds more than its limit is the window log's part; this decides only how the starts lie in it.
//
//   nobody waits   a start may use slots that were left unused: up to a whole window's at once
//   calls wait     one start for each slot; unused slots are forgotten
//
//        a burst          the window opens       a slot each quarter of the window
//   ──────●●●●─────────────────●───────●───────●───────●───────●───────●───▶

/**
 * Timers fire late, and the window opens late by what the sends before were late. So much is made up for, or each
 * delay would lower the rate. More than that is not: after a stall, nothing is owed.
 */
const latenessMsMax = 10;

export class Pacer {
  /** From one slot to the next; 0: no limit. */
  spacingMs = 0;
  /** Unused slots of so much time may be used at once when nobody waits. */
  #burstMs = 0;
  /** The slot of the last start, which is never later than the start itself. */
  #slotAt = Number.NEGATIVE_INFINITY;

  /** Keeps the last slot: the next one follows it at the new distance. */
  configure(startsMax: number, windowMs: number): void {
    this.spacingMs = windowMs / startsMax;
    this.#burstMs = windowMs - this.spacingMs;
  }

  /** Nothing limits the starts. */
  lift(): void {
    this.configure(1, 0);
  }

  /** When the next start may come: at most one space after the last. */
  get opensAt(): number {
    return this.#slotAt + this.spacingMs;
  }

  /** A call starts that did or did not wait, in a window that has had room since then. The slot it takes. */
  take(now: number, hasWaited: boolean, windowOpenedAt: number): number {
    const dueAt = this.opensAt;
    if (!hasWaited) this.#slotAt = Math.max(dueAt, now - this.#burstMs);
    else {
      const wasShut = windowOpenedAt - dueAt > latenessMsMax;
      this.#slotAt = Math.max(wasShut ? windowOpenedAt : dueAt, now - latenessMsMax);
    }
    return this.#slotAt;
  }

  /** The start did not come to pass. Only the newest slot can be used again; earlier ones have gone by. */
  giveBack(slotAt: number): void {
    if (slotAt === this.#slotAt) this.#slotAt -= this.spacingMs;
  }
}

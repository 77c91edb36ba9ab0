// Virtual time for simulations: what is due next happens next, at its own moment, however far away that is.

import type { Clock } from "../../src/base/clock.ts";
import type { Random } from "../../src/simulator/random.ts";

interface Event {
  readonly at: number;
  readonly sequence: number;
  callback: (() => void) | null;
}

/** A world takes some ten thousand. */
const eventsMax = 2_000_000;

export class Timeline implements Clock {
  #now = 0;
  #sequence = 0;
  #eventCount = 0;
  /** A binary heap, the earliest first; among equals in order of their arming. */
  readonly #events: Event[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now;
  }

  random(): number {
    return this.#random.next();
  }

  after(ms: number, callback: () => void): () => void {
    return this.at(this.#now + Math.max(0, ms), callback);
  }

  at(time: number, callback: () => void): () => void {
    const event: Event = { at: Math.max(this.#now, time), sequence: this.#sequence++, callback };
    this.#push(event);
    return () => {
      event.callback = null;
    };
  }

  /** Lets happen what is due until then. False: nothing is left to happen, ever. */
  run(until = Number.POSITIVE_INFINITY): boolean {
    for (let first = this.#events[0]; first && first.at <= until; first = this.#events[0]) {
      this.#pop();
      if (!first.callback) continue;
      if (++this.#eventCount > eventsMax) throw new Error(`something happens without end at ${first.at}`);
      this.#now = first.at;
      first.callback();
    }
    if (until < Number.POSITIVE_INFINITY) this.#now = Math.max(this.#now, until);
    return this.#events.length > 0;
  }

  #push(event: Event): void {
    const events = this.#events;
    let index = events.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(events[parent] as Event, event)) break;
      events[index] = events[parent] as Event;
      index = parent;
    }
    events[index] = event;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop();
    if (!last || events.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1] as Event, events[child] as Event)) child++;
      if (isBefore(last, events[child] as Event)) break;
      events[index] = events[child] as Event;
      index = child;
    }
    events[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at === b.at ? a.sequence < b.sequence : a.at < b.at;
}

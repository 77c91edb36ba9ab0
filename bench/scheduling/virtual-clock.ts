// Time that is computed, not waited for: events run in order of their time, then of their making, and the clock jumps
// from one to the next. The same seed gives the same run to the letter.

import type { Clock } from "../../src/base/clock.ts";
import { createRandom } from "../../src/simulator/random.ts";

export interface VirtualClock extends Clock {
  /** Calls back at `time`, or now when that is past. The returned function cancels. */
  at(time: number, callback: () => void): () => void;
  /** Runs what is due up to `until`, which it then is. `drain`, if given, is awaited after each event. */
  run(until: number, drain?: () => Promise<void>): Promise<void>;
}

interface Event {
  readonly at: number;
  readonly sequence: number;
  callback: (() => void) | null;
}

/** More events than that at one instant: something calls itself without end. */
const eventsAtOnceMax = 200_000;
/** Where the calendar stands at the start; it has no meaning but must look like a date. */
const wallStartMs = Date.UTC(2026, 0, 1);

export function createVirtualClock(seed: number): VirtualClock {
  const random = createRandom(seed);
  const heap: Event[] = [];
  let now = 0;
  let sequence = 0;

  function at(time: number, callback: () => void): () => void {
    if (Number.isNaN(time)) throw new Error("an event needs a time");
    const event: Event = { at: Math.max(now, toTick(time)), sequence: sequence++, callback };
    heap.push(event);
    siftUp(heap, heap.length - 1);
    return () => {
      event.callback = null;
    };
  }

  async function run(until: number, drain?: () => Promise<void>): Promise<void> {
    let countAtOnce = 0;
    for (let next = heap[0]; next && next.at <= until; next = heap[0]) {
      removeFirst(heap);
      if (next.callback === null) continue;
      countAtOnce = next.at === now ? countAtOnce + 1 : 0;
      if (countAtOnce > eventsAtOnceMax) throw new Error(`virtual time stands still at ${now} ms`);
      now = next.at;
      next.callback();
      if (drain) await drain();
    }
    now = until;
  }

  return {
    now: () => now,
    wallNow: () => wallStartMs + now,
    after: (ms, callback) => at(now + Math.max(0, ms), callback),
    random: random.next,
    at,
    run,
  };
}

/** Time moves in 1/1024 ms: sums and differences are exact then, and a window of a second is no rounding error short. */
function toTick(time: number): number {
  return Math.ceil(time * 1_024) / 1_024;
}

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.sequence < other.sequence);
}

function siftUp(heap: Event[], start: number): void {
  const event = heap[start] as Event;
  let index = start;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex] as Event;
    if (!isBefore(event, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = event;
}

function removeFirst(heap: Event[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
    if (!isBefore(heap[child] as Event, last)) break;
    heap[index] = heap[child] as Event;
    index = child;
  }
  heap[index] = last;
}

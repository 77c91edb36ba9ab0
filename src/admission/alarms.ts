// Things that happen by themselves at a time, in its order. No timer of the machine: whoever owns this asks.

import { Heap, type HeapItem } from "./heap.ts";

export interface Alarm extends HeapItem {
  readonly at: number;
  readonly ring: () => void;
}

export class Alarms {
  readonly #heap = new Heap<Alarm>((a, b) => a.at < b.at);

  get nextAt(): number {
    return this.#heap.first?.at ?? Number.POSITIVE_INFINITY;
  }

  set(at: number, ring: () => void): Alarm {
    const alarm: Alarm = { heapIndex: -1, at, ring };
    this.#heap.push(alarm);
    return alarm;
  }

  cancel(alarm: Alarm): void {
    this.#heap.remove(alarm);
  }

  ringDue(now: number): void {
    for (let alarm = this.#heap.first; alarm && alarm.at <= now; alarm = this.#heap.first) {
      this.#heap.remove(alarm);
      alarm.ring();
    }
  }
}

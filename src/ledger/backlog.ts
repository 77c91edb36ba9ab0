// The changes that wait to be written. Two lines, each in order of arrival:
//
//   kept    intents, sends, and the ends of calls whose intent was written: at most two of each call in flight, never
//           dropped
//   loose   all other ends: of calls that were refused before their intent was written, and of every call while
//           lenience rules. Bounded; beyond the bound the oldest are dropped
//
// Kept ones go first, since calls wait for them.

import { LinkedList, type ListNode } from "../base/linked-list.ts";
import type { Change } from "./change.ts";

export interface Entry {
  readonly change: Change;
  readonly call: TrackedCall;
  /** Who waits for an intent; null: nobody, or nobody any more. */
  waiter: PromiseWithResolvers<void> | null;
  /** Where it waits; null: it does not. */
  node: ListNode<Entry> | null;
}

export interface TrackedCall {
  /** none: there was none, or it was given up · writing: it may have been written */
  intent: "none" | "waiting" | "writing" | "written";
  isSettled: boolean;
}

export class Backlog {
  readonly #looseMax: number;
  readonly #kept = new LinkedList<Entry>();
  readonly #loose = new LinkedList<Entry>();
  #contentCharacters = 0;
  #intents = 0;

  constructor(looseMax: number) {
    this.#looseMax = looseMax;
  }

  get size(): number {
    return this.#kept.size + this.#loose.size;
  }

  /** Intents that wait: somebody may wait for them. */
  get intents(): number {
    return this.#intents;
  }

  /** Of prompts and answers that wait. */
  get contentCharacters(): number {
    return this.#contentCharacters;
  }

  keep(entry: Entry): void {
    this.#enter(this.#kept, this.#kept.last, entry);
  }

  /** Returns how many were dropped to make room: 0 or 1. */
  add(entry: Entry): number {
    this.#enter(this.#loose, this.#loose.last, entry);
    return this.#dropOldest();
  }

  /** Takes out what a later change of its call says too. Harmless when it does not wait. */
  remove(entry: Entry): void {
    this.#leave(this.#kept, entry);
  }

  /** The intents that wait; those for which `visit` returns false leave. */
  filterIntents(visit: (entry: Entry) => boolean): void {
    for (const entry of this.#kept) if (entry.change.kind === "intent" && !visit(entry)) this.#leave(this.#kept, entry);
  }

  take(max: number): readonly Entry[] {
    const taken: Entry[] = [];
    for (const line of [this.#kept, this.#loose]) {
      for (const entry of line) {
        if (taken.length >= max) return taken;
        this.#leave(line, entry);
        taken.push(entry);
      }
    }
    return taken;
  }

  /** What could not be written is at the head of its line again. Returns how many were dropped for lack of room. */
  putBack(kept: readonly Entry[], loose: readonly Entry[]): number {
    for (const entry of kept.toReversed()) this.#enter(this.#kept, null, entry);
    for (const entry of loose.toReversed()) this.#enter(this.#loose, null, entry);
    let dropped = 0;
    while (this.#dropOldest() > 0) dropped++;
    return dropped;
  }

  #dropOldest(): number {
    const oldest = this.#loose.first;
    if (oldest === null || this.#loose.size <= this.#looseMax) return 0;
    this.#leave(this.#loose, oldest.item);
    return 1;
  }

  #enter(line: LinkedList<Entry>, previous: ListNode<Entry> | null, entry: Entry): void {
    entry.node = line.insertAfter(previous, entry);
    this.#count(entry, 1);
  }

  #leave(line: LinkedList<Entry>, entry: Entry): void {
    if (entry.node === null || !line.remove(entry.node)) return;
    entry.node = null;
    this.#count(entry, -1);
  }

  #count({ change }: Entry, sign: 1 | -1): void {
    if (change.kind === "intent") this.#intents += sign;
    else if (change.kind === "final" && change.content)
      this.#contentCharacters += sign * (change.content.prompt.length + change.content.answer.length);
  }
}

// The changes that wait to be written. Two lines, each in order of arrival:
//
//   kept    intents, and the ends of calls whose intent was written: at most as many as calls in flight, never dropped
//   loose   all other ends: of calls that were refused before their intent was written, and of every call while
//           lenience rules. Bounded; beyond the bound the oldest are dropped
//
// Kept ones go first, since calls wait for them.

import type { Change } from "./change.ts";

export interface Entry {
  readonly change: Change;
  readonly call: TrackedCall;
  /** Who waits for an intent; null: nobody, or nobody any more. */
  waiter: PromiseWithResolvers<void> | null;
}

export interface TrackedCall {
  /** none: there was none, or it was given up · writing: it may have been written */
  intent: "none" | "waiting" | "writing" | "written";
  isSettled: boolean;
}

export class Backlog {
  readonly #looseMax: number;
  #kept = new Map<string, Entry>();
  #loose = new Map<string, Entry>();
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
    this.#kept.set(entry.change.id, entry);
    this.#count(entry, 1);
  }

  /** Returns how many were dropped to make room: 0 or 1. */
  add(entry: Entry): number {
    this.#loose.set(entry.change.id, entry);
    this.#count(entry, 1);
    return this.#dropOldest();
  }

  /** Takes out the intent of a call that has ended before it was written. */
  removeIntent(id: string): Entry | undefined {
    const entry = this.#kept.get(id);
    if (entry?.change.kind !== "intent") return undefined;
    this.#kept.delete(id);
    this.#count(entry, -1);
    return entry;
  }

  /** The intents that wait; those for which `visit` returns false leave. */
  filterIntents(visit: (entry: Entry) => boolean): void {
    for (const [id, entry] of this.#kept) {
      if (entry.change.kind !== "intent" || visit(entry)) continue;
      this.#kept.delete(id);
      this.#count(entry, -1);
    }
  }

  take(max: number): readonly Entry[] {
    const taken: Entry[] = [];
    for (const line of [this.#kept, this.#loose]) {
      for (const [id, entry] of line) {
        if (taken.length >= max) return taken;
        line.delete(id);
        this.#count(entry, -1);
        taken.push(entry);
      }
    }
    return taken;
  }

  /** What could not be written is at the head of its line again. Returns how many were dropped for lack of room. */
  putBack(kept: readonly Entry[], loose: readonly Entry[]): number {
    this.#kept = new Map([...kept.map(toPair), ...this.#kept]);
    this.#loose = new Map([...loose.map(toPair), ...this.#loose]);
    for (const entry of [...kept, ...loose]) this.#count(entry, 1);
    let dropped = 0;
    while (this.#dropOldest() > 0) dropped++;
    return dropped;
  }

  #dropOldest(): number {
    if (this.#loose.size <= this.#looseMax) return 0;
    const [id, entry] = this.#loose.entries().next().value as [string, Entry];
    this.#loose.delete(id);
    this.#count(entry, -1);
    return 1;
  }

  #count({ change }: Entry, sign: 1 | -1): void {
    if (change.kind === "intent") this.#intents += sign;
    else if (change.content)
      this.#contentCharacters += sign * (change.content.prompt.length + change.content.answer.length);
  }
}

function toPair(entry: Entry): [string, Entry] {
  return [entry.change.id, entry];
}

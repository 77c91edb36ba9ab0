// What is kept, bounded in bytes and time: who was not used for longest makes room, who is too old is gone.

import type { Clock } from "../base/clock.ts";
import { type StoredAnswer, sizeOf } from "./stored-answer.ts";

interface Entry {
  readonly answer: StoredAnswer;
  readonly size: number;
  readonly until: number;
}

export class EntryStore {
  readonly #clock: Clock;
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Kept, and taken for what is being recorded. */
  get bytes(): number {
    return this.#bytes;
  }

  find(key: string): StoredAnswer | null {
    const entry = this.#entries.get(key);
    if (!entry) return null;
    if (entry.until <= this.#clock.now()) {
      this.#remove(key, entry);
      return null;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.answer;
  }

  /** Takes room for so many bytes, at the expense of what was not used for longest. False: there is none. */
  makeRoom(bytes: number, bytesMax: number): boolean {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes + bytes <= bytesMax) break;
      this.#remove(key, entry);
    }
    if (this.#bytes + bytes > bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Its room was taken already. */
  keep(key: string, answer: StoredAnswer, ttlMs: number): void {
    const before = this.#entries.get(key);
    if (before) this.#remove(key, before);
    this.#entries.set(key, { answer, size: sizeOf(answer), until: this.#clock.now() + ttlMs });
  }

  clear(): void {
    for (const [key, entry] of this.#entries) this.#remove(key, entry);
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.size;
  }
}

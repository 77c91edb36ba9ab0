// Exact-match cache and single flight: the same call, to the byte, that was answered a moment ago is answered the same,
// and one that is being answered is not asked again meanwhile. Off unless configured; only for calls that are to be
// answered always the same.
//
//   open ── hit ──────────────▶ replay: true
//     │──── nobody asks yet ──▶ replay: false ── record ── keep ──▶ kept, and given to all that wait
//     └──── somebody asks ────▶ replay waits ──▶ true, or its turn to ask when that one failed

import { hash } from "node:crypto";
import type { SharedByteBudget } from "../base/byte-budget.ts";
import type { Client } from "../base/client.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { EntryStore } from "./entry-store.ts";
import { createRecorder, type Recorder, replayTo, type StoredAnswer, sizeOf } from "./stored-answer.ts";

export interface AnswerCache {
  open(wish: CacheWish | null): CacheTurn;
  configure(settings: CacheSettings): void;
  gauges(): CacheGauges;
}

export interface CacheSettings {
  readonly isEnabled: boolean;
  /** Of all answers that are kept or being recorded. */
  readonly bytesMax: number;
  readonly entryBytesMax: number;
  readonly ttlMs: number;
}

export interface CacheGauges {
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly joined: number;
}

/** A call that may be answered from the cache. */
export interface CacheWish {
  /** The user who may have the answer: nobody else ever sees it. */
  readonly scope: string;
  readonly endpoint: string;
  readonly model: string;
  readonly body: Buffer;
  /** What is kept is not to be used, but replaced. */
  readonly refreshes: boolean;
}

export type CacheState = "hit" | "joined" | "miss";

/** One call's part in it. Disposing gives way to the next that waits, if there was no answer. */
export interface CacheTurn extends Disposable {
  /**
   * True: the client has its answer. False: it has to be asked for. Rejects with what the signal was aborted with, or
   * as the client's writing does. `note` is told before anything is sent.
   */
  replay(client: Client, signal: AbortSignal, note: (state: CacheState) => void): Promise<boolean>;
  /** The client, its answer being written down. */
  record(client: Client): Client;
  /** The answer was whole and is worth keeping. */
  keep(): void;
}

interface Waiter {
  /** Null: it is this one's turn to ask. */
  readonly settle: (answer: StoredAnswer | null) => void;
}

/** Calls that may wait for the same answer; more ask for themselves. */
export const waitersMax = 1_000;

export interface AnswerCacheOptions {
  readonly settings: CacheSettings;
  readonly clock: Clock;
  /** Bytes that may be unsent to clients, all together. */
  readonly unsentBudget: SharedByteBudget;
}

export function createAnswerCache({ settings: initial, clock, unsentBudget }: AnswerCacheOptions): AnswerCache {
  let settings = initial;
  const entries = new EntryStore(clock);
  /** Calls that are being asked, with who waits for them, in order of arrival. */
  const flights = new Map<string, Waiter[]>();
  const counts = { hits: 0, misses: 0, joined: 0 };

  function open(wish: CacheWish | null): CacheTurn {
    if (wish === null || !settings.isEnabled) return noTurn;
    const key = hash(
      "sha256",
      Buffer.concat([Buffer.from(`${wish.scope}\n${wish.endpoint}\n${wish.model}\n`), wish.body]),
    );
    let recorder: Recorder | null = null;
    let isLeading = false;

    async function replay(...[client, signal, note]: Parameters<CacheTurn["replay"]>): Promise<boolean> {
      let answer = wish?.refreshes ? null : entries.find(key);
      let state: CacheState = answer === null ? "miss" : "hit";
      const waiters = flights.get(key);
      if (answer === null && waiters && waiters.length < waitersMax) {
        answer = await wait(waiters, signal);
        if (answer !== null) state = "joined";
        else isLeading = true;
      } else if (answer === null && !waiters) {
        flights.set(key, []);
        isLeading = true;
      }
      counts[state === "hit" ? "hits" : state === "miss" ? "misses" : "joined"]++;
      note(state);
      if (answer === null) return false;
      const size = sizeOf(answer);
      const unsent = unsentBudget.of(wish?.scope ?? "");
      if (!unsent.take(size)) throw new Refusal("memory_full", { retryAfterMs: 1_000 });
      try {
        await replayTo(client, answer);
      } finally {
        unsent.give(size);
      }
      return true;
    }

    return {
      replay,
      record(client) {
        if (!isLeading) return client;
        recorder = createRecorder(client, settings.entryBytesMax, (bytes) =>
          entries.makeRoom(bytes, settings.bytesMax),
        );
        return recorder.client;
      },
      keep() {
        const answer = recorder?.finish() ?? null;
        if (answer === null) return;
        // Its room is the entry's now.
        recorder = null;
        isLeading = false;
        const waiters = flights.get(key) ?? [];
        flights.delete(key);
        entries.keep(key, answer, settings.ttlMs);
        for (const { settle } of waiters) settle(answer);
      },
      [Symbol.dispose]() {
        entries.giveBack(recorder?.abandon() ?? 0);
        recorder = null;
        if (!isLeading) return;
        isLeading = false;
        const next = flights.get(key)?.shift();
        if (next) next.settle(null);
        else flights.delete(key);
      },
    };
  }

  function wait(waiters: Waiter[], signal: AbortSignal): Promise<StoredAnswer | null> {
    const { promise, resolve, reject } = Promise.withResolvers<StoredAnswer | null>();
    const waiter: Waiter = {
      settle(answer) {
        signal.removeEventListener("abort", leave);
        resolve(answer);
      },
    };
    // Once it was called it has no place to leave: then it holds the turn, and its disposal passes it on.
    function leave(): void {
      const at = waiters.indexOf(waiter);
      if (at !== -1) waiters.splice(at, 1);
      reject(refusalOf(signal));
    }
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    else waiters.push(waiter);
    return promise;
  }

  return {
    open,
    configure(changed) {
      settings = changed;
      if (!changed.isEnabled) entries.clear();
      entries.makeRoom(0, changed.bytesMax);
    },
    gauges: () => ({ entries: entries.count, bytes: entries.bytes, ...counts }),
  };
}

/** Of a call that has nothing to do with the cache. */
const noTurn: CacheTurn = {
  replay: () => Promise.resolve(false),
  record: (client) => client,
  keep() {},
  [Symbol.dispose]() {},
};

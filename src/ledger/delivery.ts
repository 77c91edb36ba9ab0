// Brings what is in the spool to PostgreSQL, in order and in batches, and takes out only what was committed. A commit
// of which nobody knows whether it happened is simply delivered again.

import type { Clock } from "../base/clock.ts";
import { type Store, StoreError } from "../store/store.ts";
import { createFailureAlarm, type OnAlarm } from "./alarms.ts";
import type { Change } from "./change.ts";
import type { Spool, SpooledChange } from "./spool.ts";
import { createToStatements } from "./statements.ts";

export interface Delivery {
  /** There is something to deliver. */
  kick(): void;
  /** Delivers all there is. Rejects with StoreError when it can't. */
  drain(): Promise<void>;
  /** Delivers what it can within `timeoutMs`, and no more; the rest stays in the spool. */
  close(timeoutMs: number): Promise<void>;
}

const batchMax = 500;
const rowsPerStatement = 50;
const retryMs = 1_000;
/** Of a change that PostgreSQL refuses for itself: its reason may have been of the moment. */
const triesWhileRunning = 3;
const triesAtStart = 1;

export function createDelivery(spool: Spool, store: Store, clock: Clock, onAlarm: OnAlarm): Delivery {
  const toStatements = createToStatements(store, rowsPerStatement);
  const failure = createFailureAlarm(clock, tellOfFailure, () =>
    onAlarm({ what: "delivered", text: "PostgreSQL takes records of calls again" }),
  );
  let tries = { seq: 0, count: 0 };
  let running: Promise<void> | null = null;
  let cancelPause = () => {};
  let isPaused = false;
  let isClosed = false;

  async function deliverAll(triesMax: number): Promise<void> {
    while (spool.count > 0 && !isClosed) {
      await deliver(await spool.read(batchMax), triesMax);
      failure.clear();
    }
  }

  async function deliver(spooled: readonly SpooledChange[], triesMax: number): Promise<void> {
    const changes = spooled.map(({ change }) => change).filter((change): change is Change => change !== null);
    try {
      if (changes.length < spooled.length) throw new Error("it is damaged");
      await store.writeBatch(toStatements(changes));
    } catch (error) {
      if (error instanceof StoreError) throw error;
      if (spooled.length === 1) return refuse(spooled[0] as SpooledChange, triesMax, error);
      // One of them can't be written: it must not keep the others from it.
      const middle = spooled.length >> 1;
      await deliver(spooled.slice(0, middle), triesMax);
      return deliver(spooled.slice(middle), triesMax);
    }
    await spool.remove(spooled);
  }

  async function refuse(spooled: SpooledChange, triesMax: number, error: unknown): Promise<void> {
    tries = { seq: spooled.seq, count: tries.seq === spooled.seq ? tries.count + 1 : 1 };
    if (tries.count < triesMax) throw new StoreError("unavailable", `PostgreSQL: ${String(error)}`, error);
    await spool.setAside(spooled);
    const id = spooled.change?.id ?? `(${spooled.seq})`;
    const text = `PostgreSQL refuses the record of call ${id}: it stays in the spool`;
    onAlarm({ what: "unwritable", id, text, error });
  }

  function kick(): void {
    if (running || isPaused || isClosed) return;
    running = deliverAll(triesWhileRunning)
      .catch(pause)
      .finally(() => {
        running = null;
        // What came in the meantime.
        if (spool.count > 0) kick();
      });
  }

  function pause(error: unknown): void {
    if (isClosed) return;
    failure.note(error);
    isPaused = true;
    cancelPause = clock.after(retryMs, () => {
      isPaused = false;
      kick();
    });
  }

  function tellOfFailure(error: unknown): void {
    const text = `PostgreSQL takes no records of calls (${error instanceof Error ? error.message : String(error)}): they wait in the spool`;
    onAlarm({ what: "undelivered", text, error });
  }

  return {
    kick,
    drain: () => deliverAll(triesAtStart),
    async close(timeoutMs) {
      kick();
      const { promise: isLate, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(timeoutMs, resolve);
      await Promise.race([running ?? Promise.resolve(), isLate]);
      cancel();
      cancelPause();
      isClosed = true;
    },
  };
}

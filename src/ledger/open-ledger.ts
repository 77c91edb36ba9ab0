// Puts the ledger together for the store that is configured, and cleans up after the process before.
//
//   SQLite       calls ──▶ group commit ──▶ database
//   PostgreSQL   calls ──▶ group commit ──▶ spool (SQLite, here) ──▶ delivery ──▶ database

import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { createUuid7 } from "../base/uuid7.ts";
import type { Store } from "../store/store.ts";
import type { OnAlarm } from "./alarms.ts";
import type { Content } from "./change.ts";
import { createDelivery } from "./delivery.ts";
import { createGroupCommit, type Sink } from "./group-commit.ts";
import type { Ledger } from "./ledger.ts";
import type { CallRecord } from "./record.ts";
import { recoverOpenCalls } from "./recovery.ts";
import { openSpool } from "./spool.ts";
import { createToStatements } from "./statements.ts";

export interface OpenLedgerOptions {
  readonly store: Store;
  /** Where the spool is. Not used with SQLite. */
  readonly dataFolder: string;
  readonly isStrict: boolean;
  readonly spoolBytesMax: number;
  readonly clock: Clock;
  readonly onAlarm: OnAlarm;
  /** What was said in a call that has ended; null: nothing that is stored. Default: null. */
  readonly contentOf?: (record: CallRecord) => Content | null;
  /** How long the end of a call waits for others to be written with. Default: 10. */
  readonly lingerMs?: number;
}

export interface OpenedLedger {
  readonly ledger: Ledger;
  /** Whose records it writes: the same after a restart. */
  readonly instance: string;
  /** Calls of which the process before left no end. */
  readonly unknownCount: number;
}

/** Only with PostgreSQL. */
export function spoolFile(dataFolder: string): string {
  return join(dataFolder, "spool.sqlite");
}

/** Rejects with StoreError. Close the ledger before the store. */
export function openLedger(options: OpenLedgerOptions): Promise<OpenedLedger> {
  return options.store.kind === "sqlite" ? openDirectLedger(options) : openSpooledLedger(options);
}

async function openDirectLedger(options: OpenLedgerOptions): Promise<OpenedLedger> {
  const { store, clock } = options;
  // Nobody else has this database: whatever is open was left.
  const unknownCount = await recoverOpenCalls(store, { endedAt: clock.wallNow(), instance: null });
  const toStatements = createToStatements(store);
  const sink: Sink = { write: (changes) => store.writeBatch(toStatements(changes)) };
  const instance = await readInstance(store, clock);
  const ledger = createGroupCommit({ ...options, sink, instance });
  return { ledger, instance, unknownCount };
}

async function readInstance({ db }: Store, clock: Clock): Promise<string> {
  const row = { name: "instance", value: createUuid7(clock.wallNow()) };
  await db
    .insertInto("meta")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const { value } = await db.selectFrom("meta").select("value").where("name", "=", row.name).executeTakeFirstOrThrow();
  return value;
}

async function openSpooledLedger(options: OpenLedgerOptions): Promise<OpenedLedger> {
  const { store, clock, spoolBytesMax, onAlarm } = options;
  const spool = await openSpool({
    file: spoolFile(options.dataFolder),
    bytesMax: spoolBytesMax,
    newInstance: createUuid7(clock.wallNow()),
  });
  const delivery = createDelivery(spool, store, clock, onAlarm);
  const { instance } = spool;
  let unknownCount: number;
  try {
    await delivery.drain();
    unknownCount = await recoverOpenCalls(store, { endedAt: clock.wallNow(), instance });
  } catch (error) {
    await spool.close();
    throw error;
  }

  let isFillingTold = false;
  function watchSpool(): void {
    const { bytes } = spool;
    if (bytes < spoolBytesMax / 4) isFillingTold = false;
    if (bytes < spoolBytesMax / 2 || isFillingTold) return;
    isFillingTold = true;
    const text = `half of the spool is used, ${bytes} of ${spoolBytesMax} bytes: PostgreSQL must take records again soon`;
    onAlarm({ what: "spool_filling", text });
  }

  const sink: Sink = {
    async write(changes) {
      await spool.append(changes);
      watchSpool();
      delivery.kick();
    },
  };
  const ledger = createGroupCommit({ ...options, sink, instance });
  return {
    unknownCount,
    instance,
    ledger: {
      ...ledger,
      gauges: () => ({ ...ledger.gauges(), spooled: spool.count }),
      async close(timeoutMs) {
        const startedAt = clock.now();
        await ledger.close(timeoutMs);
        await delivery.close(Math.max(timeoutMs - (clock.now() - startedAt), 0));
        await spool.close();
      },
    },
  };
}

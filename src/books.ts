// What the gateway keeps: people, quotas and the ledger, over one store. Opened by the server, and by the command line
// when no server runs; the only file beside app.ts that chooses implementations.

import type { Clock } from "./base/clock.ts";
import type { Settings } from "./config/settings.ts";
import type { CallLog } from "./ledger/call-log.ts";
import { createToCharge } from "./ledger/charge-call.ts";
import { type ContentCapture, createContentCapture } from "./ledger/content-capture.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { openLedger } from "./ledger/open-ledger.ts";
import type { CallRecord } from "./ledger/record.ts";
import { createRetention, type Retention } from "./ledger/retention.ts";
import { createCallLog } from "./ledger/stored-call-log.ts";
import type { Logger } from "./observe/log.ts";
import { createPeople, type PeopleService } from "./people/people-service.ts";
import { createPrices, type Prices } from "./quota/prices.ts";
import type { Quotas } from "./quota/quotas.ts";
import { openStore } from "./store/open-store.ts";
import type { Store } from "./store/store.ts";

export interface Books {
  readonly store: Store;
  readonly people: PeopleService;
  readonly quotas: Quotas;
  readonly ledger: Ledger;
  readonly callLog: CallLog;
  readonly retention: Retention;
  readonly capture: ContentCapture;
  prices(): Prices;
  /** Charges a call that has ended, frees what was reserved for it, and writes its record. */
  settle(record: CallRecord): void;
  apply(settings: Settings): void;
  /** Writes what waits and closes the store. */
  close(): Promise<void>;
}

/** What waits to be written at the end has so long. */
const closeMsMax = 5_000;

/** Rejects with StoreError. */
export async function openBooks(initial: Settings, clock: Clock, log: Logger): Promise<Books> {
  let settings = initial;
  let prices = createPrices(settings.prices);
  const store = await openStore(settings.store, {
    mayMigrate: true,
    onIdleError: (error) => log.warn({ err: error }, "a connection to the database broke"),
  });
  const toCharge = createToCharge((model, tokens) => prices.costMicros(model, tokens));
  const capture = createContentCapture(() => settings.ledger.storesContent, clock);
  const { isStrict, spoolBytesMax } = settings.ledger;
  const { ledger, unknownCount } = await openLedger({
    store,
    dataFolder: settings.dataFolder,
    isStrict,
    spoolBytesMax,
    clock,
    contentOf: capture.take,
    onAlarm: ({ what, text, error, id }) => {
      const level = what === "recovered" || what === "delivered" ? "info" : "error";
      log[level]({ what, err: error, record: id }, `ledger: ${text}`);
    },
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const people = await createPeople({
    store,
    staticUsers: settings.auth.users,
    clock,
    onStoreFailure: (error) => log.error({ err: error }, "the database can't be used: people stay as they are known"),
  });
  const quotas: Quotas = {
    reserve: () => ({
      estimate: { requests: 1, promptTokens: 0, completionTokens: 0, costMicros: 0, source: "estimated" },
      warnings: [],
      settle() {},
    }),
    look: () => [],
  };
  if (unknownCount > 0) {
    log.warn({ calls: unknownCount }, "the process before ended in the middle of calls: they are charged by estimate");
  }
  const retention = createRetention({
    store,
    clock,
    timeZone: settings.quotas.timeZone,
    days: () => ({ calls: settings.ledger.retentionDays, contents: settings.ledger.contentRetentionDays }),
    onPruned: ({ calls, contents }) => log.info({ calls, contents }, "old records are sums now"),
    onFailure: (error) => log.error({ err: error }, "old records could not be pruned"),
  });

  return {
    store,
    people,
    quotas,
    ledger,
    callLog: createCallLog(store, settings.quotas.timeZone),
    retention,
    capture,
    prices: () => prices,
    settle(record) {
      record.charge = toCharge(record);
      record.reservation?.settle(record.charge);
      ledger.settle(record);
    },
    apply(changed) {
      settings = changed;
      prices = createPrices(changed.prices);
      people.replaceStatic(changed.auth.users);
    },
    async close() {
      await retention.stop();
      await people.close();
      await ledger.close(closeMsMax);
      await store.close();
    },
  };
}

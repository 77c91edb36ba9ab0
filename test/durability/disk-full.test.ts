// A disk that has no room left for records: a small one of our own, filled and freed.

import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemClock as clock } from "../../src/base/clock.ts";
import { Refusal } from "../../src/base/refusal.ts";
import type { LedgerAlarm } from "../../src/ledger/alarms.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { openLedger } from "../../src/ledger/open-ledger.ts";
import type { CallRecord } from "../../src/ledger/record.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store } from "../../src/store/store.ts";
import { arrive, estimate, isIdle, serve } from "../support/call-records.ts";
import { createSmallDisk, type SmallDisk } from "../support/small-disk.ts";

const probe = createSmallDisk(1);
probe?.remove();
const skip = probe ? false : "nothing can be mounted here (root on Linux can)";

describe("a disk that is full", { skip }, () => {
  let disk: SmallDisk;
  let store: Store;
  let ledger: Ledger;
  let alarms: LedgerAlarm[];

  beforeEach(async () => {
    disk = createSmallDisk(3) as SmallDisk;
    alarms = [];
    store = await openStore({ kind: "sqlite", file: join(disk.folder, "store.sqlite") }, { mayMigrate: true });
  });
  afterEach(async () => {
    disk.free();
    await ledger.close(5_000);
    await store.close();
    disk.remove();
  });

  async function open(isStrict: boolean): Promise<void> {
    const onAlarm = (alarm: LedgerAlarm) => void alarms.push(alarm);
    const options = { store, dataFolder: disk.folder, isStrict, spoolBytesMax: 1, clock, onAlarm };
    ({ ledger } = await openLedger(options));
  }

  /** Calls until the ledger hears that the disk is full; those that were noted. */
  async function callUntilFull(): Promise<CallRecord[]> {
    const noted: CallRecord[] = [];
    disk.fill();
    for (let count = 0; count < 5_000 && !ledger.gauges().isFailing; count++) {
      const record = arrive(clock);
      try {
        await ledger.begin(record, estimate);
        noted.push(record);
      } catch (error) {
        assert.ok(error instanceof Refusal);
        assert.deepEqual([error.reason, error.status], ["ledger_unavailable", 503]);
        ledger.settle(Object.assign(record, { refusal: error, endedAt: clock.now() }));
      }
    }
    assert.equal(ledger.gauges().isFailing, true);
    return noted;
  }

  async function readStates(): Promise<Map<string, string>> {
    const rows = await store.db.selectFrom("calls").select(["id", "state"]).execute();
    return new Map(rows.map(({ id, state }) => [id, state]));
  }

  it("has a strict ledger refuse calls, and work again without a restart when there is room", async () => {
    await open(true);
    const early = arrive(clock);
    await ledger.begin(early, estimate);
    const noted = await callUntilFull();
    const refused = ledger.begin(arrive(clock), estimate);
    await assert.rejects(refused, (error) => error instanceof Refusal && error.reason === "ledger_unavailable");
    for (const record of [early, ...noted]) ledger.settle(serve(record, clock));

    disk.free();
    await isIdle(ledger);
    const late = arrive(clock);
    await ledger.begin(late, estimate);
    const states = await readStates();
    for (const { id } of [early, ...noted]) assert.equal(states.get(id), "served");
    assert.equal(states.get(late.id), "open");
    assert.equal(ledger.gauges().lost, 0);
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["failing", "recovered"],
    );
  });

  it("has a lenient ledger let calls go on, and write their records when there is room", async () => {
    await open(false);
    const noted = await callUntilFull();
    for (let count = 0; count < 100; count++) {
      const record = arrive(clock);
      await ledger.begin(record, estimate);
      noted.push(record);
    }
    for (const record of noted) ledger.settle(serve(record, clock));
    disk.free();
    await isIdle(ledger);
    const states = await readStates();
    assert.equal(states.size, noted.length);
    assert.deepEqual(new Set(states.values()), new Set(["served"]));
  });

  it("leaves the database whole", async () => {
    await open(true);
    const noted = await callUntilFull();
    await store.close();
    store = await openStore({ kind: "sqlite", file: join(disk.folder, "store.sqlite") }, { mayMigrate: false });
    const states = await readStates();
    for (const { id } of noted) assert.ok(states.has(id), "a call that was noted is there");
    await ledger.close(0);
    await open(true);
  });
});

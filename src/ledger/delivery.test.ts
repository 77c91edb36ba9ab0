import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { arrive, estimate, serve } from "../../test/support/call-records.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { openStore } from "../store/open-store.ts";
import { type Store, StoreError } from "../store/store.ts";
import type { LedgerAlarm } from "./alarms.ts";
import { type Change, toFinal, toIntent } from "./change.ts";
import { createDelivery, type Delivery } from "./delivery.ts";
import { openSpool, type Spool } from "./spool.ts";

const down = () => new StoreError("unavailable", "the server is gone");

let folder: string;
let store: Store;
let spool: Spool;
let clock: ManualClock;
let alarms: LedgerAlarm[];
let batchSizes: number[];
/** What happens to each batch instead of being written; undefined: it is written. */
let disturb: ((write: () => Promise<void>) => Promise<void>) | undefined;
let delivery: Delivery;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "glm-proxy-delivery-"));
  store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
  spool = await openSpool({ file: join(folder, "spool.sqlite"), bytesMax: 10_000_000, newInstance: "here" });
  clock = createManualClock();
  alarms = [];
  batchSizes = [];
  disturb = undefined;
  const behindValve: Store = {
    ...store,
    writeBatch(statements) {
      batchSizes.push(statements.length);
      const write = () => store.writeBatch(statements);
      return disturb ? disturb(write) : write();
    },
  };
  delivery = createDelivery(spool, behindValve, clock, (alarm) => void alarms.push(alarm));
});
afterEach(async () => {
  await delivery.close(1_000);
  assert.equal(clock.armedCount, 0, "a timer was left behind");
  await spool.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

/** Intent and end of one call each. */
function makeChanges(calls: number, more: object = {}): Change[] {
  return Array.from({ length: calls }, () => arrive(clock, more)).flatMap((record) => [
    toIntent(record, estimate, "here"),
    toFinal(serve(record, clock), "here", null),
  ]);
}

async function put(changes: readonly Change[]): Promise<void> {
  await spool.append(changes);
  delivery.kick();
}

async function readStates(): Promise<string[]> {
  const rows = await store.db.selectFrom("calls").select("state").execute();
  return rows.map(({ state }) => state);
}

describe("createDelivery()", () => {
  it("brings what is in the spool to the database, at most 500 at once, and takes it out", async () => {
    await put(makeChanges(251));
    await until("all is delivered", () => spool.count === 0);
    // 250 calls, each with its intent and its end as one row, 50 rows in a statement; then the last call.
    assert.deepEqual(batchSizes, [5, 1]);
    assert.deepEqual(new Set(await readStates()), new Set(["served"]));
    assert.deepEqual([(await readStates()).length, spool.bytes], [251, 0]);
  });

  it("keeps everything while the database is gone, tries each second, and tells when it begins and ends", async () => {
    disturb = () => Promise.reject(down());
    await put(makeChanges(3));
    await until("it is told", () => alarms.length === 1);
    for (let second = 1; second <= 5; second++) {
      await clock.advance(1_000);
      await until("it tries again", () => batchSizes.length === second + 1);
      await put(makeChanges(1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(spool.count, 16);
    disturb = undefined;
    await clock.advance(1_000);
    await until("all is delivered", () => spool.count === 0);
    assert.equal((await readStates()).length, 8);
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["undelivered", "delivered"],
    );
  });

  it("delivers again what may have been committed, and nothing is doubled", async () => {
    disturb = async (write) => {
      await write();
      throw down();
    };
    await put(makeChanges(4));
    await until("it is told", () => alarms.length === 1);
    assert.equal(spool.count, 8);
    disturb = undefined;
    await clock.advance(1_000);
    await until("all is delivered", () => spool.count === 0);
    assert.deepEqual(await readStates(), ["served", "served", "served", "served"]);
  });

  it("leaves aside a record that the database refuses three times, names it, and delivers the others", async () => {
    const [refused] = makeChanges(1, { surface: null });
    assert.ok(refused);
    await put([...makeChanges(5), refused, ...makeChanges(5)]);
    for (let tries = 0; tries < 3 && spool.count > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await clock.advance(1_000);
    }
    await until("all is delivered", () => spool.count === 0);
    assert.equal((await readStates()).length, 10);
    assert.ok(spool.bytes > 0, "it is still there");
    assert.deepEqual(
      alarms.filter(({ what }) => what === "unwritable").map(({ id }) => id),
      [refused.id],
    );
  });

  it("has delivered all there is when `drain` resolves, without the refused", async () => {
    const [refused] = makeChanges(1, { surface: null });
    assert.ok(refused);
    await spool.append([...makeChanges(2), refused, ...makeChanges(2)]);
    await delivery.drain();
    assert.equal((await readStates()).length, 4);
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["unwritable"],
    );
  });

  it("fails to drain when the database is gone, and loses nothing", async () => {
    await spool.append(makeChanges(2));
    disturb = () => Promise.reject(down());
    await assert.rejects(delivery.drain(), StoreError);
    assert.equal(spool.count, 4);
  });

  it("delivers what it can before it is closed, and does not wait for a server that says nothing", async () => {
    await spool.append(makeChanges(2));
    await delivery.close(1_000);
    assert.equal(spool.count, 0);

    const { promise: never } = Promise.withResolvers<void>();
    const silent = createDelivery(spool, { ...store, writeBatch: () => never }, clock, () => {});
    await spool.append(makeChanges(1));
    const closed = silent.close(1_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await clock.advance(1_000);
    await closed;
    assert.equal(spool.count, 2);
  });
});

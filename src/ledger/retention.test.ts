import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { arrive, serve } from "../../test/support/call-records.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { toFinal } from "./change.ts";
import type { Pruned } from "./prune.ts";
import { createRetention, type Retention } from "./retention.ts";
import { createToStatements } from "./statements.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

let clock: ManualClock;
let store: Store;
let runs: Pruned[];
let failures: unknown[];
let retention: Retention;

beforeEach(async () => {
  clock = createManualClock(0, Date.parse("2026-11-23T12:00:00Z"));
  store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
  runs = [];
  failures = [];
  retention = createRetention({
    store,
    clock,
    timeZone: "UTC",
    days: () => ({ calls: 2, contents: 1 }),
    onPruned: (pruned) => void runs.push(pruned),
    onFailure: (error) => void failures.push(error),
  });
  // A call every six hours, with what was said, until now.
  const statements = [];
  for (let ageMs = 4 * dayMs; ageMs > 0; ageMs -= 6 * hourMs) {
    const at = clock.wallNow() - ageMs;
    const record = arrive({ ...clock, wallNow: () => at });
    const content = { prompt: "q", answer: "a", storedAt: at };
    statements.push(...createToStatements(store)([toFinal(serve(record, clock), "here", content)]));
  }
  await store.writeBatch(statements);
});
afterEach(async () => {
  await retention.stop();
  await store.close();
});

async function countLeft(table: "calls" | "call_contents" | "usage_days"): Promise<number> {
  return (await store.db.selectFrom(table).selectAll().execute()).length;
}

describe("createRetention()", () => {
  it("keeps whole days as long as configured, prunes soon after the start and then each day", async () => {
    await clock.advance(60_000);
    await until("it has pruned", () => runs.length === 1);
    // The day in which the time is over, the 21st, stays as a whole.
    assert.deepEqual(runs, [{ calls: 6, contents: 13 }]);
    assert.deepEqual([await countLeft("calls"), await countLeft("call_contents")], [10, 3]);
    assert.equal(await countLeft("usage_days"), 2);
    await clock.advance(dayMs);
    await until("it has pruned", () => runs.length === 2);
    assert.deepEqual(runs[1], { calls: 4, contents: 3 });
    assert.deepEqual(failures, []);
  });

  it("prunes what it is told to", async () => {
    assert.deepEqual(await retention.prune(Date.parse("2026-11-23T00:00:00Z")), { calls: 14, contents: 12 });
    assert.equal(await countLeft("calls"), 2);
  });

  it("prunes no more when it is stopped", async () => {
    const pruning = retention.prune(clock.wallNow());
    await retention.stop();
    await pruning;
    await clock.advance(2 * dayMs);
    assert.equal(clock.armedCount, 0);
    assert.deepEqual(runs, []);
  });

  it("tells of a failure and tries again the next day", async () => {
    const { db } = store;
    await db.schema.alterTable("usage_days").renameTo("elsewhere").execute();
    await clock.advance(60_000);
    await until("it has failed", () => failures.length === 1);
    await db.schema.alterTable("elsewhere").renameTo("usage_days").execute();
    await clock.advance(dayMs);
    await until("it has pruned", () => runs.length === 1);
    assert.equal(runs[0]?.calls, 10);
  });
});

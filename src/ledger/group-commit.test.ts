import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { arrive, charge, estimate, isIdle, serve } from "../../test/support/call-records.ts";
import { createManualClock, type ManualClock, settle as settleTasks } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { createValve, type Valve } from "../../test/support/valve.ts";
import { Refusal } from "../base/refusal.ts";
import { openStore } from "../store/open-store.ts";
import { type Store, StoreError } from "../store/store.ts";
import type { LedgerAlarm } from "./alarms.ts";
import { createGroupCommit } from "./group-commit.ts";
import type { Ledger } from "./ledger.ts";
import type { CallRecord } from "./record.ts";
import { createToStatements } from "./statements.ts";

const full = () => new StoreError("full", "no space left");

let clock: ManualClock;
let store: Store;
let valve: Valve;
let alarms: LedgerAlarm[];

beforeEach(async () => {
  clock = createManualClock();
  store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
  const toStatements = createToStatements(store);
  valve = createValve({ write: (changes) => store.writeBatch(toStatements(changes)) });
  alarms = [];
});
afterEach(() => store.close());

function open(isStrict = true, lingerMs = 0): Ledger {
  const onAlarm = (alarm: LedgerAlarm) => void alarms.push(alarm);
  return createGroupCommit({ sink: valve, instance: "here", isStrict, clock, onAlarm, lingerMs });
}

function readRows() {
  return store.db.selectFrom("calls").select(["id", "state", "requests", "prompt_tokens", "cost_micros"]).execute();
}

async function refusalOf(promise: Promise<void>): Promise<Refusal> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Refusal, "it was not refused");
  return error;
}

describe("a ledger that works", () => {
  it("has the intent in the database when `begin` resolves, charged by its estimate", async () => {
    const ledger = open();
    const record = arrive(clock);
    await ledger.begin(record, estimate);
    const row = { id: record.id, state: "open", requests: 1, prompt_tokens: 100, cost_micros: 600 };
    assert.deepEqual(await readRows(), [row]);
  });

  it("settles a record once: the first settling counts", async () => {
    const ledger = open();
    const record = arrive(clock);
    await ledger.begin(record, estimate);
    ledger.settle(serve(record, clock));
    ledger.settle(Object.assign(record, { outcome: "cut", charge: estimate }));
    await isIdle(ledger);
    const row = { id: record.id, state: "served", requests: 1, prompt_tokens: 11, cost_micros: 25 };
    assert.deepEqual(await readRows(), [row]);
  });

  it("leaves the record as it is when an end or an intent comes twice", async () => {
    const ledger = open();
    const record = arrive(clock);
    await ledger.begin(record, estimate);
    ledger.settle(serve(record, clock));
    await isIdle(ledger);
    const toStatements = createToStatements(store);
    for (const changes of valve.batches) await store.writeBatch(toStatements(changes));
    assert.deepEqual(
      (await readRows()).map(({ state }) => state),
      ["served"],
    );
  });

  it("writes as one batch what comes while it writes, at most 500 at once", async () => {
    const ledger = open();
    valve.hold();
    const noted = Array.from({ length: 502 }, () => ledger.begin(arrive(clock), estimate));
    valve.release();
    await Promise.all(noted);
    assert.deepEqual(
      valve.batches.map(({ length }) => length),
      [1, 500, 1],
    );
    assert.equal((await readRows()).length, 502);
  });

  it("arms no timer that delays an intent", async () => {
    const ledger = open(true, 10);
    await ledger.begin(arrive(clock), estimate);
    assert.equal(clock.armedCount, 0);
  });

  it("writes one row, and nothing else, of a call that ended while its intent waited", async () => {
    const ledger = open();
    valve.hold();
    const first = ledger.begin(arrive(clock), estimate);
    const refused = arrive(clock, { refusal: new Refusal("queue_full") });
    const noted = ledger.begin(refused, estimate);
    ledger.settle(refused);
    await noted;
    valve.release();
    await first;
    await isIdle(ledger);
    assert.deepEqual(
      valve.batches[1]?.map(({ kind }) => kind),
      ["final"],
    );
    assert.deepEqual((await readRows()).map(({ state, requests }) => [state, requests]).sort(), [
      ["open", 1],
      ["refused", 0],
    ]);
  });

  it("writes a call that never began as a whole, and nothing of strangers", async () => {
    const ledger = open();
    ledger.settle(arrive(clock, { refusal: new Refusal("insufficient_quota") }));
    ledger.settle(arrive(clock, { userId: null, refusal: new Refusal("invalid_token") }));
    await isIdle(ledger);
    assert.deepEqual(
      (await readRows()).map(({ state }) => state),
      ["refused"],
    );
  });

  it("writes that a call was sent with the next write that is due, and not at all once it has ended", async () => {
    const ledger = open(true, 10);
    const [slow, fast] = [arrive(clock), arrive(clock)];
    await Promise.all([ledger.begin(slow, estimate), ledger.begin(fast, estimate)]);
    const writes = valve.batches.length;
    for (const record of [slow, fast]) ledger.markSent(Object.assign(record, { sentAt: clock.now() }));
    // Another try took the place of one that was not written.
    ledger.markSent(Object.assign(slow, { tryCount: 1 }));
    ledger.settle(serve(fast, clock));
    assert.equal(valve.batches.length, writes, "it has no write of its own");
    await clock.advance(10);
    await until("both are written", () => ledger.gauges().waiting === 0);
    assert.deepEqual(
      valve.batches.slice(writes).map((changes) => changes.map(({ kind }) => kind)),
      [["sent", "final"]],
    );
    const rows = await store.db.selectFrom("calls").select(["state", "sent_at", "tries"]).orderBy("state").execute();
    assert.deepEqual(
      rows.map(({ state, sent_at, tries }) => [state, sent_at !== null, tries]),
      [
        ["open", true, 1],
        ["served", true, 0],
      ],
    );
  });

  it("stores texts that a client chose badly", async () => {
    const ledger = open();
    const record = arrive(clock, { callId: "a\0b\ud800", model: `glm${"x".repeat(1_000)}` });
    await ledger.begin(record, estimate);
    const stored = await store.db.selectFrom("calls").select(["request_id", "model"]).executeTakeFirstOrThrow();
    assert.equal(stored.request_id, "a\ufffdb\ufffd");
    assert.equal(stored.model?.length, 256);
  });

  it("writes what waits when it is closed, and takes no more", async () => {
    const ledger = open();
    valve.hold();
    const records = [arrive(clock), arrive(clock)];
    const noted = records.map((record) => ledger.begin(record, estimate));
    const closed = ledger.close(1_000);
    for (const record of records) ledger.settle(serve(record, clock));
    valve.release();
    await Promise.all([...noted, closed]);
    assert.deepEqual(
      (await readRows()).map(({ state }) => state),
      ["served", "served"],
    );
    assert.equal((await refusalOf(ledger.begin(arrive(clock), estimate))).reason, "ledger_unavailable");
  });

  it("is closed after its time, and says what that lost", async () => {
    const ledger = open();
    valve.fail(full);
    ledger.settle(serve(arrive(clock), clock));
    const closed = ledger.close(1_000);
    await settleTasks();
    await clock.advance(1_000);
    await closed;
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["failing", "lost"],
    );
  });
});

describe("the end of a call, for which nobody waits", () => {
  it("goes with the next intent", async () => {
    const ledger = open(true, 10);
    const record = arrive(clock);
    await ledger.begin(record, estimate);
    ledger.settle(serve(record, clock));
    await ledger.begin(arrive(clock), estimate);
    assert.deepEqual(
      valve.batches.map(({ length }) => length),
      [1, 2],
    );
    assert.equal(clock.armedCount, 0);
  });

  it("goes by itself after ten milliseconds, with whatever came meanwhile", async () => {
    const ledger = open(true, 10);
    const records = [arrive(clock), arrive(clock)] as const;
    for (const record of records) await ledger.begin(record, estimate);
    await settleTasks();
    ledger.settle(serve(records[0], clock));
    await clock.advance(6);
    ledger.settle(serve(records[1], clock));
    await clock.advance(3);
    assert.equal(valve.batches.length, 2);
    await clock.advance(1);
    await isIdle(ledger);
    assert.deepEqual(
      valve.batches.map(({ length }) => length),
      [1, 1, 2],
    );
  });

  it("does not wait when there are enough of them for a batch", async () => {
    const ledger = open(true, 10);
    for (let count = 0; count < 499; count++) ledger.settle(arrive(clock, { refusal: new Refusal("queue_full") }));
    assert.equal(valve.batches.length, 0);
    ledger.settle(arrive(clock, { refusal: new Refusal("queue_full") }));
    await isIdle(ledger);
    assert.deepEqual(
      valve.batches.map(({ length }) => length),
      [500],
    );
  });

  it("does not wait when the ledger is closed", async () => {
    const ledger = open(true, 10);
    ledger.settle(serve(arrive(clock), clock));
    await ledger.close(1_000);
    assert.equal((await readRows()).length, 1);
  });
});

describe("a strict ledger that fails", () => {
  it("refuses calls that wait for their intent, and new ones at once, until it works again", async () => {
    const ledger = open();
    valve.hold();
    valve.fail(full);
    const waiting = [ledger.begin(arrive(clock), estimate), ledger.begin(arrive(clock), estimate)];
    valve.release();
    for (const noted of waiting) {
      const { reason, status, facts } = await refusalOf(noted);
      assert.deepEqual([reason, status, facts.retryAfterMs], ["ledger_unavailable", 503, 1_000]);
    }
    const asked = valve.batches.length;
    await refusalOf(ledger.begin(arrive(clock), estimate));
    assert.equal(valve.batches.length, asked, "nothing is tried within the pause");
    assert.equal(ledger.gauges().isFailing, true);

    valve.fail(null);
    await clock.advance(1_000);
    await ledger.begin(arrive(clock), estimate);
    assert.equal(ledger.gauges().isFailing, false);
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["failing", "recovered"],
    );
  });

  it("keeps the ends of calls that were noted, and writes them when it works again", async () => {
    const ledger = open();
    const records = Array.from({ length: 3 }, () => arrive(clock));
    await Promise.all(records.map((record) => ledger.begin(record, estimate)));
    valve.fail(full);
    for (const record of records) ledger.settle(serve(record, clock));
    for (let second = 0; second < 20; second++) {
      await settleTasks();
      await clock.advance(1_000);
    }
    assert.equal(ledger.gauges().waiting, 3);
    valve.fail(null);
    await clock.advance(1_000);
    await isIdle(ledger);
    assert.deepEqual(
      (await readRows()).map(({ state }) => state),
      ["served", "served", "served"],
    );
    assert.equal(ledger.gauges().lost, 0);
  });

  it("keeps 10,000 records of calls that it refused, then drops the oldest, and never one that was noted", async () => {
    const ledger = open();
    const noted = [arrive(clock), arrive(clock)] as const;
    for (const record of noted) await ledger.begin(record, estimate);
    valve.fail(full);
    // The first one's failing begins the pause, in which the second one ends.
    ledger.settle(serve(noted[0], clock));
    await settleTasks();
    ledger.settle(serve(noted[1], clock));
    const refuse = () => {
      const record = arrive(clock, { refusal: new Refusal("ledger_unavailable") });
      void ledger.begin(record, estimate).catch(() => {});
      ledger.settle(record);
      return record.id;
    };
    const first = refuse();
    for (let count = 1; count < 10_000; count++) refuse();
    assert.equal(ledger.gauges().lost, 0);
    const last = refuse();
    assert.equal(ledger.gauges().lost, 1);
    assert.equal(alarms.at(-1)?.what, "lost");

    valve.fail(null);
    await clock.advance(1_000);
    await isIdle(ledger);
    const ids = new Set((await readRows()).map(({ id }) => id));
    assert.equal(ids.size, 10_002);
    assert.ok(noted.every(({ id }) => ids.has(id)));
    assert.deepEqual([ids.has(first), ids.has(last)], [false, true]);
  });

  it("tells of a failure once, reminds each minute, and tells when it is over", async () => {
    const ledger = open();
    valve.fail(full);
    ledger.settle(serve(arrive(clock), clock));
    for (let second = 0; second < 150; second++) {
      await settleTasks();
      await clock.advance(1_000);
    }
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["failing", "failing", "failing"],
    );
    assert.match(alarms[0]?.text ?? "", /no space left.*calls are refused/);
    valve.fail(null);
    await clock.advance(1_000);
    await isIdle(ledger);
    assert.deepEqual(alarms.map(({ what }) => what).slice(3), ["recovered"]);
  });

  it("takes a write that does not return for a failure, after five seconds", async () => {
    const ledger = open();
    valve.hold();
    const stalled = arrive(clock);
    const noted = ledger.begin(stalled, estimate);
    await clock.advance(4_999);
    assert.equal(ledger.gauges().isFailing, false);
    await clock.advance(1);
    assert.equal((await refusalOf(noted)).reason, "ledger_unavailable");
    assert.equal((await refusalOf(ledger.begin(arrive(clock), estimate))).reason, "ledger_unavailable");
    ledger.settle(Object.assign(stalled, { refusal: new Refusal("ledger_unavailable") }));
    valve.release();
    await isIdle(ledger);
    await ledger.begin(arrive(clock), estimate);
    assert.deepEqual((await readRows()).map(({ state }) => state).sort(), ["open", "refused"]);
  });
});

describe("a lenient ledger that fails", () => {
  it("lets calls go on and writes their records when it works again", async () => {
    const ledger = open(false);
    valve.fail(full);
    const records = Array.from({ length: 4 }, () => arrive(clock));
    for (const record of records) await ledger.begin(record, estimate);
    for (const record of records.slice(1)) ledger.settle(serve(record, clock));
    valve.fail(null);
    await clock.advance(1_000);
    await isIdle(ledger);
    assert.deepEqual((await readRows()).map(({ state }) => state).sort(), ["open", "served", "served", "served"]);
    assert.deepEqual(
      alarms.map(({ what }) => what),
      ["failing", "recovered"],
    );
    assert.match(alarms[0]?.text ?? "", /calls go on/);
  });

  it("keeps 10,000 ends, then drops the oldest and counts them", async () => {
    const ledger = open(false);
    valve.fail(full);
    const records = Array.from({ length: 10_002 }, () => arrive(clock));
    await ledger.begin(records[0] as CallRecord, estimate);
    await settleTasks();
    for (const record of records.slice(0, 10_000)) ledger.settle(serve(record, clock));
    assert.equal(ledger.gauges().lost, 0);
    for (const record of records.slice(10_000)) ledger.settle(serve(record, clock));
    assert.equal(ledger.gauges().lost, 2);
    valve.fail(null);
    await clock.advance(1_000);
    await isIdle(ledger);
    const ids = new Set((await readRows()).map(({ id }) => id));
    assert.deepEqual(
      records.filter(({ id }) => !ids.has(id)),
      records.slice(0, 2),
    );
    assert.match(alarms.at(-2)?.text ?? "", /2 records/);
    assert.equal(alarms.at(-1)?.what, "recovered");
  });

  it("lets calls go on while a write does not return", async () => {
    const ledger = open(false);
    valve.hold();
    const noted = ledger.begin(arrive(clock), estimate);
    await clock.advance(5_000);
    await noted;
    await ledger.begin(arrive(clock), estimate);
    valve.release();
    await isIdle(ledger);
    assert.equal((await readRows()).length, 2);
  });
});

describe("a record that the database refuses", () => {
  it("is given up alone and named: the others of its batch are written", async () => {
    const ledger = open();
    valve.hold();
    const first = ledger.begin(arrive(clock), estimate);
    const records = Array.from({ length: 40 }, (_, index) =>
      // No surface: against a rule of the table.
      arrive(clock, index === 17 ? { surface: null as never } : {}),
    );
    const noted = records.map((record) => ledger.begin(record, estimate));
    valve.release();
    const outcomes = await Promise.allSettled([first, ...noted]);
    assert.deepEqual(
      outcomes.flatMap(({ status }, index) => (status === "rejected" ? [index - 1] : [])),
      [17],
    );
    assert.equal((await readRows()).length, 40);
    assert.deepEqual(
      alarms.map(({ what, id }) => [what, id]),
      [["unwritable", records[17]?.id]],
    );
    assert.equal(ledger.gauges().isFailing, false);
  });

  it("is not looked for while nothing can be written", async () => {
    const ledger = open(false);
    valve.hold();
    const first = ledger.begin(arrive(clock), estimate);
    for (let count = 0; count < 8; count++) void ledger.begin(arrive(clock), estimate);
    valve.fail((changes) => (changes.length === 8 ? new Error("one of them") : changes.length === 4 ? full() : null));
    valve.release();
    await first;
    await settleTasks();
    assert.deepEqual(
      valve.batches.map(({ length }) => length),
      [1, 8, 4],
    );
    assert.equal(ledger.gauges().waiting, 8);
  });

  it("is lost when it is an end, and counted", async () => {
    const ledger = open();
    ledger.settle(serve(arrive(clock, { surface: null as never }), clock));
    await isIdle(ledger);
    assert.equal(ledger.gauges().lost, 1);
  });
});

describe("a ledger, whatever happens in whatever order", () => {
  it("has each call that ended exactly once, with the charge of its end, and never forgot one it said was noted", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant("begin") },
      { weight: 6, arbitrary: fc.constant("send") },
      { weight: 6, arbitrary: fc.constant("settle") },
      { weight: 2, arbitrary: fc.constant("hold") },
      { weight: 2, arbitrary: fc.constant("release") },
      { weight: 1, arbitrary: fc.constant("fail") },
      { weight: 1, arbitrary: fc.constant("work") },
      { weight: 2, arbitrary: fc.constant("wait") },
      { weight: 1, arbitrary: fc.constant("crash of commit") },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60, size: "max" }),
        fc.boolean(),
        fc.boolean(),
        async (steps, isStrict, lingers) => {
          await store.db.deleteFrom("calls").execute();
          const ledger = open(isStrict, lingers ? 10 : 0);
          const records: CallRecord[] = [];
          const noted = new Set<string>();
          let settled = 0;
          const settleNext = () => {
            const record = records[settled];
            if (!record) return;
            settled++;
            ledger.settle(serve(record, clock));
          };
          for (const name of steps) {
            if (name === "begin") {
              const record = arrive(clock);
              records.push(record);
              ledger.begin(record, estimate).then(
                () => noted.add(record.id),
                () => {},
              );
            } else if (name === "settle") settleNext();
            else if (name === "send") {
              // Also of calls that have ended, and again.
              const record = records[Math.max(0, settled - 1)];
              if (record) ledger.markSent(Object.assign(record, { sentAt: clock.now() }));
            } else if (name === "hold") valve.hold();
            else if (name === "release") valve.release();
            else if (name === "fail") valve.fail(full);
            else if (name === "work") valve.fail(null);
            else if (name === "wait") await clock.advance(1_000);
            else {
              // It was committed, and nobody heard of it.
              const toStatements = createToStatements(store);
              valve.fail((changes) => {
                void store.writeBatch(toStatements(changes));
                return full();
              });
            }
            await settleTasks();
          }
          valve.release();
          valve.fail(null);
          await clock.advance(6_000);
          while (settled < records.length) settleNext();
          await until("the ledger is idle", async () => {
            await clock.advance(10);
            return ledger.gauges().waiting === 0;
          });
          const rows = await readRows();
          assert.deepEqual(rows.map(({ id }) => id).sort(), records.map(({ id }) => id).sort());
          for (const { state, cost_micros } of rows)
            assert.deepEqual([state, cost_micros], ["served", charge.costMicros]);
          for (const id of noted) assert.ok(rows.some((row) => row.id === id));
          assert.equal(ledger.gauges().lost, 0);
        },
      ),
      { numRuns: 150 },
    );
  });
});

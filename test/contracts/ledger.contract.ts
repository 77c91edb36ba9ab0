// What the ledger, its call log and its sums promise on every store. Called once for each store.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Refusal } from "../../src/base/refusal.ts";
import type { LedgerAlarm } from "../../src/ledger/alarms.ts";
import { createCalendar } from "../../src/ledger/calendar-day.ts";
import type { UsageQuery } from "../../src/ledger/call-log.ts";
import type { Content } from "../../src/ledger/change.ts";
import { sumChargesSince } from "../../src/ledger/charge-sums.ts";
import { type OpenedLedger, type OpenLedgerOptions, openLedger } from "../../src/ledger/open-ledger.ts";
import { prune } from "../../src/ledger/prune.ts";
import type { CallRecord } from "../../src/ledger/record.ts";
import { createCallLog } from "../../src/ledger/stored-call-log.ts";
import type { Store } from "../../src/store/store.ts";
import { arrive, charge, estimate, isIdle, serve } from "../support/call-records.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";
import type { FreshStore } from "../support/stores.ts";
import { until } from "../support/until.ts";

const hourMs = 3_600_000;
const timeZone = "Europe/Berlin";
/** Berlin's clocks go back an hour in the night from the 24th to the 25th of October. */
const longDay = "2026-10-25";
const everything: Pick<UsageQuery, "from" | "to"> = { from: null, to: null };

/** `makeFresh` makes a place with nothing in it, for one test. */
export function ledgerContract(makeFresh: () => Promise<FreshStore>): void {
  let store: Store;
  let folder: string;
  let clock: ManualClock;
  let opened: OpenedLedger[];
  let alarms: LedgerAlarm[];

  beforeEach(async () => {
    store = await (await makeFresh()).open();
    folder = mkdtempSync(join(tmpdir(), "glm-proxy-ledger-"));
    clock = createManualClock(0, Date.parse("2026-10-20T12:00:00Z"));
    opened = [];
    alarms = [];
  });
  afterEach(async () => {
    for (const { ledger } of opened) await ledger.close(1_000);
    rmSync(folder, { recursive: true });
  });

  async function start(more: Partial<OpenLedgerOptions> = {}): Promise<OpenedLedger> {
    const one = await openLedger({
      store,
      dataFolder: folder,
      isStrict: true,
      spoolBytesMax: 1024 * 1024,
      lingerMs: 0,
      clock,
      onAlarm: (alarm) => void alarms.push(alarm),
      ...more,
    });
    opened.push(one);
    return one;
  }

  /** As if the process had died: what is in the database and in the spool stays, all else is gone. */
  async function restart(): Promise<OpenedLedger> {
    for (const { ledger } of opened) await ledger.close(1_000);
    opened = [];
    return start();
  }

  /** Everything is in the database, not in the spool alone. */
  async function arrived({ ledger }: OpenedLedger): Promise<void> {
    await isIdle(ledger);
    await until("the spool is empty", () => ledger.gauges().spooled === 0);
  }

  async function record(one: OpenedLedger, more: Partial<CallRecord> = {}, end: Partial<CallRecord> = {}) {
    const call = arrive(clock, more);
    await one.ledger.begin(call, estimate);
    one.ledger.settle(serve(call, clock, end));
    // Before the clock moves on, or that write would seem to take so long.
    await isIdle(one.ledger);
    return call;
  }

  describe("the ledger", () => {
    it("notes a call before it is sent, and its end", async () => {
      const one = await start();
      const call = arrive(clock, { groupId: "lab", keyId: "key-1" });
      await one.ledger.begin(call, estimate);
      await arrived(one);
      const log = createCallLog(store, timeZone);
      const open = await log.find(call.id);
      assert.deepEqual([open?.state, open?.promptTokens, open?.endedAt, open?.status], ["open", 100, null, null]);

      await clock.advance(250);
      one.ledger.settle(serve(call, clock));
      await arrived(one);
      const arrivedAt = Date.parse("2026-10-20T12:00:00Z");
      assert.deepEqual(await log.find(call.id), {
        id: call.id,
        requestId: "request-1",
        state: "served",
        user: "ada",
        group: "lab",
        keyId: "key-1",
        surface: "openai",
        model: "glm-4.5-flash",
        upstreamKey: "default",
        isStream: true,
        arrivedAt,
        grantedAt: arrivedAt + 5,
        sentAt: arrivedAt + 6,
        firstByteAt: arrivedAt + 40,
        endedAt: arrivedAt + 250,
        bytesIn: 120,
        bytesOut: 900,
        events: 9,
        tries: 0,
        queuePosition: 1,
        requests: 1,
        promptTokens: 11,
        completionTokens: 7,
        tokensSource: "reported",
        costMicros: 25,
        status: 200,
        reason: null,
        upstreamStatus: 200,
        upstreamCode: null,
        upstreamRequestId: null,
        finishReason: "stop",
      });
    });

    it("calls unknown what a process that died left open, and charges what was sent of it by its estimate", async () => {
      const one = await start();
      assert.equal(one.unknownCount, 0);
      await record(one);
      const [queued, sent, triedAgain] = [arrive(clock), arrive(clock), arrive(clock)];
      for (const left of [queued, sent, triedAgain]) await one.ledger.begin(left, estimate);
      for (const left of [sent, triedAgain]) {
        Object.assign(left, { grantedAt: clock.now(), upstreamKey: "first", sentAt: clock.now() });
        one.ledger.markSent(left);
      }
      await arrived(one);
      const sentAt = Math.round(clock.wallNow());
      await clock.advance(1_000);
      one.ledger.markSent(Object.assign(triedAgain, { tryCount: 1, upstreamKey: "second", sentAt: clock.now() }));
      await arrived(one);
      await clock.advance(60_000);
      const { unknownCount } = await restart();
      assert.equal(unknownCount, 3);
      const rows = await store.db.selectFrom("calls").selectAll().where("state", "=", "unknown").execute();
      const free = [0, 0, 0, 0, "none"];
      const estimated = [1, estimate.promptTokens, estimate.completionTokens, estimate.costMicros, "estimated"];
      for (const [left, charged, mark] of [
        [queued, free, [null, null, 0]],
        [sent, estimated, [sentAt, "first", 0]],
        [triedAgain, estimated, [sentAt + 1_000, "second", 1]],
      ] as const) {
        const found = rows.find(({ id }) => id === left.id);
        assert.equal(found?.ended_at, clock.wallNow());
        const { requests, prompt_tokens, completion_tokens, cost_micros, tokens_source } = found;
        assert.deepEqual([requests, prompt_tokens, completion_tokens, cost_micros, tokens_source], charged);
        assert.deepEqual([found.sent_at, found.upstream_key, found.tries], mark);
      }
      assert.equal((await restart()).unknownCount, 0, "it is judged once");
    });

    it("puts right what was called unknown when its end comes late", async () => {
      const one = await start();
      const call = arrive(clock);
      await one.ledger.begin(call, estimate);
      await arrived(one);
      await store.db.updateTable("calls").set({ state: "unknown" }).execute();
      one.ledger.settle(serve(call, clock));
      await arrived(one);
      assert.equal((await createCallLog(store, timeZone).find(call.id))?.state, "served");
    });

    it("stores whatever a client chose for texts", async () => {
      const one = await start();
      const call = await record(one, { callId: "\0\ud800'; drop table calls; --", model: "\0" });
      await arrived(one);
      const found = await createCallLog(store, timeZone).find(call.id);
      assert.deepEqual([found?.requestId, found?.model], ["\ufffd\ufffd'; drop table calls; --", "\ufffd"]);
      assert.deepEqual(alarms, []);
    });

    it("stores what was said beside the record, when there is anything", async () => {
      const content: Content = { prompt: "question", answer: "answer", storedAt: 5 };
      const contents = new Map<CallRecord, Content>();
      const one = await start({ contentOf: (call) => contents.get(call) ?? null });
      const call = arrive(clock);
      contents.set(call, content);
      one.ledger.settle(serve(call, clock));
      one.ledger.settle(serve(arrive(clock), clock));
      await arrived(one);
      const stored = await store.db.selectFrom("call_contents").selectAll().execute();
      assert.deepEqual(
        stored.map((row) => ({ ...row })),
        [{ call_id: call.id, prompt: "question", answer: "answer", stored_at: 5 }],
      );
    });
  });

  describe("the call log", () => {
    it("lists calls from the newest on, page by page", async () => {
      const one = await start();
      const calls: CallRecord[] = [];
      for (let count = 0; count < 5; count++) {
        calls.push(await record(one));
        await clock.advance(2);
      }
      await arrived(one);
      const log = createCallLog(store, timeZone);
      const newest = calls.map(({ id }) => id).reverse();
      const first = await log.list({ limit: 2 });
      assert.deepEqual(
        first.map(({ id }) => id),
        newest.slice(0, 2),
      );
      const rest = await log.list({ limit: 10, beforeId: newest[1] as string });
      assert.deepEqual(
        rest.map(({ id }) => id),
        newest.slice(2),
      );
    });

    it("finds what a filter says, and takes its every sign literally", async () => {
      const one = await start();
      await record(one, { userId: "ada", groupId: "lab", keyId: "k1", model: "glm-5", callId: "r1" });
      await clock.advance(1_000);
      await record(one, { userId: "a%", groupId: "l_b", keyId: "k2", model: "glm%", callId: "r2" });
      await clock.advance(1_000);
      one.ledger.settle(arrive(clock, { userId: "a_a", refusal: new Refusal("queue_full"), callId: "r3" }));
      await arrived(one);
      const log = createCallLog(store, timeZone);
      const find = async (filter: object) =>
        (await log.list({ limit: 10, ...filter })).map(({ requestId }) => requestId);
      assert.deepEqual(await find({ user: "ada" }), ["r1"]);
      for (const pattern of ["a%", "a_a", "%", "' or 1=1 --"]) {
        const expected = { "a%": ["r2"], a_a: ["r3"] }[pattern] ?? [];
        assert.deepEqual(await find({ user: pattern }), expected, pattern);
      }
      assert.deepEqual(await find({ group: "l_b" }), ["r2"]);
      assert.deepEqual(await find({ key: "k1" }), ["r1"]);
      assert.deepEqual(await find({ model: "glm%" }), ["r2"]);
      assert.deepEqual(await find({ state: "refused" }), ["r3"]);
      assert.deepEqual(await find({ requestId: "r2" }), ["r2"]);
      const second = Date.parse("2026-10-20T12:00:01Z");
      assert.deepEqual(await find({ from: second }), ["r3", "r2"]);
      assert.deepEqual(await find({ to: second }), ["r1"]);
      assert.deepEqual(await find({ from: second, to: second + 1 }), ["r2"]);
      assert.equal(await log.find("no such id"), undefined);
    });
  });

  describe("sums", () => {
    /** A call each hour, from a day before the long day to a day after it. */
    async function fill(one: OpenedLedger): Promise<number> {
      await clock.advance(Date.parse("2026-10-23T22:00:00Z") - clock.wallNow());
      for (let hour = 0; hour < 24 + 25 + 24; hour++) {
        const userId = hour % 3 === 0 ? "ada" : "bob";
        const more = { userId, groupId: userId === "bob" ? "lab" : null, keyId: hour % 2 === 0 ? "k1" : null };
        if (hour % 5 === 4) one.ledger.settle(arrive(clock, { ...more, refusal: new Refusal("queue_timeout") }));
        else await record(one, more);
        await isIdle(one.ledger);
        await clock.advance(hourMs);
      }
      await arrived(one);
      return 24 + 25 + 24;
    }

    it("has days as long as they are", async () => {
      await fill(await start());
      const rows = await createCallLog(store, timeZone).sumUsage({ by: "day", ...everything });
      assert.deepEqual(
        rows.map(({ name: day, calls }) => [day, calls]),
        [
          ["2026-10-24", 24],
          [longDay, 25],
          ["2026-10-26", 24],
        ],
      );
    });

    it("adds up to the records, by whatever they are told apart", async () => {
      await fill(await start());
      const log = createCallLog(store, timeZone);
      const records = await log.list({ limit: 200 });
      const add = (of: (row: (typeof records)[number]) => number) => records.reduce((sum, row) => sum + of(row), 0);
      for (const by of ["user", "group", "key", "model", "day"] as const) {
        const rows = await log.sumUsage({ by, ...everything });
        const total = (field: "calls" | "served" | "requests" | "promptTokens" | "completionTokens" | "costMicros") =>
          rows.reduce((sum, row) => sum + row[field], 0);
        assert.equal(total("calls"), records.length, by);
        assert.equal(total("served"), records.filter(({ state }) => state === "served").length);
        assert.equal(
          total("requests"),
          add(({ requests }) => requests),
        );
        assert.equal(
          total("promptTokens"),
          add(({ promptTokens }) => promptTokens),
        );
        assert.equal(
          total("completionTokens"),
          add(({ completionTokens }) => completionTokens),
        );
        assert.equal(
          total("costMicros"),
          add(({ costMicros }) => costMicros),
        );
      }
      const users = await log.sumUsage({ by: "user", ...everything });
      assert.deepEqual(
        users.map((row) => row.name),
        ["ada", "bob"],
      );
      const groups = await log.sumUsage({ by: "group", ...everything, user: "bob" });
      assert.deepEqual(
        groups.map((row) => row.name),
        ["lab"],
      );
      assert.deepEqual(
        (await log.sumUsage({ by: "key", ...everything })).map((row) => row.name),
        ["", "k1"],
      );
    });

    it("stay the same when calls are pruned, whatever is asked of whole days", async () => {
      await fill(await start());
      const log = createCallLog(store, timeZone);
      const calendar = createCalendar(timeZone);
      const from = calendar.startOf(longDay);
      const queries: UsageQuery[] = (["user", "group", "key", "model", "day"] as const).flatMap((by) => [
        { by, ...everything },
        { by, from, to: null },
        { by, from: null, to: from },
        { by, ...everything, user: "bob" },
        { by, ...everything, key: "k1", group: "lab" },
      ]);
      const sumAll = () => Promise.all(queries.map((query) => log.sumUsage(query)));
      const before = await sumAll();
      const charges = await readCharges();
      const bounds = { contentsBefore: 0, isWanted: () => true };
      // In the middle of the long day: the day before becomes sums, the long day stays.
      const pruned = await prune(store, calendar, { ...bounds, callsBefore: from + 12 * hourMs });
      assert.equal(pruned.calls, 24);
      assert.equal((await log.list({ limit: 200 })).length, 25 + 24);
      assert.deepEqual(await sumAll(), before);
      assert.deepEqual(await readCharges(), charges);
      assert.equal((await prune(store, calendar, { ...bounds, callsBefore: from + 72 * hourMs })).calls, 49);
      assert.deepEqual(await log.list({ limit: 200 }), []);
      assert.deepEqual(await sumAll(), before);
      assert.deepEqual(await readCharges(), charges);
    });

    async function readCharges() {
      const froms = [null, createCalendar(timeZone).startOf(longDay), createCalendar(timeZone).startOf("2026-10-26")];
      const sums = await Promise.all(froms.map((from) => sumChargesSince(store, from, timeZone)));
      return sums.map((rows) => {
        const merged = new Map<string, number[]>();
        for (const { user, group, keyId, requests, tokens, costMicros } of rows) {
          const scope = JSON.stringify([user, group, keyId]);
          const known = merged.get(scope) ?? [0, 0, 0];
          merged.set(
            scope,
            [requests, tokens, costMicros].map((amount, index) => amount + (known[index] as number)),
          );
        }
        return Array.from(merged).sort();
      });
    }

    it("say what everybody was charged since a moment, refused calls for nothing", async () => {
      const one = await start();
      await record(one, { userId: "ada", keyId: "k1" });
      await clock.advance(hourMs);
      const since = clock.wallNow();
      await record(one, { userId: "ada", keyId: "k1" });
      await record(one, { userId: "ada", groupId: "lab" });
      one.ledger.settle(arrive(clock, { userId: "bob", refusal: new Refusal("queue_full") }));
      await arrived(one);
      const sum = { requests: 1, tokens: charge.promptTokens + charge.completionTokens, costMicros: charge.costMicros };
      const sums = await sumChargesSince(store, since, timeZone);
      assert.deepEqual(
        sums
          .map((row) => ({ ...row }))
          .sort((row, other) => (row.user + row.keyId < other.user + other.keyId ? -1 : 1)),
        [
          { user: "ada", group: null, keyId: "k1", ...sum },
          { user: "ada", group: "lab", keyId: null, ...sum },
          { user: "bob", group: null, keyId: null, requests: 0, tokens: 0, costMicros: 0 },
        ],
      );
    });

    it("leave open calls and young contents where they are when pruning", async () => {
      const content = { prompt: "q", answer: "a" };
      const one = await start({ contentOf: () => ({ ...content, storedAt: clock.wallNow() }) });
      const open = arrive(clock);
      await one.ledger.begin(open, estimate);
      const old = await record(one);
      await clock.advance(48 * hourMs);
      const young = await record(one);
      await arrived(one);
      const bounds = { contentsBefore: clock.wallNow() - 24 * hourMs, isWanted: () => true };
      const pruned = await prune(store, createCalendar(timeZone), { ...bounds, callsBefore: 0 });
      assert.deepEqual(pruned, { calls: 0, contents: 1 });
      const left = await store.db.selectFrom("call_contents").select("call_id").execute();
      assert.deepEqual(
        left.map(({ call_id }) => call_id),
        [young.id],
      );
      const { calls } = await prune(store, createCalendar(timeZone), { ...bounds, callsBefore: clock.wallNow() });
      assert.equal(calls, 1);
      const log = createCallLog(store, timeZone);
      assert.deepEqual(
        (await log.list({ limit: 9 })).map(({ id }) => id),
        [young.id, open.id],
      );
      assert.equal(await log.find(old.id), undefined);
    });

    it("are right however many processes prune at once", async () => {
      await fill(await start());
      const log = createCallLog(store, timeZone);
      const before = await log.sumUsage({ by: "user", ...everything });
      const bounds = { callsBefore: clock.wallNow() + 48 * hourMs, contentsBefore: 0, isWanted: () => true };
      const runs = await Promise.all([1, 2, 3].map(() => prune(store, createCalendar(timeZone), bounds)));
      assert.equal(
        runs.reduce((sum, { calls }) => sum + calls, 0),
        73,
      );
      assert.deepEqual(await log.sumUsage({ by: "user", ...everything }), before);
    });
  });
}

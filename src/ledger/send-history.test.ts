import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { arrive, estimate, isIdle, serve } from "../../test/support/call-records.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import type { Ledger } from "./ledger.ts";
import { openLedger } from "./open-ledger.ts";
import type { CallRecord } from "./record.ts";
import { readSendHistory, type SendHistory } from "./send-history.ts";

const wallStart = Date.UTC(2026, 10, 23);
const windowMs = 60_000;
const hourMs = 3_600_000;

describe("readSendHistory()", () => {
  let store: Store;
  let clock: ManualClock;
  let ledger: Ledger;

  beforeEach(async () => {
    store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
    clock = createManualClock(1_000_000, wallStart);
  });
  afterEach(() => store.close());

  /** A process begins, with the clocks as they are then. */
  async function start(): Promise<SendHistory> {
    const options = { store, dataFolder: "", isStrict: true, spoolBytesMax: 1, clock, onAlarm: () => {}, lingerMs: 0 };
    const opened = await openLedger(options);
    ledger = opened.ledger;
    return readSendHistory({ store, instance: opened.instance, clock, windowMs, callMsMax: hourMs });
  }

  async function send(more: Partial<CallRecord> = {}): Promise<CallRecord> {
    const record = arrive(clock);
    await ledger.begin(record, estimate);
    Object.assign(record, { grantedAt: clock.now(), sentAt: clock.now(), upstreamKey: "first" }, more);
    ledger.markSent(record);
    await isIdle(ledger);
    return record;
  }

  async function end(record: CallRecord, more: Partial<CallRecord> = {}): Promise<void> {
    const { sentAt, grantedAt, upstreamKey } = record;
    ledger.settle(serve(record, clock, { sentAt, grantedAt, upstreamKey, ...more }));
    await isIdle(ledger);
  }

  /** The wall clock is put forward or back, or the machine boots, which sets the other one back. */
  function moveClocks(wallMs: number, bootedAt = clock.now()): void {
    clock = createManualClock(bootedAt, clock.wallNow() + wallMs);
  }

  /** Never earlier than it was, and later by no more than the clocks may be inexact. */
  function assertAbout(at: number | undefined, expected: number): void {
    assert.ok(at !== undefined && at >= expected && at <= expected + 60, `${at}, not ${expected}`);
  }

  it("says when calls were sent and ended, and what they used", async () => {
    assert.deepEqual(await start(), { calls: [], unknownUntil: null });
    const record = await send();
    const sentAt = clock.now();
    await clock.advance(500);
    await end(record);
    const endedAt = clock.now();
    await clock.advance(2_000);
    const { calls, unknownUntil } = await start();
    assert.equal(unknownUntil, null);
    const [call] = calls;
    assert.deepEqual(
      [calls.length, call?.upstreamKey, call?.model, call?.surface],
      [1, "first", "glm-4.5-flash", "openai"],
    );
    assert.deepEqual([call?.tokens, call?.wasCut], [18, false]);
    assertAbout(call?.sentAt, sentAt);
    assertAbout(call?.endedAt, endedAt);
  });

  it("takes a call whose process died for sent when it was noted, else for sent at the last moment by any key", async () => {
    await start();
    await send();
    const sentAt = clock.now();
    await ledger.begin(arrive(clock), estimate);
    await clock.advance(700);
    const { calls } = await start();
    const [noted, waiting] = calls.toSorted((one, other) => one.sentAt - other.sentAt);
    assert.equal(calls.length, 2);
    assertAbout(noted?.sentAt, sentAt);
    assert.deepEqual([noted?.upstreamKey, noted?.tokens, noted?.wasCut], ["first", 600, true]);
    assertAbout(waiting?.sentAt, clock.now());
    assert.deepEqual([waiting?.upstreamKey, waiting?.wasCut], [null, true]);
  });

  it("counts each try, also of a call whose last one was never sent", async () => {
    await start();
    await end(await send({ tryCount: 2 }));
    await end(await send({ tryCount: 1 }), { sentAt: null, outcome: "refused" });
    const { calls } = await start();
    assert.deepEqual(calls.map(({ upstreamKey }) => upstreamKey).sort(), ["first", null, null, null]);
  });

  it("leaves out what no window reaches back to, and what was never sent", async () => {
    await start();
    await end(await send());
    await clock.advance(windowMs + 1);
    await end(await send(), { sentAt: null, outcome: "refused" });
    assert.deepEqual((await start()).calls, []);
  });

  for (const [what, move] of [
    ["the wall clock was put back", () => moveClocks(-hourMs)],
    ["the wall clock was put forward", () => moveClocks(hourMs)],
    ["the wall clock was put forward by a second", () => moveClocks(1_000)],
    ["the machine has booted", () => moveClocks(30_000, 5_000)],
    ["it is another machine", () => moveClocks(-5_000, 9e9)],
  ] as const) {
    it(`knows nothing of before its start when ${what}, and all after that`, async () => {
      await start();
      await end(await send());
      await clock.advance(100);
      move();
      const startedAt = clock.now();
      const { calls, unknownUntil } = await start();
      assertAbout(unknownUntil ?? undefined, startedAt);
      for (const { sentAt, endedAt } of calls) assert.ok(sentAt <= clock.now() && endedAt <= clock.now());

      // The next start, a moment later, knows no more of what was before this one.
      await clock.advance(300);
      assertAbout((await start()).unknownUntil ?? undefined, startedAt);
      await clock.advance(windowMs * 2);
      await end(await send());
      const sentAt = clock.now();
      await clock.advance(100);
      const later = await start();
      assertAbout(later.unknownUntil ?? undefined, startedAt);
      assertAbout(later.calls.find((call) => call.sentAt >= sentAt)?.sentAt, sentAt);
    });
  }

  it("knows nothing of before its start when there are records and no note of the clocks, or a damaged one", async () => {
    await start();
    await end(await send());
    await store.db.updateTable("meta").set({ value: "{" }).where("name", "like", "clock:%").execute();
    assertAbout((await start()).unknownUntil ?? undefined, clock.now());
    await store.db.deleteFrom("meta").where("name", "like", "clock:%").execute();
    assertAbout((await start()).unknownUntil ?? undefined, clock.now());
  });
});

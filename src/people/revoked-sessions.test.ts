import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { createStoreValve, type StoreValve } from "../../test/support/store-valve.ts";
import { openStore } from "../store/open-store.ts";
import { createRevokedSessions, type RevokedSessions } from "./revoked-sessions.ts";

describe("createRevokedSessions()", () => {
  let clock: ManualClock;
  let store: StoreValve;
  let failures: unknown[];
  let opened: RevokedSessions[];

  beforeEach(async () => {
    clock = createManualClock();
    store = createStoreValve(await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true }));
    failures = [];
    opened = [];
  });
  afterEach(async () => {
    for (const one of opened) await one.close();
    await store.close();
  });

  function create(sessionsMax = 3): RevokedSessions {
    const onStoreFailure = (error: unknown) => void failures.push(error);
    const one = createRevokedSessions({ store, clock, onStoreFailure, sessionsMax });
    opened.push(one);
    return one;
  }
  const stored = async () =>
    (await store.db.selectFrom("revoked_sessions").select("session_id").orderBy("until").execute()).map(
      (row) => row.session_id,
    );

  it("remembers as many as it may; beyond, the one goes that would end first", async () => {
    const revoked = create();
    const now = clock.wallNow();
    for (const [id, at] of [
      ["b", 20],
      ["a", 10],
      ["c", 30],
    ] as const)
      await revoked.add(id, now + at * 1_000);
    assert.deepEqual(["a", "b", "c"].map(revoked.has), [true, true, true]);
    await revoked.add("d", now + 40_000);
    assert.deepEqual(["a", "b", "c", "d"].map(revoked.has), [false, true, true, true]);
    assert.deepEqual(await stored(), ["a", "b", "c", "d"]);
    const restarted = create();
    await restarted.load();
    assert.deepEqual(["a", "b", "c", "d"].map(restarted.has), [false, true, true, true]);
  });

  it("counts one that is logged out again for one", async () => {
    const revoked = create();
    for (let count = 0; count < 5; count++) await revoked.add("a", clock.wallNow() + 10_000);
    await revoked.add("b", clock.wallNow() + 20_000);
    assert.deepEqual([revoked.has("a"), await stored()], [true, ["a", "b"]]);
  });

  it("counts at once while the store is away, but does not say that it is durable; it is written when the store is back", async () => {
    const revoked = create();
    store.isAway = true;
    await assert.rejects(revoked.add("a", clock.wallNow() + 100_000), { reason: "store_unavailable" });
    assert.deepEqual([revoked.has("a"), failures.length], [true, 1]);
    await clock.advance(1_000);
    await assert.rejects(revoked.add("b", clock.wallNow() + 100_000), { reason: "store_unavailable" });
    store.isAway = false;
    assert.deepEqual(await stored(), []);
    await clock.advance(1_000);
    await revoked.close();
    assert.deepEqual(await stored(), ["a", "b"]);
  });

  it("writes at the end what could not be written before", async () => {
    const revoked = create();
    store.isAway = true;
    await assert.rejects(revoked.add("a", clock.wallNow() + 100_000), { reason: "store_unavailable" });
    store.isAway = false;
    await revoked.close();
    assert.deepEqual([await stored(), clock.armedCount], [["a"], 0]);
  });

  it("holds no timer while it has nothing to forget", async () => {
    const revoked = create();
    assert.equal(clock.armedCount, 0);
    await revoked.add("a", clock.wallNow() + 1_000);
    assert.equal(clock.armedCount, 1);
    await clock.advance(60_000);
    assert.equal(clock.armedCount, 0);
  });
});

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createManualClock, type ManualClock, settle } from "../../test/support/manual-clock.ts";
import { createStoreValve } from "../../test/support/store-valve.ts";
import { until } from "../../test/support/until.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { createStoredObjects, type StoredObjectsOptions } from "./stored-objects.ts";

const file = (id: string, owner = "ada") => ({ id, kind: "file", upstreamKey: "first", owner, keyId: null });

describe("createStoredObjects()", () => {
  let store: Store;
  let clock: ManualClock;

  before(async () => {
    store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
  });
  after(() => store.close());

  const open = (more: Partial<StoredObjectsOptions> = {}) => {
    clock = createManualClock();
    return createStoredObjects({ store, clock, onFailure: assert.ifError, ...more });
  };
  const count = async () => (await store.db.selectFrom("upstream_objects").select("id").execute()).length;

  it("knows an object at once, and after a new start", async () => {
    const first = open();
    const noted = first.note(file("f-1"));
    const made = { ...file("f-1"), createdAt: clock.wallNow() };
    assert.deepEqual(await first.find("f-1"), made);
    await noted;
    assert.equal(await count(), 1, "it is in the store when it is noted");
    assert.equal(await first.find("f-2"), null);
    await first.close();
    const second = open();
    assert.deepEqual(await second.find("f-1"), made);
    await second.close();
    assert.equal(clock.armedCount, 0);
  });

  it("keeps who was first: an id that is known changes nothing", async () => {
    const objects = open();
    await Promise.all([objects.note(file("f-3")), objects.note(file("f-3", "bob"))]);
    assert.equal((await objects.find("f-3"))?.owner, "ada");
    await objects.close();
  });

  it("lists one owner's of a kind, the newest first, written or not, also after a new start", async () => {
    const first = open();
    for (const [id, owner, kind] of [
      ["l-1", "eva", "file"],
      ["l-2", "bob", "file"],
      ["l-3", "eva", "batch"],
      ["l-4", "eva", "file"],
    ] as const) {
      await first.note({ ...file(id, owner), kind });
      clock.advance(100);
    }
    const noted = first.note(file("l-5", "eva"));
    const ids = async (objects: typeof first) => (await objects.listOwn("eva", "file")).map(({ id }) => id);
    assert.deepEqual(await ids(first), ["l-5", "l-4", "l-1"]);
    const forgotten = first.forget("l-4");
    assert.deepEqual(await ids(first), ["l-5", "l-1"]);
    await Promise.all([noted, forgotten]);
    await first.close();
    const second = open();
    assert.deepEqual(await ids(second), ["l-5", "l-1"]);
    assert.deepEqual(await second.listOwn("nobody", "file"), []);
    await second.close();
  });

  it("forgets at once, and for good", async () => {
    const objects = open();
    await objects.note(file("f-4"));
    const forgotten = objects.forget("f-4");
    assert.equal(await objects.find("f-4"), null);
    await forgotten;
    await objects.close();
    const again = open();
    assert.equal(await again.find("f-4"), null);
    await again.close();
  });

  it("keeps an object with who was first, also when memory has forgotten that", async () => {
    const first = open();
    await first.note(file("f-5"));
    await first.close();
    const second = open();
    await second.note(file("f-5", "bob"));
    assert.equal((await second.find("f-5"))?.owner, "ada");
    await second.close();
  });

  it("goes by what came last of what is noted and forgotten at once", async () => {
    const objects = open();
    await Promise.all([
      objects.note(file("f-6")),
      objects.forget("f-6"),
      objects.note(file("f-6", "bob")),
      objects.note(file("f-7")),
      objects.forget("f-7"),
    ]);
    await objects.close();
    const again = open();
    assert.equal((await again.find("f-6"))?.owner, "bob");
    assert.equal(await again.find("f-7"), null);
    await again.close();
  });

  it("takes no id that can't be one", async () => {
    const objects = open();
    for (const id of ["", "a b", "é", "x".repeat(201)]) {
      await objects.note(file(id));
      assert.equal(await objects.find(id), null);
    }
    await objects.note(file("x".repeat(200)));
    assert.notEqual(await objects.find("x".repeat(200)), null);
    await objects.close();
  });

  it("holds only so many in memory, and finds the others where they are kept", async () => {
    const objects = open({ memoryMax: 2 });
    for (const id of ["m-1", "m-2", "m-3"]) await objects.note(file(id));
    assert.equal((await objects.find("m-1"))?.owner, "ada");
    await objects.close();
  });

  it("serves on from memory while the store is away, and writes when it is back", async () => {
    const valve = createStoreValve(store);
    const failures: unknown[] = [];
    const objects = open({ store: valve, onFailure: (error) => void failures.push(error), backlogMax: 2 });
    await settle();
    valve.isAway = true;
    objects.requireWritable();
    for (const id of ["w-1", "w-2", "w-3"]) {
      await assert.rejects(objects.note(file(id)), { reason: "object_unrecorded", facts: { detail: id } });
    }
    assert.ok(failures.length > 0);
    assert.throws(() => objects.requireWritable(), { reason: "store_unavailable" });
    await objects.forget("w-0");
    assert.equal((await objects.find("w-1"))?.owner, "ada");
    await assert.rejects(objects.find("w-unknown"), { reason: "store_unavailable" });
    valve.isAway = false;
    clock.advance(5_000);
    await until("it works again", () => {
      try {
        objects.requireWritable();
        return true;
      } catch {
        return false;
      }
    });
    await objects.note(file("w-4"));
    await objects.close();
    const rows = await store.db.selectFrom("upstream_objects").select("id").where("id", "like", "w-%").execute();
    assert.deepEqual(rows.map(({ id }) => id).sort(), ["w-3", "w-4"], "beyond the bound, the oldest is lost");
  });

  it("does not let an answer go before it is written, nor wait for that for ever", async () => {
    const valve = createStoreValve(store);
    const write = Promise.withResolvers<void>();
    const slow: Store = {
      ...valve,
      db: valve.db,
      writeBatch: (batch) => write.promise.then(() => store.writeBatch(batch)),
    };
    const objects = open({ store: slow });
    await settle();
    const [first, same] = [objects.note(file("s-1")), objects.note(file("s-1"))];
    let isDone = false;
    void Promise.allSettled([first, same]).then(() => {
      isDone = true;
    });
    clock.advance(4_999);
    await settle();
    assert.equal(isDone, false);
    clock.advance(1);
    for (const noted of [first, same]) await assert.rejects(noted, { reason: "object_unrecorded" });
    write.resolve();
    await objects.close();
    const again = open();
    assert.equal((await again.find("s-1"))?.owner, "ada");
    await again.close();
  });
});

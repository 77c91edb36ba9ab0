import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { onEveryStore } from "../../test/support/stores.ts";
import { listMigrations, migrate, openStore } from "./open-store.ts";
import type { Statement, Store } from "./store.ts";

function note(store: Store, name: string, value = "1"): Statement {
  return store.db.insertInto("meta").values({ name, value }).compile();
}

async function namesIn(store: Store): Promise<string[]> {
  const rows = await store.reads.selectFrom("meta").select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
}

onEveryStore("a store", (fresh) => {
  it("has its tables after it was opened, and changes nothing when it is opened again", async () => {
    const place = await fresh();
    const first = await place.open();
    await first.writeBatch([note(first, "kept")]);
    await first.close();
    const second = await place.open();
    assert.deepEqual(await migrate(second), []);
    assert.ok((await listMigrations(second)).every(({ appliedAt }) => appliedAt !== null));
    assert.deepEqual(await namesIn(second), ["kept"]);
  });

  it("is not opened without its tables by who may not make them", async () => {
    const { target } = await fresh();
    await assert.rejects(openStore(target, { mayMigrate: false }), { name: "StoreError", kind: "unmigrated" });
  });

  it("is not touched when a later version made it", async () => {
    const place = await fresh();
    const store = await place.open();
    const later = { name: "9999-of-tomorrow", timestamp: new Date().toISOString() };
    await store.db
      .insertInto("kysely_migration" as never)
      .values(later as never)
      .execute();
    await store.close();
    const opened = openStore(place.target, { mayMigrate: true });
    await assert.rejects(opened, { kind: "newer", message: /9999-of-tomorrow.*install that version/ });
  });

  it("writes a batch wholly or not at all", async () => {
    const store = await (await fresh()).open();
    await assert.rejects(store.writeBatch([note(store, "a"), note(store, "b"), note(store, "a")]));
    assert.deepEqual(await namesIn(store), []);
    await store.writeBatch([note(store, "a"), note(store, "b")]);
    assert.deepEqual(await namesIn(store), ["a", "b"]);
  });

  it("keeps a batch out of a transaction that is open, and undoes what a transaction throws away", async () => {
    const store = await (await fresh()).open();
    let batch: Promise<void> | null = null;
    const failed = store.db.transaction().execute(async (transaction) => {
      await transaction.insertInto("meta").values({ name: "undone", value: "" }).execute();
      batch = store.writeBatch([note(store, "batch")]);
      await transaction.insertInto("meta").values({ name: "undone too", value: "" }).execute();
      throw new Error("changed my mind");
    });
    await assert.rejects(failed, /changed my mind/);
    await batch;
    assert.deepEqual(await namesIn(store), ["batch"]);
  });

  it("gives sums and times as numbers, and keeps every text that is text", async () => {
    const store = await (await fresh()).open();
    const texts = ["王小明", "'; drop table meta; --", "100%_\\", "\u2028", "🙂", ""];
    await store.writeBatch(texts.map((value, index) => note(store, String(index), value)));
    const rows = await store.db.selectFrom("meta").select("value").orderBy("name").execute();
    assert.deepEqual(
      rows.map(({ value }) => value),
      texts,
    );
    await store.db.insertInto("revoked_sessions").values({ session_id: "s", until: 8_640_000_000_000_000 }).execute();
    const { sum } = await store.db
      .selectFrom("revoked_sessions")
      .select(({ fn }) => fn.sum<number>("until").as("sum"))
      .executeTakeFirstOrThrow();
    assert.equal(sum, 8_640_000_000_000_000);
  });

  it("sorts names and ids by their bytes", async () => {
    const store = await (await fresh()).open();
    await store.writeBatch(["b", "B", "a-b", "ab", "a_b", "é", "Z"].map((name) => note(store, name)));
    assert.deepEqual(await namesIn(store), ["B", "Z", "a-b", "a_b", "ab", "b", "é"]);
  });

  it("refuses what is asked after it was closed", async () => {
    const store = await (await fresh()).open();
    await store.close();
    await assert.rejects(namesIn(store));
    await assert.rejects(store.writeBatch([]));
  });
});

describe("a store in memory", () => {
  const opened: Store[] = [];
  after(() => Promise.all(opened.map((store) => store.close())));

  it("is there at once, belongs to its opener alone, and locks nobody out", async () => {
    for (const name of ["one", "two"]) {
      const store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
      opened.push(store);
      await store.writeBatch([note(store, name)]);
      assert.deepEqual(await namesIn(store), [name]);
    }
  });
});

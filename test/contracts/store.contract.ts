// What every store promises. Called once for each kind by src/store/store.test.ts.

import assert from "node:assert/strict";
import { it } from "node:test";
import { leaveMsMax } from "../../src/store/door.ts";
import { migrations, type NamedMigration } from "../../src/store/migrations.ts";
import { connectStore, listMigrations, migrate, openStore } from "../../src/store/open-store.ts";
import { sql } from "../../src/store/sql.ts";
import type { Statement, Store } from "../../src/store/store.ts";
import { createManualClock } from "../support/manual-clock.ts";
import type { FreshStore } from "../support/stores.ts";

const closed = { name: "StoreError", kind: "unavailable", message: /is closed/ };

function note(store: Store, name: string, value = "1"): Statement {
  return store.db.insertInto("meta").values({ name, value }).compile();
}

async function namesIn(store: Store): Promise<string[]> {
  const rows = await store.reads.selectFrom("meta").select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
}

/** `isKept`: what was written is still there when the store is opened anew. */
export function storeContract(fresh: () => Promise<FreshStore>, { isKept }: { isKept: boolean }): void {
  it("writes a batch wholly or not at all", async () => {
    const store = await (await fresh()).open();
    await assert.rejects(store.writeBatch([note(store, "a"), note(store, "b"), note(store, "a")]));
    assert.deepEqual(await namesIn(store), []);
    await store.writeBatch([note(store, "a"), note(store, "b")]);
    await store.writeBatch([]);
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

  it("does many things at once, each of them wholly", async () => {
    const store = await (await fresh()).open();
    await store.writeBatch([note(store, "sum", "0")]);
    const add = () =>
      store.db.transaction().execute(async (transaction) => {
        const row = transaction.selectFrom("meta").select("value").where("name", "=", "sum");
        const { value } = await (store.kind === "postgres" ? row.forUpdate() : row).executeTakeFirstOrThrow();
        const sum = String(Number(value) + 1);
        await transaction.updateTable("meta").set({ value: sum }).where("name", "=", "sum").execute();
      });
    const batches = Array.from({ length: 20 }, (_, index) => store.writeBatch([note(store, `batch ${index}`)]));
    await Promise.all([...Array.from({ length: 20 }, add), ...batches]);
    const { value } = await store.db
      .selectFrom("meta")
      .select("value")
      .where("name", "=", "sum")
      .executeTakeFirstOrThrow();
    assert.equal(value, "20");
    assert.equal((await namesIn(store)).length, 21);
  });

  it("tells a fault of the statement from one of the database", async () => {
    const store = await (await fresh()).open();
    await store.writeBatch([note(store, "a")]);
    const failing = [
      () => store.writeBatch([note(store, "a")]),
      () => store.db.insertInto("meta").values({ name: "a", value: "" }).execute(),
      () => sql`select nonsense`.execute(store.db),
      () =>
        store.db
          .insertInto("users")
          .values({ name: "x", role: "king" } as never)
          .execute(),
    ];
    for (const fail of failing) await assert.rejects(fail, ({ name }: Error) => name !== "StoreError");
  });

  it("requires of a user's group that it is there", async () => {
    const store = await (await fresh()).open();
    const user = { name: "ada", role: "user", group_name: "nobody", limits: "{}", is_enabled: 1 } as const;
    const times = { tokens_valid_from: 0, created_at: 0, updated_at: 0 };
    await assert.rejects(
      store.db
        .insertInto("users")
        .values({ ...user, ...times })
        .execute(),
      /foreign key/i,
    );
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

  it("keeps U+0000 and half characters as U+FFFD, whichever way they come", async () => {
    const store = await (await fresh()).open();
    await store.writeBatch([note(store, "batch", "a\0b\ud800c")]);
    await store.db.insertInto("meta").values({ name: "q\0", value: "\0" }).execute();
    await store.db
      .transaction()
      .execute((transaction) =>
        transaction.insertInto("meta").values({ name: "transaction", value: "\udfff" }).execute(),
      );
    const rows = await store.reads.selectFrom("meta").select(["name", "value"]).orderBy("name").execute();
    assert.deepEqual(
      rows.map(({ name, value }) => [name, value]),
      [
        ["batch", "a\ufffdb\ufffdc"],
        ["q\ufffd", "\ufffd"],
        ["transaction", "\ufffd"],
      ],
    );
    const found = await store.reads.selectFrom("meta").select("name").where("name", "=", "q\0").execute();
    assert.equal(found.length, 1);
  });

  it("sorts names and ids by their bytes", async () => {
    const store = await (await fresh()).open();
    await store.writeBatch(["b", "B", "a-b", "ab", "a_b", "é", "Z"].map((name) => note(store, name)));
    assert.deepEqual(await namesIn(store), ["B", "Z", "a-b", "a_b", "ab", "b", "é"]);
  });

  it("does what was asked before it was closed, and refuses what is asked later", async () => {
    const store = await (await fresh()).open();
    const asked = [
      ...Array.from({ length: 30 }, (_, index) => store.writeBatch([note(store, `batch ${index}`)])),
      ...Array.from({ length: 30 }, () => namesIn(store)),
    ];
    // Kysely lets some promises pass before it asks.
    await new Promise(setImmediate);
    const closing = [store.close(), store.close()];
    await assert.rejects(store.writeBatch([note(store, "late")]), closed);
    await assert.rejects(namesIn(store), closed);
    await Promise.all([...asked, ...closing]);
    await assert.rejects(store.db.selectFrom("meta").selectAll().execute(), closed);
    await assert.rejects(
      store.db.transaction().execute(() => Promise.resolve()),
      closed,
    );
  });

  it("is closed in the end, whatever a transaction waits for, and undoes it", async () => {
    const place = await fresh();
    const clock = createManualClock();
    const store = await connectStore(place.target, undefined, clock);
    await migrate(store);
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: never, reject: giveUp } = Promise.withResolvers<void>();
    const stuck = store.db.transaction().execute(async (transaction) => {
      await transaction.insertInto("meta").values({ name: "undone", value: "" }).execute();
      begin();
      await never;
    });
    await begun;
    const waiting = store.kind === "sqlite" ? store.writeBatch([note(store, "waits")]) : Promise.reject(new Error());
    const outcomes = Promise.allSettled([stuck, waiting]);
    let isClosed = false;
    const closing = store.close().then(() => {
      isClosed = true;
    });
    await clock.advance(leaveMsMax - 1);
    assert.equal(isClosed, false);
    await clock.advance(1);
    await closing;
    giveUp(new Error("gives up"));
    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      ["rejected", "rejected"],
    );
    if (isKept) assert.deepEqual(await namesIn(await place.open()), []);
  });

  it("applies migrations that are missing, in order, and says which", async () => {
    const place = await fresh();
    const store = await connectStore(place.target);
    try {
      const known = [...migrations, addTable("9002-b"), addTable("9003-c")];
      const ours = migrations.map(({ name }) => name);
      assert.deepEqual(await migrate(store, known.slice(0, -1)), [...ours, "9002-b"]);
      const states = await listMigrations(store, known);
      assert.deepEqual(
        states.map(({ name, appliedAt }) => [name, appliedAt !== null]),
        [...ours.map((name) => [name, true]), ["9002-b", true], ["9003-c", false]],
      );
      assert.deepEqual(await migrate(store, known), ["9003-c"]);
      assert.deepEqual(await migrate(store, known), []);
    } finally {
      await store.close();
    }
  });

  it("is as before when a migration fails, and migrates when it can", async () => {
    const store = await (await fresh()).open();
    const failing: NamedMigration = {
      name: "9003-fails",
      async up(db) {
        await db.schema.createTable("half").addColumn("x", "text").execute();
        throw new Error("the migration fails");
      },
    };
    await assert.rejects(migrate(store, [...migrations, addTable("9002-b"), failing]), /the migration fails/);
    const tables = await store.db.introspection.getTables();
    assert.ok(!tables.some(({ name }) => name === "half" || name === "of 9002-b"));
    assert.deepEqual(await migrate(store, [...migrations, addTable("9002-b")]), ["9002-b"]);
  });

  it("is not opened without its tables by who may not make them", async () => {
    const { target } = await fresh();
    await assert.rejects(openStore(target, { mayMigrate: false }), { name: "StoreError", kind: "unmigrated" });
  });

  it("leaves alone the tables of another program", async () => {
    const store = await connectStore((await fresh()).target);
    try {
      await store.db.schema.createTable("users").addColumn("x", "text").execute();
      await assert.rejects(migrate(store), {
        kind: "broken",
        message: /another program: give glm-proxy one of its own/,
      });
    } finally {
      await store.close();
    }
  });

  if (!isKept) return;

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

  it("is not touched when a later version made it", async () => {
    const place = await fresh();
    const store = await connectStore(place.target);
    await migrate(store, [...migrations, addTable("9999-of-tomorrow")]);
    await store.close();
    for (const mayMigrate of [true, false]) {
      const opened = openStore(place.target, { mayMigrate });
      await assert.rejects(opened, { kind: "newer", message: /9999-of-tomorrow.*install that version/ });
    }
  });
}

function addTable(name: string): NamedMigration {
  return { name, up: (db) => db.schema.createTable(`of ${name}`).addColumn("x", "text").execute() };
}

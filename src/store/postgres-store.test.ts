import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { skipsPostgres, startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { until } from "../../test/support/until.ts";
import { migrations, type NamedMigration } from "./migrations.ts";
import { connectStore, listMigrations, migrate, openStore } from "./open-store.ts";
import { connectionsMax } from "./postgres-store.ts";
import { sql } from "./sql.ts";
import type { Store } from "./store.ts";

const unavailable = { name: "StoreError", kind: "unavailable" };

describe("a store on PostgreSQL", { skip: skipsPostgres }, () => {
  let postgres: TestPostgres;
  const opened: Store[] = [];
  /** What the process would have died of. */
  const unexpected: unknown[] = [];
  const note = (error: unknown) => void unexpected.push(error);

  before(async () => {
    process.on("uncaughtException", note);
    process.on("unhandledRejection", note);
    const started = await startPostgres();
    assert.ok(started);
    postgres = started;
  });
  after(async () => {
    for (const store of opened) await store.close();
    await postgres.stop();
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
    assert.deepEqual(unexpected, []);
  });

  async function open(url: string): Promise<Store> {
    const store = await openStore({ kind: "postgres", url }, { mayMigrate: true });
    opened.push(store);
    return store;
  }

  const put = (store: Store, name: string) => store.db.insertInto("meta").values({ name, value: "" }).execute();

  async function namesIn(store: Store): Promise<string[]> {
    const rows = await store.db.selectFrom("meta").select("name").orderBy("name").execute();
    return rows.map(({ name }) => name);
  }

  async function ask<Row>(store: Store, text: string): Promise<Row[]> {
    return (await sql<Row>`${sql.raw(text)}`.execute(store.db)).rows;
  }

  /** Ends every other connection to this database, as an operator or a failover does. */
  const endOthers = (store: Store) =>
    ask(
      store,
      `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`,
    );

  it("is unavailable where nothing answers, and never tells the password", async () => {
    const url = new URL(await postgres.createDatabase());
    url.password = "hunter2secret";
    const nowhere = new URL(url);
    nowhere.port = "1";
    const nobody = new URL(url);
    nobody.username = "nobody";
    const nothing = new URL(url);
    nothing.pathname = "/nothing";
    const malformed = "postgres://ada:hunter2secret@[nowhere/db";
    for (const wrong of [nowhere.href, nobody.href, nothing.href, malformed]) {
      await assert.rejects(openStore({ kind: "postgres", url: wrong }, { mayMigrate: true }), (error: Error) => {
        assert.partialDeepStrictEqual({ ...error, name: error.name }, unavailable);
        for (let told: unknown = error; told instanceof Error; told = told.cause) {
          assert.doesNotMatch(
            `${told.stack} ${JSON.stringify(told)} ${Object.values(told).join(" ")}`,
            /hunter2secret/,
          );
        }
        return true;
      });
    }
  });

  it(`has at most ${connectionsMax} connections, and the others wait`, async () => {
    const store = await open(await postgres.createDatabase());
    const counts = await Promise.all(
      Array.from({ length: connectionsMax * 3 }, () =>
        ask<{ n: number }>(
          store,
          `select (select count(*) from pg_stat_activity where datname = current_database()
          and backend_type = 'client backend') as n from pg_sleep(0.05)`,
        ),
      ),
    );
    assert.equal(Math.max(...counts.map(([row]) => row?.n ?? 0)), connectionsMax);
  });

  it("is unavailable when the server has too many clients, and well when it has not", async () => {
    const url = new URL(await postgres.createDatabase());
    const store = await open(url.href);
    const role = `few_${url.pathname.slice(1)}`;
    await ask(store, `create role ${role} login password 'x' connection limit 1`);
    await ask(store, `grant all on schema public to ${role}`);
    await ask(store, `grant all on all tables in schema public to ${role}`);
    url.username = role;
    url.password = "x";
    const few = await open(url.href);
    const sleeps = await Promise.allSettled([ask(few, "select pg_sleep(0.2)"), ask(few, "select pg_sleep(0.2)")]);
    const refused = sleeps.filter((outcome) => outcome.status === "rejected");
    assert.deepEqual(
      refused.map(({ reason }) => [reason.kind, /too many connections/.test(reason.message)]),
      [["unavailable", true]],
    );
    await put(few, "well");
    await few.close();
    await ask(store, `drop owned by ${role}`);
    await ask(store, `drop role ${role}`);
  });

  it("loses nothing it answered when its connections are ended, and goes on with new ones", async () => {
    const url = await postgres.createDatabase();
    const [store, operator] = [await open(url), await open(url)];
    const answered: string[] = [];
    let failures = 0;
    let isOver = false;
    const writing = Array.from({ length: 4 }, async (_, writer) => {
      for (let number = 0; !isOver; number++) {
        const names = [`${writer}.${number}a`, `${writer}.${number}b`];
        const rows = names.map((name) => ({ name, value: "" }));
        try {
          await store.writeBatch(rows.map((row) => store.db.insertInto("meta").values(row).compile()));
          answered.push(...names);
        } catch (error) {
          assert.equal((error as { kind?: string }).kind, "unavailable");
          failures++;
        }
      }
    });
    for (let round = 0; round < 5; round++) {
      const before = answered.length;
      await until("it writes", () => answered.length > before + 8);
      await endOthers(operator);
    }
    const before = answered.length;
    await until("it writes again", () => answered.length > before);
    isOver = true;
    await Promise.all(writing);
    assert.ok(failures > 0);
    const names = new Set(await namesIn(operator));
    for (const name of answered) assert.ok(names.has(name), name);
    for (const name of names) {
      assert.ok(
        names.has(name.endsWith("a") ? name.replace("a", "b") : name.replace("b", "a")),
        "wholly or not at all",
      );
    }
  });

  it("undoes a transaction whose connection is ended, whatever comes after", async () => {
    const url = await postgres.createDatabase();
    const [store, operator] = [await open(url), await open(url)];
    const transaction = store.db.transaction().execute(async (inside) => {
      await inside.insertInto("meta").values({ name: "undone", value: "" }).execute();
      await endOthers(operator);
      const later = () => inside.insertInto("meta").values({ name: "later", value: "" }).execute();
      await assert.rejects(later, unavailable);
      await assert.rejects(later, unavailable);
    });
    await assert.rejects(transaction, unavailable);
    assert.deepEqual(await namesIn(store), []);
  });

  it("is migrated once when several processes begin at the same time", async () => {
    const url = await postgres.createDatabase();
    const stores = await Promise.all(Array.from({ length: 6 }, () => connectStore({ kind: "postgres", url })));
    opened.push(...stores);
    const applied = await Promise.all(stores.map((store) => migrate(store)));
    assert.deepEqual(
      applied.flat(),
      migrations.map(({ name }) => name),
    );
  });

  it("is as before when the connection is ended in the middle of a migration, and migrated by the next", async () => {
    const url = await postgres.createDatabase();
    const [store, operator] = [await open(url), await open(url)];
    const known: NamedMigration[] = [
      ...migrations,
      {
        name: "9002-half",
        async up(db) {
          await db.schema.createTable("half").addColumn("x", "text").execute();
          await endOthers(operator);
          await db.schema.createTable("whole").addColumn("x", "text").execute();
        },
      },
    ];
    await assert.rejects(migrate(store, known), unavailable);
    const tables = await operator.db.introspection.getTables();
    assert.ok(!tables.some(({ name }) => name === "half"));
    const again = {
      name: "9002-half",
      up: (db: Parameters<NamedMigration["up"]>[0]) => db.schema.createTable("half").execute(),
    };
    assert.deepEqual(await migrate(store, [...migrations, again]), ["9002-half"]);
  });

  it("is not backed up here", async () => {
    const store = await open(await postgres.createDatabase());
    await assert.rejects(store.backup("/nowhere"), { kind: "unsupported", message: /pg_dump/ });
  });

  it("is unavailable while its server is down, and well again when it is back", async (test) => {
    if (!postgres.server) return test.skip("the server is somebody else's");
    const store = await open(await postgres.createDatabase());
    await put(store, "before");
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: isDown, resolve: goOn } = Promise.withResolvers<void>();
    const inside = store.db.transaction().execute(async (transaction) => {
      await transaction.insertInto("meta").values({ name: "undone", value: "" }).execute();
      begin();
      await isDown;
      await transaction.insertInto("meta").values({ name: "undone too", value: "" }).execute();
    });
    const sleeping = ask(store, "select pg_sleep(20)");
    const ended = Promise.allSettled([inside, sleeping]);
    await begun;
    await postgres.server.halt("immediate");
    goOn();
    for (const outcome of await ended) {
      assert.equal(outcome.status === "rejected" && outcome.reason.kind, "unavailable");
    }
    await assert.rejects(put(store, "down"), unavailable);
    await assert.rejects(store.writeBatch([]), unavailable);
    await assert.rejects(listMigrations(store), unavailable);
    await postgres.server.resume();
    await put(store, "after");
    assert.deepEqual(await namesIn(store), ["after", "before"]);
  });
});

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { after, describe, it } from "node:test";
import { createWorkspace } from "../../test/support/process.ts";
import { runWithStore } from "../../test/support/store-process.ts";
import { migrations, type NamedMigration } from "./migrations.ts";
import { connectStore, migrate, openStore } from "./open-store.ts";
import type { Store } from "./store.ts";

const workspace = createWorkspace();
after(() => workspace.remove());

function addTable(name: string): NamedMigration {
  return { name, up: (db) => db.schema.createTable(`of ${name}`).addColumn("x", "text").execute() };
}

async function withStore<Result>(file: string, use: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await connectStore({ kind: "sqlite", file });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function tablesOf(file: string): Promise<string[]> {
  const tables = await withStore(file, (store) => store.db.introspection.getTables());
  return tables.map(({ name }) => name);
}

const listCopies = (folder: string) => readdirSync(folder).filter((name) => name.includes(".before-"));

describe("migrations", () => {
  it("have names that sort by age, and each its own", () => {
    const names = migrations.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)].sort());
    for (const name of names) assert.match(name, /^\d{4}-[a-z0-9-]+$/);
  });

  it("make what docs/storage.md lists: every table with every column, in order, and whether it may be null", async () => {
    const text = readFileSync(new URL("../../docs/storage.md", import.meta.url), "utf8");
    const store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
    const tables = await store.db.introspection.getTables();
    await store.close();
    assert.equal(tables.length, 10);
    for (const { name, columns } of tables) {
      const [, section = ""] = text.split(`\n### ${name}\n`);
      const [own = ""] = section.split("\n### ");
      assert.deepEqual(
        Array.from(own.matchAll(/^\| (\*?)`([a-z_]+)`\*? \|/gm), ([, star, column]) => `${column}${star}`),
        columns.map((column) => `${column.name}${column.isNullable ? "*" : ""}`),
        name,
      );
    }
  });
});

describe("a SQLite file that is migrated", () => {
  it("is as before when the process is killed in the middle, and migrated by the next", async () => {
    const file = workspace.path("killed/data.sqlite");
    await (await openStore({ kind: "sqlite", file }, { mayMigrate: true })).close();
    const child = runWithStore(
      file,
      `const store = await connectStore(target);
      await migrate(store, [...migrations, { name: "9002-stuck", async up(db) {
        await db.schema.createTable("half").addColumn("x", "text").execute();
        for (let number = 0; number < 2000; number++) {
          await db.insertInto("half").values({ x: "x".repeat(1000) }).execute();
        }
        console.log("in the middle");
        await new Promise(() => {});
      } }]);`,
    );
    await child.said("in the middle");
    await child.kill();
    assert.ok(!(await tablesOf(file)).includes("half"));
    const known = [...migrations, addTable("9002-b")];
    assert.deepEqual(await withStore(file, (store) => migrate(store, known)), ["9002-b"]);
  });

  it("is copied before, unless there is nothing in it; the last three copies are kept", async () => {
    const folder = workspace.path("copied");
    const file = `${folder}/data.sqlite`;
    const known: NamedMigration[] = [...migrations];
    await withStore(file, (store) => migrate(store, known));
    assert.deepEqual(listCopies(folder), []);
    for (const name of ["9002-b", "9003-c", "9004-d", "9005-e"]) {
      known.push(addTable(name));
      await withStore(file, async (store) => {
        await migrate(store, known);
        await store.db.insertInto("meta").values({ name, value: "" }).execute();
      });
    }
    const copies = listCopies(folder);
    assert.deepEqual(copies.sort(), [
      "data.sqlite.before-9003-c",
      "data.sqlite.before-9004-d",
      "data.sqlite.before-9005-e",
    ]);
    const copy = `${folder}/data.sqlite.before-9004-d`;
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    const tables = await tablesOf(copy);
    assert.ok(tables.includes("of 9003-c") && !tables.includes("of 9004-d"));
    const names = await withStore(copy, (store) => store.db.selectFrom("meta").select("name").execute());
    assert.deepEqual(
      names.map(({ name }) => name),
      ["9002-b", "9003-c"],
    );
  });

  it("is copied anew when it was changed since an attempt that failed", async () => {
    const folder = workspace.path("again");
    const file = `${folder}/data.sqlite`;
    const failing: NamedMigration = { name: "9002-b", up: () => Promise.reject(new Error("not now")) };
    await withStore(file, (store) => migrate(store));
    for (const name of ["first", "second"]) {
      await withStore(file, async (store) => {
        await store.db.insertInto("meta").values({ name, value: "" }).execute();
        await assert.rejects(migrate(store, [...migrations, failing]), /not now/);
      });
    }
    const names = await withStore(`${file}.before-9002-b`, (store) =>
      store.db.selectFrom("meta").select("name").execute(),
    );
    assert.equal(names.length, 2);
  });
});

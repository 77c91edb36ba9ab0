import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { createWorkspace } from "../../test/support/process.ts";
import { openStore } from "./open-store.ts";
import type { Store } from "./store.ts";

const workspace = createWorkspace();
after(() => workspace.remove());

let count = 0;
function freshFile(): string {
  count++;
  return workspace.path(`folder${count}/data.sqlite`);
}

const open = (file: string): Promise<Store> => openStore({ kind: "sqlite", file }, { mayMigrate: true });
const put = (store: Store, name: string, value = "") => store.db.insertInto("meta").values({ name, value }).execute();
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

async function namesIn(store: Store): Promise<string[]> {
  const rows = await store.reads.selectFrom("meta").select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
}

/** Another process that has the database, until it is killed. */
async function openElsewhere(file: string): Promise<{ kill(): Promise<void> }> {
  const url = new URL("./open-store.ts", import.meta.url);
  const script = `
    const { openStore } = await import(${JSON.stringify(url)});
    await openStore({ kind: "sqlite", file: ${JSON.stringify(file)} }, { mayMigrate: true });
    console.log("open");
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    async kill() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe("a SQLite file", () => {
  it("and all beside it can be read by its owner alone", async () => {
    const file = freshFile();
    const store = await open(file);
    await put(store, "x");
    for (const suffix of ["", "-wal", "-shm", ".lock"]) assert.equal(modeOf(file + suffix), "600", suffix);
    assert.equal(modeOf(file.replace("/data.sqlite", "")), "700");
    await store.close();
  });

  it("is written ahead and synchronously", async () => {
    const store = await open(freshFile());
    const { rows } = await store.db.executeQuery<{ journal_mode: string }>({
      sql: "pragma journal_mode",
      parameters: [],
      query: { kind: "RawNode", sqlFragments: [], parameters: [] },
      queryId: { queryId: "1" },
    } as never);
    assert.equal(rows[0]?.journal_mode, "wal");
    await store.close();
  });

  it("belongs to one opener, in this process and in another one, until that is gone", async () => {
    const file = freshFile();
    const store = await open(file);
    await assert.rejects(open(file), {
      kind: "locked",
      message: /in use by another process: stop the other glm-proxy/,
    });
    await store.close();

    const other = await openElsewhere(file);
    await assert.rejects(open(file), { kind: "locked" });
    await other.kill();
    const again = await open(file);
    await again.close();
  });

  it("that is damaged is refused, and left as it is", async () => {
    for (const content of [
      "this is no database, whatever it is called; ".repeat(100),
      "SQLite format 3\0 and then nothing",
    ]) {
      const file = freshFile();
      mkdirSync(file.replace("/data.sqlite", ""));
      writeFileSync(file, content);
      await assert.rejects(open(file), { kind: "broken", message: /restore it from a backup/ });
      assert.equal(readFileSync(file, "utf8"), content);
    }
  });

  it("in a folder that can't be made is refused in words", async () => {
    const file = freshFile();
    writeFileSync(workspace.path("plain"), "");
    await assert.rejects(open(`${workspace.path("plain")}/x/data.sqlite`), { name: "StoreError", kind: "unavailable" });
    assert.ok(!existsSync(file));
  });

  it("that has no room left refuses the write, and takes the next one when there is room", async () => {
    const store = await open(freshFile());
    const raw = (sql: string) => store.writeBatch([{ sql, parameters: [] }]);
    const pages = await store.db.selectFrom("meta").select("name").execute();
    assert.equal(pages.length, 0);
    await store.db.executeQuery(rawQuery("pragma max_page_count = 40"));
    const big = "x".repeat(4_000);
    let written = 0;
    await assert.rejects(
      async () => {
        for (; written < 100; written++) await put(store, `n${written}`, big);
      },
      { kind: "full", message: /no space left/ },
    );
    await assert.rejects(
      store.writeBatch([
        store.db
          .insertInto("meta")
          .values({ name: "batch", value: big.repeat(4) })
          .compile(),
      ]),
      { kind: "full" },
    );
    assert.equal((await namesIn(store)).length, written);
    await store.db.executeQuery(rawQuery("pragma max_page_count = 4000"));
    await put(store, "after", big);
    await raw("delete from meta");
    await store.close();
  });

  it("is copied whole while it is written to, never over another file", async () => {
    const file = freshFile();
    const store = await open(file);
    for (let index = 0; index < 50; index++) await put(store, `before${index}`);
    const copy = `${file}.copy`;
    const backup = store.backup(copy);
    const writing = Array.from({ length: 50 }, (_, index) => put(store, `during${index}`));
    await backup;
    await Promise.all(writing);
    assert.equal(modeOf(copy), "600");
    await assert.rejects(store.backup(copy), { name: "StoreError" });
    await store.close();

    const restored = await open(copy);
    const names = await namesIn(restored);
    assert.ok(names.filter((name) => name.startsWith("before")).length === 50);
    const { rows } = await restored.db.executeQuery<{ integrity_check: string }>(
      rawQuery("pragma integrity_check") as never,
    );
    assert.equal(rows[0]?.integrity_check, "ok");
    await restored.close();
  });
});

/** A statement that no builder has. */
function rawQuery(sql: string) {
  return {
    sql,
    parameters: [],
    query: { kind: "RawNode", sqlFragments: [sql], parameters: [] },
    queryId: { queryId: sql },
  } as never;
}

// A database as a crash leaves it, with its log: what can be lost from it is lost in words.

import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { createWorkspace } from "../../test/support/process.ts";
import { runWithStore } from "../../test/support/store-process.ts";
import { until } from "../../test/support/until.ts";
import { openStore } from "./open-store.ts";
import { findDamage, readHeader } from "./sqlite-log.ts";
import type { Store } from "./store.ts";

const workspace = createWorkspace();
const opened: Store[] = [];
after(async () => {
  for (const store of opened) await store.close().catch(() => {});
  workspace.remove();
});

let count = 0;
function freshFile(): string {
  count++;
  mkdirSync(workspace.path(`f${count}`));
  return workspace.path(`f${count}/data.sqlite`);
}

async function open(file: string): Promise<Store> {
  const store = await openStore({ kind: "sqlite", file }, { mayMigrate: true });
  opened.push(store);
  return store;
}

const put = (store: Store, name: string, value = "") => store.db.insertInto("meta").values({ name, value }).execute();
const headerBytes = 32;
const frameBytes = 24 + 4_096;

/** As it is on the disk while its process lives, which is what `kill -9` leaves. */
function leave(file: string): string {
  const left = freshFile();
  for (const suffix of ["", "-wal"]) if (existsSync(file + suffix)) copyFileSync(file + suffix, left + suffix);
  return left;
}

async function leaveWith(names: readonly string[], valueBytes = 1_000): Promise<string> {
  const file = freshFile();
  const store = await open(file);
  for (const name of names) await put(store, name, "x".repeat(valueBytes));
  return leave(file);
}

async function namesIn(file: string): Promise<string[]> {
  const store = await open(file);
  const rows = await store.db.selectFrom("meta").select("name").orderBy("name").execute();
  await store.close();
  return rows.map(({ name }) => name).filter((name) => /^[a-z]$/.test(name));
}

function change(file: string, at: number, bytes: Buffer): void {
  const content = readFileSync(file);
  bytes.copy(content, at);
  writeFileSync(file, content);
}

async function assertRefused(file: string, message: RegExp): Promise<void> {
  const before = [readFileSync(file), readFileSync(`${file}-wal`)];
  await assert.rejects(open(file), { kind: "broken", message });
  assert.deepEqual([readFileSync(file), readFileSync(`${file}-wal`)], before);
}

describe("a database after a crash", () => {
  it("has all that was written, and its tables in the file itself from the beginning", async () => {
    const left = await leaveWith(["a", "b", "c"]);
    const alone = freshFile();
    copyFileSync(left, alone);
    assert.deepEqual(await namesIn(left), ["a", "b", "c"]);
    assert.deepEqual(await namesIn(alone), []);
  });

  it("is opened when nothing was written after its log was begun again", async () => {
    const file = freshFile();
    const store = await open(file);
    await put(store, "a");
    await put(store, "b", "x".repeat(30_000));
    const log = readFileSync(`${file}-wal`);
    // The header of the next round, and of its first frame nothing, or its header alone, of a commit or of another.
    const raw = new DatabaseSync(file);
    raw.exec("pragma wal_checkpoint(restart)");
    raw.close();
    await put(store, "c");
    const next = readFileSync(`${file}-wal`);
    const image = leave(file);
    for (const [kept, isCommit] of [
      [headerBytes, false],
      [headerBytes + 24, false],
      [headerBytes + 24, true],
    ] as const) {
      const left = leave(image);
      writeFileSync(`${left}-wal`, Buffer.concat([next.subarray(0, kept), log.subarray(kept)]));
      if (kept > headerBytes && !isCommit) change(`${left}-wal`, headerBytes + 4, Buffer.alloc(4));
      assert.deepEqual(await namesIn(left), ["a", "b"], `${kept} bytes`);
    }
    assert.deepEqual(await namesIn(image), ["a", "b", "c"]);
  });

  it("is found whole at whatever moment its process stops", { skip: process.platform !== "linux" }, async () => {
    const file = freshFile();
    const writer = runWithStore(
      file,
      `const store = await openStore(target, { mayMigrate: true });
      const tell = (text) => store.db.executeQuery({ sql: text, parameters: [], query: { kind: "RawNode" }, queryId: {} });
      await tell("pragma wal_autocheckpoint = 7");
      console.log("ready");
      for (let number = 0; ; number++) {
        const value = "x".repeat((number * 7919) % 9000);
        await store.db.insertInto("meta").values({ name: "n", value }).onConflict((on) => on.column("name").doUpdateSet({ value })).execute();
        if (number % 13 === 0) await tell("pragma wal_checkpoint(truncate)");
      }`,
    );
    await writer.said("ready");
    const tasks = `/proc/${writer.child.pid}/task`;
    const isStopped = () =>
      readdirSync(tasks).every((task) => /^State:\s+T/m.test(readFileSync(`${tasks}/${task}/status`, "utf8")));
    for (let moment = 0; moment < 100; moment++) {
      writer.child.kill("SIGSTOP");
      await until("it is stopped", isStopped);
      const left = leave(file);
      writer.child.kill("SIGCONT");
      const header = readHeader(left);
      assert.ok(header);
      assert.equal(findDamage(left, header), null, left);
      rmSync(dirname(left), { recursive: true });
    }
    await writer.kill();
  });

  it("is opened when its log ends in a transaction that was never finished", async () => {
    const left = await leaveWith(["a", "b", "c"]);
    const { size } = statSync(`${left}-wal`);
    truncateSync(`${left}-wal`, size - 100);
    assert.deepEqual(await namesIn(left), ["a", "b"]);
    const torn = await leaveWith(["a", "b", "c"]);
    change(`${torn}-wal`, size - 100, Buffer.from("torn"));
    assert.deepEqual(await namesIn(torn), ["a", "b"]);
  });
});

describe("a log that was damaged", () => {
  for (const [what, at, bytes] of [
    ["its header is gone", 0, Buffer.alloc(headerBytes)],
    ["a bit of its header is another", 12, Buffer.from([0xff])],
    ["its front is gone", 0, Buffer.alloc(4_096)],
    ["its front is something else", 0, Buffer.from("x".repeat(6_000))],
    ["its first frame's header is something else", headerBytes, Buffer.from("y".repeat(24))],
    ["its first page is another", headerBytes + 24 + 100, Buffer.from("zzz")],
    ["its second frame is another", headerBytes + frameBytes + 50, Buffer.from("zzz")],
  ] as const) {
    it(`such that ${what} is refused, and left as it is`, async () => {
      const left = await leaveWith(["a", "b", "c", "d"]);
      change(`${left}-wal`, at, bytes);
      await assertRefused(left, /its log .*-wal is damaged .*restore it from a backup/);
    });
  }

  it("in one bit is refused, or loses the end of the last transaction alone", async () => {
    const image = await leaveWith(["a", "b", "c", "d"], 6_000);
    const log = readFileSync(`${image}-wal`);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: log.length * 8 - 1 }), async (bit) => {
        const left = leave(image);
        const at = bit >> 3;
        change(`${left}-wal`, at, Buffer.from([(log[at] as number) ^ (1 << (bit & 7))]));
        const names = await namesIn(left).catch(({ kind }: { kind: string }) => kind);
        assert.ok(names === "broken" || ["a,b,c", "a,b,c,d"].includes(String(names)), `bit ${bit}: ${names}`);
      }),
      { numRuns: 40 },
    );
  });

  it("is refused when it belongs to another database, also to the one that this is a backup of", async () => {
    const other = await leaveWith(["a", "b"]);
    const own = await leaveWith(["c"]);
    copyFileSync(`${other}-wal`, `${own}-wal`);
    await assertRefused(own, /belongs to another database/);

    const file = freshFile();
    const store = await open(file);
    await put(store, "a", "x".repeat(9_000));
    await store.backup(`${file}.copy`);
    await put(store, "b", "x".repeat(9_000));
    const restored = leave(file);
    copyFileSync(`${file}.copy`, restored);
    await assertRefused(restored, /belongs to another database/);
    rmSync(`${restored}-wal`);
    assert.deepEqual(await namesIn(restored), ["a"]);
  });
});

describe("a database file that was damaged", () => {
  it("is refused when it is cut off, with and without a log", async () => {
    const left = await leaveWith(["a", "b"]);
    truncateSync(left, statSync(left).size - 4_096);
    await assertRefused(left, /it is cut off/);
    writeFileSync(`${left}-wal`, "");
    await assertRefused(left, /it is cut off/);
  });

  it("is refused when it is empty, with its log next to it", async () => {
    const left = await leaveWith(["a"]);
    truncateSync(left, 0);
    await assertRefused(left, /it is empty/);
  });
});

describe("a database of an earlier version", () => {
  /** It has no mark, and its tables are in its log until that has grown. */
  function makeOld(): string {
    const file = freshFile();
    const database = new DatabaseSync(file);
    database.exec(`pragma journal_mode = wal; create table kysely_migration (name text primary key, timestamp text);
      create table kysely_migration_lock (id text primary key, is_locked integer); create table calls (id text)`);
    const left = leave(file);
    database.close();
    return left;
  }
  const known = { kind: "unavailable", message: /another program/ };

  it("is known by its tables, in its file or in its log, and marked", async () => {
    const young = makeOld();
    assert.equal(readFileSync(young).readUInt32BE(68), 0);
    // Its tables are not those of this version: it comes as far as that.
    await assert.rejects(open(young), (error: Error) => !known.message.test(error.message));
    assert.equal(readFileSync(young).toString("latin1", 68, 72), "GLMP");
  });

  it("is refused when its log is gone or damaged, since its tables are gone with it", async () => {
    const damaged = makeOld();
    change(`${damaged}-wal`, 0, Buffer.alloc(4_096));
    await assertRefused(damaged, /damaged/);
    const gone = makeOld();
    writeFileSync(`${gone}-wal`, "");
    await assertRefused(gone, /its tables are gone/);
  });

  it("is not what another program has made", async () => {
    for (const sql of ["create table bookmarks (id text)", "pragma application_id = 7; create table calls (id text)"]) {
      const file = freshFile();
      const database = new DatabaseSync(file);
      database.exec(sql);
      database.close();
      const before = readFileSync(file);
      await assert.rejects(open(file), known);
      assert.deepEqual(readFileSync(file), before);
      assert.ok(!existsSync(`${file}.lock`) && !existsSync(`${file}-shm`));
    }
  });
});

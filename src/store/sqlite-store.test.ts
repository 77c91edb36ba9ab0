import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { after, describe, it } from "node:test";
import { createWorkspace } from "../../test/support/process.ts";
import { createSmallDisk } from "../../test/support/small-disk.ts";
import { runWithStore } from "../../test/support/store-process.ts";
import { openStore } from "./open-store.ts";
import { sql } from "./sql.ts";
import type { Store } from "./store.ts";

const workspace = createWorkspace();
const opened: Store[] = [];
after(async () => {
  for (const store of opened) await store.close().catch(() => {});
  workspace.remove();
});

let count = 0;
/** In a folder that is not there yet. */
function freshFile(): string {
  count++;
  return workspace.path(`folder${count}/data.sqlite`);
}

/** In a folder that is there. */
function freshPlace(): { folder: string; file: string } {
  const file = freshFile();
  const folder = file.replace("/data.sqlite", "");
  mkdirSync(folder);
  return { folder, file };
}

async function open(file: string): Promise<Store> {
  const store = await openStore({ kind: "sqlite", file }, { mayMigrate: true });
  opened.push(store);
  return store;
}

const put = (store: Store, name: string, value = "") => store.db.insertInto("meta").values({ name, value }).execute();
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

async function namesIn(store: Store): Promise<string[]> {
  const rows = await store.reads.selectFrom("meta").select("name").orderBy("name").execute();
  return rows.map(({ name }) => name);
}

/** What a pragma answers. */
async function ask(store: Store, pragma: string): Promise<unknown> {
  const { rows } = await sql<Record<string, unknown>>`${sql.raw(`pragma ${pragma}`)}`.execute(store.db);
  return Object.values(rows[0] ?? {})[0];
}

async function closedWith(names: readonly string[]): Promise<string> {
  const file = freshFile();
  const store = await open(file);
  for (const name of names) await put(store, name, "x".repeat(2_000));
  await store.close();
  return file;
}

describe("a SQLite file", () => {
  it("and all beside it can be read by its owner alone, also one that was there before", async () => {
    const file = freshFile();
    const store = await open(file);
    await put(store, "x");
    for (const suffix of ["", "-wal", "-shm", ".lock"]) assert.equal(modeOf(file + suffix), "600", suffix);
    assert.equal(modeOf(file.replace("/data.sqlite", "")), "700");
    await store.close();
    chmodSync(file, 0o644);
    await put(await open(file), "y");
    for (const suffix of ["", "-wal", "-shm", ".lock"]) assert.equal(modeOf(file + suffix), "600", suffix);
  });

  it("is written ahead and synchronously, and its log is bounded", async () => {
    const store = await open(freshFile());
    assert.equal(await ask(store, "journal_mode"), "wal");
    assert.equal(await ask(store, "synchronous"), 2);
    assert.equal(await ask(store, "foreign_keys"), 1);
    assert.equal(await ask(store, "journal_size_limit"), 64 * 1_024 * 1_024);
  });

  it("leaves no log behind when it is closed", async () => {
    const file = await closedWith(["x"]);
    assert.deepEqual(readdirSync(file.replace("/data.sqlite", "")).sort(), ["data.sqlite", "data.sqlite.lock"]);
  });

  it("belongs to one opener, in this process and in another one, until that is gone", async () => {
    const file = freshFile();
    const store = await open(file);
    const locked = { kind: "locked", message: /in use by another process: stop the other glm-proxy/ };
    await assert.rejects(open(file), locked);
    await store.close();

    const other = runWithStore(file, `await openStore(target, { mayMigrate: true }); console.log("open");`);
    await other.said("open");
    await assert.rejects(open(file), locked);
    await other.kill();
    await open(file);
  });

  it("is the same file by another name", async () => {
    const file = freshFile();
    await (await open(file)).close();
    const link = workspace.path(`link${count}.sqlite`);
    symlinkSync(file, link);
    const store = await open(link);
    await assert.rejects(open(file), { kind: "locked" });
    await put(store, "x");
    await store.backup(`${link}.copy`);
    await store.close();
    assert.deepEqual(await namesIn(await open(file)), ["x"]);
  });
});

describe("a SQLite file that was damaged", () => {
  const broken = { kind: "broken", message: /restore it from a backup/ };

  for (const [what, content] of [
    ["is something else", "this is no database, whatever it is called; ".repeat(100)],
    ["is cut off in its header", "SQLite format 3\0 and then nothing"],
    ["is empty", ""],
  ] as const) {
    it(`and ${what} is refused, and left as it is`, async () => {
      const { file } = freshPlace();
      writeFileSync(file, content);
      await assert.rejects(open(file), broken);
      assert.equal(readFileSync(file, "utf8"), content);
    });
  }

  it("and is cut off is refused, and left as it is", async () => {
    const file = await closedWith(Array.from({ length: 40 }, (_, index) => `n${index}`));
    const { size } = statSync(file);
    truncateSync(file, size - 8_192);
    await assert.rejects(open(file), broken);
    assert.equal(statSync(file).size, size - 8_192);
  });

  it("and is gone while its log is there is not begun anew", async () => {
    const { file } = freshPlace();
    writeFileSync(`${file}-wal`, "what was written last");
    await assert.rejects(open(file), broken);
    assert.equal(readFileSync(`${file}-wal`, "utf8"), "what was written last");
    assert.ok(!existsSync(file));
  });

  it("by the end of its process in the middle of writing has what was answered", async () => {
    const file = freshFile();
    const other = runWithStore(
      file,
      `const store = await openStore(target, { mayMigrate: true });
      for (let number = 0; ; number++) {
        await store.db.insertInto("meta").values({ name: String(number), value: "x".repeat(500) }).execute();
        console.log(number);
      }`,
    );
    await other.said("150");
    await other.kill();
    const store = await open(file);
    const names = new Set(await namesIn(store));
    for (const answered of other.lines) assert.ok(names.has(answered), answered);
    // What was written without being heard of is there in order, too.
    for (let number = 0; number < names.size; number++) assert.ok(names.has(String(number)), String(number));
    assert.equal(await ask(store, "integrity_check"), "ok");
  });
});

describe("a SQLite file that can't be written", () => {
  it("since its folder can't be made is refused in words", async () => {
    const plain = workspace.path("plain");
    writeFileSync(plain, "");
    await assert.rejects(open(`${plain}/x/data.sqlite`), { kind: "unavailable", message: /^cannot use .*ENOTDIR/ });
  });

  const nobody = 65_534;
  const skip = process.getuid?.() !== 0 && "needs root, to become somebody else";

  it("since it may only be read, or is somebody else's, is refused in words", { skip }, async () => {
    chmodSync(workspace.folder, 0o755);
    const tell = `await openStore(target, { mayMigrate: true }).catch(({ kind, message }) => console.log(kind, message));
      console.log("told"); process.exit();`;
    const others = freshPlace();
    const readable = await closedWith(["x"]);
    chownSync(readable, nobody, nobody);
    chownSync(`${readable}.lock`, nobody, nobody);
    chownSync(readable.replace("/data.sqlite", ""), nobody, nobody);
    chmodSync(readable, 0o400);
    const own = runWithStore(readable, tell, { uid: nobody });
    await own.said("told");
    assert.match(own.lines[0] ?? "", /^unavailable cannot use .*EACCES/);
    assert.equal(modeOf(readable), "400");

    chownSync(readable, 0, 0);
    chmodSync(readable, 0o644);
    for (const file of [others.file, readable]) {
      const before = existsSync(file);
      const child = runWithStore(file, tell, { uid: nobody });
      await child.said("told");
      assert.match(child.lines[0] ?? "", /^unavailable cannot use .*data\.sqlite: /);
      assert.equal(existsSync(file), before);
    }
  });
});

describe("a SQLite file without room", () => {
  it("refuses the write, and takes the next one when there is room", async () => {
    const store = await open(freshFile());
    await ask(store, "max_page_count = 40");
    const big = "x".repeat(4_000);
    let written = 0;
    await assert.rejects(
      async () => {
        for (; written < 100; written++) await put(store, `n${written}`, big);
      },
      { kind: "full", message: /no space left/ },
    );
    const bigger = store.db.insertInto("meta").values({ name: "batch", value: big.repeat(4) });
    await assert.rejects(store.writeBatch([bigger.compile()]), { kind: "full" });
    assert.equal((await namesIn(store)).length, written);
    await ask(store, "max_page_count = 4000");
    await put(store, "after", big);
    await store.writeBatch([store.db.deleteFrom("meta").compile()]);
  });

  it("does nothing of a transaction that the full disk has ended, whatever comes after", async () => {
    const store = await open(freshFile());
    await ask(store, "max_page_count = 40");
    const transaction = store.db.transaction().execute(async (inside) => {
      const insert = (name: string, value: string) => inside.insertInto("meta").values({ name, value }).execute();
      await insert("first", "");
      await assert.rejects(insert("big", "x".repeat(400_000)), { kind: "full" });
      await sql`rollback`.execute(inside);
      await assert.rejects(insert("later", ""), { kind: "unavailable", message: /undone by a failure before/ });
    });
    await assert.rejects(transaction, { kind: "unavailable" });
    await put(store, "after");
    assert.deepEqual(await namesIn(store), ["after"]);
  });

  const disk = createSmallDisk(4);
  after(() => disk?.remove());

  it("on a real disk is whole again when there is room", {
    skip: disk === null && "needs root, to mount",
  }, async () => {
    assert.ok(disk);
    const file = `${disk.folder}/data.sqlite`;
    const store = await open(file);
    await put(store, "before");
    disk.fill();
    const refused = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => put(store, `n${index}`, "x".repeat(20_000))),
    );
    assert.ok(refused.some(({ status }) => status === "rejected"));
    for (const outcome of refused) if (outcome.status === "rejected") assert.equal(outcome.reason.kind, "full");
    await assert.rejects(store.backup(`${file}.copy`), { kind: "full", message: /no space left for .*\.copy$/ });
    assert.ok(!existsSync(`${file}.copy`) && !existsSync(`${file}.copy.part`));
    disk.free();
    await put(store, "after");
    assert.ok((await namesIn(store)).includes("before"));
    assert.equal(await ask(store, "integrity_check"), "ok");
    await store.close();
  });

  /** Writes until the system refuses a file so large, which is an I/O error to SQLite, and then until it works again. */
  const failing = `const store = await openStore(target, { mayMigrate: true });
    const put = (name) => store.db.insertInto("meta").values({ name, value: "x".repeat(50_000) }).execute();
    let failed = 0;
    for (let number = 0; failed < 3; number++) {
      await put("n" + number).catch(({ kind }) => { failed++; console.log(kind); });
    }
    console.log("failed");
    for (let last = ""; ; ) {
      try { await put("after"); break; } catch ({ kind, message }) {
        if (message !== last) console.log(kind, message);
        last = message;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.log("well");
    await store.close();
    console.log("closed");`;
  const limited = { through: ["prlimit", "--fsize=1000000:unlimited"] };
  const skip = spawnSync("prlimit", ["--version"]).status !== 0 && "needs prlimit";

  it("is opened anew after a write that failed otherwise", { skip }, async () => {
    const file = freshFile();
    const child = runWithStore(file, failing, limited);
    await child.said("failed");
    assert.deepEqual(child.lines.slice(0, 3), ["unavailable", "unavailable", "unavailable"]);
    spawnSync("prlimit", ["--pid", String(child.child.pid), "--fsize=unlimited:unlimited"]);
    await child.said("closed");
    await child.kill();
    const store = await open(file);
    assert.ok((await namesIn(store)).includes("after"));
    assert.equal(await ask(store, "integrity_check"), "ok");
  });

  it("is not begun anew when it was lost meanwhile", { skip }, async () => {
    const file = freshFile();
    const child = runWithStore(file, failing, limited);
    await child.said("failed");
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
    spawnSync("prlimit", ["--pid", String(child.child.pid), "--fsize=unlimited:unlimited"]);
    const told = `broken ${file} is damaged or no database (it is gone): restore it from a backup`;
    await child.said(told);
    await child.kill();
    assert.ok(!existsSync(file));
  });
});

describe("a backup of a SQLite file", () => {
  it("is whole while the file is written to, and for its owner alone", async () => {
    const file = freshFile();
    const store = await open(file);
    for (let index = 0; index < 50; index++) await put(store, `before${index}`);
    const copy = `${file}.copy`;
    let isDone = false;
    const backup = store.backup(copy).finally(() => {
      isDone = true;
    });
    let during = 0;
    while (!isDone) {
      await store.db.transaction().execute(async (transaction) => {
        for (const half of ["a", "b"]) {
          await transaction
            .insertInto("meta")
            .values({ name: `${half}${during}`, value: "" })
            .execute();
        }
      });
      during++;
    }
    await backup;
    assert.ok(during > 0);
    assert.equal(modeOf(copy), "600");
    await store.close();

    const restored = await open(copy);
    const names = await namesIn(restored);
    assert.equal(names.filter((name) => name.startsWith("before")).length, 50);
    assert.equal(
      names.filter((name) => name.startsWith("a")).length,
      names.filter((name) => /^b\d/.test(name)).length,
      "a transaction is in it wholly or not at all",
    );
    assert.equal(await ask(restored, "integrity_check"), "ok");
  });

  it("is never written over another file, and leaves nothing where it fails", async () => {
    const { folder, file } = freshPlace();
    const store = await open(file);
    const target = `${folder}/copy`;
    writeFileSync(target, "precious");
    await assert.rejects(store.backup(target), { kind: "unavailable", message: /copy: there is a file of that name/ });
    assert.equal(readFileSync(target, "utf8"), "precious");
    await assert.rejects(store.backup(file), { kind: "unavailable" });
    await assert.rejects(store.backup(`${folder}/nowhere/copy`), { kind: "unavailable", message: /ENOENT/ });
    await assert.rejects(Promise.all([store.backup(`${folder}/twice`), store.backup(`${folder}/twice`)]), {
      kind: "unavailable",
    });
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith(".part")),
      [],
    );
    await put(store, "still works");
  });

  it("is made next to the database where others could replace it while it grows, and leaves nothing there", async () => {
    const { folder, file } = freshPlace();
    const store = await open(file);
    await put(store, "x");
    const before = readdirSync(folder).sort();
    const { folder: shared } = freshPlace();
    chmodSync(shared, 0o777);
    await store.backup(`${shared}/copy`);
    assert.deepEqual(readdirSync(shared), ["copy"]);
    assert.deepEqual(readdirSync(folder).sort(), before);
    assert.equal(modeOf(`${shared}/copy`), "600");
    assert.deepEqual(await namesIn(await open(`${shared}/copy`)), ["x"]);
    const inMemory = await open(":memory:");
    await assert.rejects(inMemory.backup(`${shared}/other`), { message: /others may put files of their own into/ });
  });

  it("of a database in memory is a file", async () => {
    const store = await open(":memory:");
    await put(store, "x");
    const { file } = freshPlace();
    await store.backup(file);
    assert.deepEqual(await namesIn(await open(file)), ["x"]);
  });

  it("is restored as docs/storage.md says: the earlier state, whole", async () => {
    const file = freshFile();
    const store = await open(file);
    await put(store, "before");
    await store.backup(`${file}.copy`);
    await put(store, "after the backup");
    await store.close();

    renameSync(file, `${file}.old`);
    rmSync(`${file}-wal`, { force: true });
    rmSync(`${file}-shm`, { force: true });
    copyFileSync(`${file}.copy`, file);
    const restored = await open(file);
    assert.deepEqual(await namesIn(restored), ["before"]);
    await put(restored, "goes on");
    assert.deepEqual(await namesIn(await open(`${file}.old`)), ["after the backup", "before"]);
  });
});

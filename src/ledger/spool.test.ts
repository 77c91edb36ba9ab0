import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import { arrive, estimate, serve } from "../../test/support/call-records.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { StoreError } from "../store/store.ts";
import { type Change, toFinal, toIntent } from "./change.ts";
import { openSpool, type Spool } from "./spool.ts";

const clock = createManualClock();
const content = { prompt: "中文 \u2028", answer: "", storedAt: 3 };

let folder: string;
let file: string;
let spool: Spool;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "glm-proxy-spool-"));
  file = join(folder, "spool.sqlite");
  spool = await openSpool({ file, bytesMax: 100_000, newInstance: "first" });
});
afterEach(async () => {
  await spool.close();
  rmSync(folder, { recursive: true });
});

async function reopen(bytesMax = 100_000): Promise<void> {
  await spool.close();
  spool = await openSpool({ file, bytesMax, newInstance: "second" });
}

function makeChanges(): Change[] {
  const record = arrive(clock);
  return [toIntent(record, estimate, "first"), toFinal(serve(record, clock), "first", content)];
}

describe("openSpool()", () => {
  it("gives back what was put in, in order", async () => {
    const changes = [...makeChanges(), ...makeChanges()];
    await spool.append(changes);
    const read = await spool.read(3);
    assert.deepEqual(
      read.map(({ change }) => change),
      changes.slice(0, 3),
    );
    await spool.remove(read);
    assert.deepEqual(
      (await spool.read(3)).map(({ change }) => change),
      changes.slice(3),
    );
    assert.equal(spool.count, 1);
  });

  it("survives the process, with its instance", async () => {
    await spool.append(makeChanges());
    const { bytes } = spool;
    assert.ok(bytes > 500);
    await reopen();
    assert.deepEqual([spool.count, spool.bytes, spool.instance], [2, bytes, "first"]);
    await spool.remove(await spool.read(9));
    assert.deepEqual([spool.count, spool.bytes], [0, 0]);
  });

  it("is full at its bound to the byte, and takes more when there is room again", async () => {
    const changes = makeChanges();
    await spool.append(changes);
    const { bytes } = spool;
    await reopen(2 * bytes);
    await spool.append(changes);
    const error = await spool.append(changes.slice(0, 1)).catch((reason: unknown) => reason);
    assert.ok(error instanceof StoreError && error.kind === "full");
    assert.equal((await spool.read(9)).length, 4);
    await spool.remove((await spool.read(9)).slice(0, 1));
    await spool.append(changes.slice(0, 1));
    assert.equal(spool.bytes, 2 * bytes);
  });

  it("keeps what is refused out of the way until the next start", async () => {
    await spool.append(makeChanges());
    const [first, second] = await spool.read(9);
    assert.ok(first && second);
    await spool.setAside(first);
    assert.deepEqual(await spool.read(9), [second]);
    assert.equal(spool.count, 1);
    await reopen();
    assert.deepEqual(await spool.read(9), [first, second]);
    assert.equal(spool.count, 2);
  });

  it("tells what it can't read from what it can", async () => {
    await spool.append(makeChanges());
    await spool.close();
    const database = new DatabaseSync(file);
    for (const text of ["", "{", "null", "[]", '{"kind":"other","row":{}}', '{"kind":"final"}']) {
      database.prepare("insert into spool (statement) values (?)").run(text);
    }
    database.close();
    await reopen();
    assert.deepEqual(
      (await spool.read(99)).map(({ change }) => change !== null),
      [true, true, false, false, false, false, false, false],
    );
  });

  it("is this process's alone, and nobody else's to read", async () => {
    const other = openSpool({ file, bytesMax: 1, newInstance: "other" });
    await assert.rejects(other, (error) => error instanceof StoreError && error.kind === "locked");
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
});

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createWorkspace } from "../../test/support/process.ts";
import { openSqliteThread } from "./sqlite-thread.ts";

const workspace = createWorkspace();
after(() => workspace.remove());

/** A thread that serves until it is asked something, and then does `what`. */
function openThread(what: string) {
  const text = `import { parentPort } from "node:worker_threads";
    parentPort.postMessage({ id: 0 });
    parentPort.on("message", () => { ${what} });`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  return openSqliteThread({ file: ":memory:", role: "writer" }, url);
}

describe("a SQLite thread that dies", () => {
  for (const [how, what, message] of [
    ["by an error", "throw new Error('out of its mind')", /thread died: out of its mind/],
    ["without a word", "process.exit(3)", /thread has ended: start glm-proxy again/],
  ] as const) {
    it(`${how} fails what was asked and what comes, and can be closed`, async () => {
      const thread = await openThread(what);
      const asked = [thread.ask({ kind: "rollback" }), thread.ask({ kind: "rollback" })];
      for (const answer of asked) await assert.rejects(answer, { kind: "broken", message });
      await assert.rejects(thread.ask({ kind: "rollback" }), { kind: "broken", message });
      await thread.close();
    });
  }

  it("before it serves is no thread", async () => {
    const url = new URL("data:text/javascript,throw new Error('no way')");
    await assert.rejects(openSqliteThread({ file: ":memory:", role: "writer" }, url), { kind: "broken" });
  });
});

describe("a SQLite thread", () => {
  it("gives the file free when it is closed, and refuses what comes", async () => {
    const options = { file: workspace.path("free.sqlite"), role: "writer" } as const;
    const first = await openSqliteThread(options);
    await assert.rejects(openSqliteThread(options), { kind: "locked" });
    const asked = first.ask({ kind: "run", sql: "create table t (x)", parameters: [] });
    const closing = first.close();
    await assert.rejects(first.ask({ kind: "rollback" }), { kind: "unavailable", message: /is closed/ });
    await Promise.all([asked, closing, first.close()]);
    const second = await openSqliteThread(options);
    assert.deepEqual((await second.ask({ kind: "run", sql: "select x from t", parameters: [] })).rows, []);
    await second.close();
  });

  it("as a reader writes nothing", async () => {
    const file = workspace.path("read.sqlite");
    const writer = await openSqliteThread({ file, role: "writer" });
    const reader = await openSqliteThread({ file, role: "reader" });
    const asked = reader.ask({ kind: "run", sql: "create table t (x)", parameters: [] });
    await assert.rejects(asked, { kind: "unavailable", message: /readonly/ });
    await reader.close();
    await writer.close();
  });

  it("runs any number of different statements", async () => {
    const thread = await openSqliteThread({ file: ":memory:", role: "writer" });
    for (let number = 0; number < 1_000; number++) {
      const { rows } = await thread.ask({ kind: "run", sql: `select ${number} as n`, parameters: [] });
      assert.deepEqual(rows, [{ n: number }]);
    }
    await thread.close();
  });
});

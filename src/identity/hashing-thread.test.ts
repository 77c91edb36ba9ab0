import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { createHashingThread } from "./hashing-thread.ts";
import { createPasswordChecker, hashPassword } from "./passwords.ts";

const thread = createHashingThread();
after(() => thread.close());

describe("a thread for password hashes", () => {
  it("computes what Node's pool does, each answer for who asked", async () => {
    const passwords = Array.from({ length: 6 }, (_, index) => `pass phrase ${index}`);
    const hashes = await Promise.all(
      passwords.map((password, index) => hashPassword(password, index % 2 ? thread.derive : undefined)),
    );
    const checker = createPasswordChecker({ runningMax: 4, waitingMax: 32 }, thread.derive);
    const checks = passwords.flatMap((password) => hashes.map((hash) => checker.check({ hash }, password)));
    const expected = passwords.flatMap((_, row) => hashes.map((_, column) => row === column));
    assert.deepEqual(await Promise.all(checks), expected);
  });

  it("uses the memory of one hash, however many are computed", { skip: process.platform !== "linux" }, async () => {
    const resident = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1_024;
    const round = () => Promise.all(Array.from({ length: 8 }, (_, index) => hashPassword(`p${index}`, thread.derive)));
    await round();
    const before = resident();
    for (let count = 0; count < 5; count++) await round();
    // In Node's pool, each of four threads keeps one or two of 19 MiB.
    assert.ok(resident() - before < 15, `${resident() - before} MiB more`);
  });

  it("fails what was asked when it dies, and is started anew", async () => {
    const text = `import { parentPort } from "node:worker_threads";
      parentPort.on("message", () => { throw new Error("out of its mind"); });`;
    const mortal = createHashingThread(new URL(`data:text/javascript,${encodeURIComponent(text)}`));
    for (let count = 0; count < 2; count++) {
      const asked = [hashPassword("a", mortal.derive), hashPassword("b", mortal.derive)];
      for (const hash of asked) await assert.rejects(hash, /out of its mind/);
    }
    await mortal.close();
    const closed = createHashingThread();
    const given = hashPassword("a", closed.derive);
    await Promise.all([assert.rejects(given, /has ended/), closed.close()]);
  });
});

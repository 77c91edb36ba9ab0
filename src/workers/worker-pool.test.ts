import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { testSettings } from "../../test/support/gateway.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { createMemoryScheduler } from "../admission/memory-scheduler.ts";
import { noCharge } from "../base/charge.ts";
import { createSharedMemory, createWorkerPool, type WorkerPool } from "./worker-pool.ts";

/** Says that it listens, and does nothing else, whatever it is told. */
const deaf = toWorker(`
  parentPort.postMessage([{ kind: "listening", port: 1 }]);
  parentPort.on("message", () => {});
`);
/** Dies as soon as it is told anything. */
const brittle = toWorker(`
  parentPort.postMessage([{ kind: "listening", port: 1 }]);
  parentPort.on("message", () => { throw new Error("told something"); });
`);
const unborn = toWorker(`throw Object.assign(new Error("no port"), { code: "EADDRINUSE" });`);

function toWorker(code: string): URL {
  const text = `import { parentPort } from "node:worker_threads";\n${code}`;
  return new URL(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
}

let pool: WorkerPool | null = null;
const deaths: Error[] = [];

function open(url: URL, clock: ManualClock): WorkerPool {
  deaths.length = 0;
  pool = createWorkerPool({
    count: 2,
    settings: { ...testSettings },
    version: "0.0.0-test",
    memory: createSharedMemory(2),
    forwardTo: { path: "\0unused", secret: "unused" },
    stages: {
      identity: { identify: () => Promise.reject(new Error("nobody asks")) },
      quotas: { reserve: () => ({ estimate: noCharge, warnings: [], settle() {} }) },
      ledger: { begin: () => Promise.resolve() },
      scheduler: createMemoryScheduler(testSettings.rateLimit, clock),
      clock,
      settle() {},
    },
    clock,
    onFailure() {},
    onDeath: (error) => void deaths.push(error),
    url,
  });
  return pool;
}

/** Whether it is over, without waiting for it. */
function watch(promise: Promise<void>): () => boolean {
  let isOver = false;
  void promise.then(() => {
    isOver = true;
  });
  return () => isOver;
}

describe("createWorkerPool()", () => {
  afterEach(async () => {
    const closed = pool?.close();
    await clock.advance(10_000);
    await closed;
  });
  let clock: ManualClock;

  it("ends a worker that has not drained two seconds after the grace, and not before", async () => {
    clock = createManualClock();
    const workers = open(deaf, clock);
    assert.equal(await workers.start("127.0.0.1", 0), 1);
    const isDrained = watch(workers.drain(5_000));
    await clock.advance(6_999);
    assert.deepEqual([isDrained(), deaths.length], [false, 0]);
    await clock.advance(1);
    await until("they are ended", () => isDrained());
    assert.equal(deaths.length, 2);
  });

  it("ends a worker that does not close within two seconds, and not before", async () => {
    clock = createManualClock();
    const workers = open(deaf, clock);
    await workers.start("127.0.0.1", 0);
    const isClosed = watch(workers.close());
    await clock.advance(1_999);
    assert.equal(isClosed(), false);
    await clock.advance(1);
    await until("they are ended", () => isClosed());
    assert.deepEqual(deaths, [], "that was what they were told");
    assert.equal(clock.armedCount, 0);
  });

  it("replaces a worker that died after a second, and none once it drains", async () => {
    clock = createManualClock();
    const workers = open(brittle, clock);
    await workers.start("127.0.0.1", 0);
    workers.apply(testSettings);
    await until("both have died", () => deaths.length === 2);
    assert.match(String(deaths[0]), /told something/);
    await clock.advance(1_000);
    workers.apply(testSettings);
    await until("those in their place have died", () => deaths.length === 4);
    await workers.drain(0);
    await clock.advance(1_000);
    workers.apply(testSettings);
    assert.equal(deaths.length, 4);
  });

  it("says what kept it from starting, and leaves nobody behind", async () => {
    clock = createManualClock();
    await assert.rejects(open(unborn, clock).start("127.0.0.1", 0), { code: "EADDRINUSE" });
    assert.deepEqual(deaths, []);
    assert.equal(clock.armedCount, 0);
  });
});

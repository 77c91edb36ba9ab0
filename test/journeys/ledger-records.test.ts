// Records of calls, through the whole gateway: noted before anything is sent, settled as they ended, refused when they
// can't be noted.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { createSmallDisk, type SmallDisk } from "../support/small-disk.ts";

interface StoredCall {
  readonly request_id: string;
  readonly state: string;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly tokens_source: string;
  readonly cost_micros: number;
  readonly status: number | null;
  readonly reason: string | null;
}

const prices = {
  currency: "CNY",
  models: [{ pattern: "glm-*", input: 2, cachedInput: null, output: 8 }],
};

let folder: string;
let file: string;
let gateway: TestGateway;
let token: string;

async function start(overrides: Parameters<typeof startGateway>[0] = {}): Promise<void> {
  gateway = await startGateway({ store: { kind: "sqlite", file }, dataFolder: folder, prices, ...overrides });
  token = await gateway.logIn();
}

function call(id: string, body: object = chat()): ReturnType<typeof send> {
  return send(`${gateway.url}/chat/completions`, { token, body, headers: { "x-request-id": id } });
}

function readCalls(): StoredCall[] {
  const database = new DatabaseSync(file, { readOnly: true });
  const calls = database.prepare("select * from calls order by id").all() as unknown as StoredCall[];
  database.close();
  return calls;
}

async function readCall(id: string): Promise<StoredCall> {
  const find = () => readCalls().find(({ request_id, state }) => request_id === id && state !== "open");
  await until(`${id} has its record`, () => find() !== undefined);
  return find() as StoredCall;
}

describe("the record of a call", () => {
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "glm-proxy-records-"));
    file = join(folder, "store.sqlite");
  });
  afterEach(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  it("is in the database before the upstream hears of the call", async () => {
    await start();
    const other = new DatabaseSync(file);
    other.exec("begin immediate");
    const answered = call("request-held");
    await until("it has its ticket", () => gateway.app.snapshot().running === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(gateway.simulator.report().callCount, 0, "nothing is sent while it can't be noted");
    other.exec("rollback");
    other.close();
    assert.equal((await answered).status, 200);
    assert.equal((await readCall("request-held")).state, "served");
  });

  it("says what the upstream reported and what that costs, of whole answers and of streams", async () => {
    await start();
    const { json } = await call("request-whole");
    const { usage } = json as { usage: { prompt_tokens: number; completion_tokens: number } };
    await call("request-streamed", chat("hello", { stream: true }));
    for (const id of ["request-whole", "request-streamed"]) {
      const record = await readCall(id);
      assert.deepEqual(
        [record.state, record.requests, record.tokens_source, record.status],
        ["served", 1, "reported", 200],
      );
      assert.deepEqual(
        [record.prompt_tokens, record.completion_tokens],
        [usage.prompt_tokens, usage.completion_tokens],
      );
      assert.equal(record.cost_micros, usage.prompt_tokens * 2 + usage.completion_tokens * 8);
    }
  });

  it("charges nothing for what the upstream refused, and a guess for an answer that was cut", async () => {
    await start();
    await call("request-refused", { ...chat(), temperature: 99 });
    const refused = await readCall("request-refused");
    assert.deepEqual([refused.state, refused.requests, refused.cost_micros], ["refused", 0, 0]);

    const controller = new AbortController();
    const leaving = send(`${gateway.url}/chat/completions`, {
      token,
      body: chat("[frames=500] [delay=5]", { stream: true }),
      headers: { "x-request-id": "request-left" },
      signal: controller.signal,
      onData: () => controller.abort(),
    });
    await assert.rejects(leaving);
    const left = await readCall("request-left");
    assert.deepEqual([left.state, left.requests, left.tokens_source], ["cancelled", 1, "estimated"]);
    assert.ok(left.prompt_tokens > 0 && left.completion_tokens > 0 && left.cost_micros > 0);
  });

  it("is one row for a call that never left the queue, which took nothing", async () => {
    await start({ rateLimit: { concurrencyMax: 1, queueTimeoutMs: 100 } });
    const running = call("request-running", chat("[frames=100] [delay=5]", { stream: true }));
    await until("it runs", () => gateway.app.snapshot().running === 1);
    assert.equal((await call("request-waiting")).status, 408);
    const waited = await readCall("request-waiting");
    assert.deepEqual(
      [waited.state, waited.reason, waited.status, waited.requests],
      ["refused", "queue_timeout", 408, 0],
    );
    await running;
  });

  it("is none for a stranger", async () => {
    await start();
    await send(`${gateway.url}/chat/completions`, { token: "nobody's", body: chat() });
    await call("request-known");
    await readCall("request-known");
    assert.equal(readCalls().length, 1);
  });

  it("survives an orderly end in the middle of calls", async () => {
    await start({ server: { shutdownGraceMs: 50 } });
    const running = call("request-cut-off", chat("[frames=500] [delay=10]", { stream: true })).catch(() => null);
    await until("it runs", () => gateway.simulator.report().inFlight === 1);
    await gateway.stop();
    await running;
    assert.equal((await readCall("request-cut-off")).state, "cut");
    await start();
    assert.equal((await call("request-next")).status, 200);
  });
});

const probe = createSmallDisk(1);
probe?.remove();
const skip = probe ? false : "nothing can be mounted here (root on Linux can)";

describe("a gateway whose disk is full", { skip }, () => {
  let disk: SmallDisk;

  beforeEach(() => {
    disk = createSmallDisk(3) as SmallDisk;
    file = join(disk.folder, "store.sqlite");
    folder = disk.folder;
  });
  afterEach(async () => {
    disk.free();
    await gateway.stop().finally(disk.remove);
  });

  async function callUntil(what: string, isReached: (status: number) => boolean): Promise<void> {
    for (let count = 0; count < 2_000; count++) if (isReached((await call(`request-${what}-${count}`)).status)) return;
    assert.fail(`never ${what}`);
  }

  it("refuses calls with 503 when it is strict, and serves again when there is room, without a restart", async () => {
    await start();
    disk.fill();
    await callUntil("refused", (status) => status === 503);
    const { status, json, headers } = await call("request-told");
    assert.equal(status, 503);
    assert.equal((json as { error: { code: string } }).error.code, "ledger_unavailable");
    assert.equal(headers["x-should-retry"], "true");
    assert.ok(Number(headers["retry-after"]) >= 1);
    const seen = gateway.simulator.report().callCount;
    await call("request-not-sent");
    assert.equal(gateway.simulator.report().callCount, seen, "a call that can't be noted is not sent");

    disk.free();
    await until("it serves again", async () => (await call("request-again")).status === 200, 10_000);
    const isServed = ({ request_id, state }: StoredCall) => request_id === "request-again" && state === "served";
    await until("it has its record", () => readCalls().some(isServed));
  });

  it("serves on when it is lenient, and has every record when there is room", async () => {
    await start({ ledger: { isStrict: false } });
    disk.fill();
    let served = 0;
    await callUntil("failing", (status) => {
      assert.equal(status, 200);
      served++;
      return gateway.logLines.some((line) => line.includes("ledger: "));
    });
    for (let count = 0; count < 20; count++) assert.equal((await call(`request-late-${count}`)).status, 200);
    disk.free();
    await until(
      "every record is there",
      () => readCalls().filter(({ state }) => state === "served").length === served + 20,
      10_000,
    );
  });
});

// The manual's Python client (seed_client.py, standard library alone) as a process of its own against the gateway.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { afterEach, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const program = new URL("seed_client.py", import.meta.url).pathname;
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** What the client tells of one chat. */
interface Told {
  readonly texts: readonly string[];
  readonly logins?: number;
  /** Status and advised seconds of each wait. */
  readonly waited: readonly (readonly [number, number])[];
  readonly error?: string;
  readonly status?: number;
}

interface PythonClient {
  /** One chat; `onText` is called for each piece as it comes. */
  chat(prompt: string, isStream?: boolean, onText?: () => void): Promise<Told>;
}

let gateway: TestGateway;
let child: ChildProcess | null = null;

afterEach(async () => {
  if (child?.exitCode === null) {
    const ended = new Promise((resolve) => child?.once("close", resolve));
    child.kill();
    await ended;
  }
  child = null;
  try {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
  } finally {
    await gateway.stop();
  }
});

function startClient(more: { password?: string; sleep_seconds_max?: number } = {}): PythonClient {
  const started = spawn("python3", [program], { stdio: ["pipe", "pipe", "inherit"] });
  child = started;
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  let onText = () => {};
  started.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() as string;
    for (const part of parts) {
      const line = JSON.parse(part) as Record<string, unknown>;
      lines.push(line);
      if ("text" in line) onText();
    }
  });
  const write = (line: object) => started.stdin.write(`${JSON.stringify(line)}\n`);
  write({ url: gateway.url, username: "user1", password: "pass123", ...more });
  return {
    async chat(prompt, isStream = true, whenText = () => {}) {
      lines.length = 0;
      onText = whenText;
      write({ prompt, stream: isStream });
      const findLast = () => lines.find((line) => "done" in line || "error" in line);
      await until("the client is done", () => findLast() !== undefined || started.exitCode !== null, 10_000);
      const texts = lines.flatMap(({ text }) => (typeof text === "string" ? [text] : []));
      return { ...(findLast() as unknown as Told), texts };
    },
  };
}

const outcomes = () => gateway.callLines().map(({ outcome, reason }) => reason ?? outcome);

describe("the manual's Python client", { skip: hasPython ? false : "python3 is missing" }, () => {
  it("logs in once and chats, whole and as a stream, with the same words", async () => {
    gateway = await startGateway();
    const client = startClient();
    const whole = await client.chat("你好", false);
    const streamed = await client.chat("你好");
    assert.equal(whole.texts.length, 1);
    assert.match(whole.texts[0] as string, /\p{Script=Han}/u);
    assert.equal(streamed.texts.length, 8);
    assert.equal(streamed.texts.join(""), whole.texts[0]);
    assert.equal(streamed.logins, 1);
    assert.deepEqual(streamed.waited, []);
  });

  it("prints the pieces of a stream while the upstream still speaks", async () => {
    gateway = await startGateway();
    const client = startClient();
    let inFlightAtFirst = -1;
    const { texts } = await client.chat("[frames=30] [delay=15]", true, () => {
      if (inFlightAtFirst < 0) inFlightAtFirst = gateway.simulator.report().inFlight;
    });
    assert.equal(inFlightAtFirst, 1);
    assert.equal(texts.length, 30);
  });

  it("logs in again when its token has expired, and is served", async () => {
    gateway = await startGateway({ auth: { tokenTtlSeconds: 1 } });
    const client = startClient();
    const first = await client.chat("hello");
    // A younger token than the client's: when it has expired, so has the client's.
    const token = await gateway.logIn();
    await until("tokens have expired", async () => {
      const { status } = await send(`${gateway.url}/chat/completions`, { token, body: chat() });
      return status === 401;
    });
    const second = await client.chat("hello");
    assert.equal(second.texts.join(""), first.texts.join(""));
    assert.ok((second.logins ?? 0) > (first.logins ?? 0));
    assert.deepEqual(second.waited, []);
  });

  it("may use its token for as long as the login said", async () => {
    gateway = await startGateway({ auth: { tokenTtlSeconds: 1 } });
    // In the middle of a second of the wall clock, by which tokens count whole seconds.
    await until("half a second is over", () => Math.abs((Date.now() % 1_000) - 500) < 50);
    const startedAt = performance.now();
    const token = await gateway.logIn();
    await until("nine tenths of its life are over", () => performance.now() - startedAt >= 900);
    const { status, text } = await send(`${gateway.url}/chat/completions`, { token, body: chat() });
    assert.equal(status, 200, text);
  });

  it("gives up at once with a wrong password", async () => {
    gateway = await startGateway();
    const told = await startClient({ password: "wrong" }).chat("hello");
    assert.deepEqual([told.status, told.error, told.texts], [401, "wrong_credentials", []]);
  });

  describe("waits as it is told and is served then", () => {
    const limits = { concurrencyMax: 1, startsPerSecond: 2, abortLingerMs: 20 };

    /** A call of somebody else that occupies the one place, until the client was refused for `reason`. */
    async function occupyUntil(reason: string): Promise<void> {
      const token = await gateway.logIn("user2", "pass456");
      const controller = new AbortController();
      const { signal } = controller;
      const sent = send(`${gateway.url}/chat/completions`, { token, signal, body: chat("[first=10000]") });
      const left = assert.rejects(sent);
      await until("the place is taken", () => gateway.simulator.report().inFlight === 1);
      void until(`the client is refused: ${reason}`, () => outcomes().includes(reason))
        .finally(() => controller.abort())
        .then(() => left);
    }

    for (const [status, reason, limit, words] of [
      [408, "queue_timeout", { queueTimeoutMs: 300 }, "the time in the queue is over"],
      [429, "queue_full", { queueCapacity: 0 }, "the queue is full"],
    ] as const) {
      it(`after ${status}, ${words}`, async () => {
        gateway = await startGateway({ rateLimit: { ...limits, ...limit } });
        const client = startClient();
        await occupyUntil(reason);
        const { texts, waited } = await client.chat("hello");
        assert.equal(texts.length, 8);
        assert.deepEqual(
          waited.map(([waitedFor]) => waitedFor),
          [status],
        );
        assert.ok((waited[0]?.[1] ?? 0) >= 0.5, "it waits no shorter than a place takes to come free");
        assert.deepEqual(outcomes(), [reason, "client_gone", "served"]);
      });
    }

    it("after 504, GLM took too long", async () => {
      gateway = await startGateway({ glm: { timeouts: { totalMs: 200, firstByteMs: null, idleMs: null } } });
      gateway.simulator.script({ fault: "stallBeforeHeaders" });
      const { texts, waited } = await startClient({ sleep_seconds_max: 0.05 }).chat("hello");
      assert.equal(texts.length, 8);
      assert.deepEqual(
        waited.map(([status]) => status),
        [504],
      );
      assert.ok((waited[0]?.[1] ?? 0) >= 5, "it is told to wait as long as the manual says");
      assert.deepEqual(outcomes(), ["upstream_timeout", "served"]);
    });
  });

  it("does not take a cut stream for a whole one, and does not ask again by itself", async () => {
    gateway = await startGateway();
    gateway.simulator.script({ fault: "cutMidStream", after: 3 });
    const { texts, error } = await startClient().chat("[frames=20]");
    assert.equal(texts.length, 3);
    assert.match(error ?? "", /^upstream_/);
    assert.equal(gateway.simulator.report().callCount, 1);
  });

  it("does not ask again what GLM refuses", async () => {
    gateway = await startGateway();
    gateway.simulator.script({ fault: "error", code: "1301" });
    const { error, status } = await startClient().chat("hello");
    assert.deepEqual([status, error], [400, "1301"]);
    assert.equal(gateway.simulator.report().callCount, 1);
  });
});

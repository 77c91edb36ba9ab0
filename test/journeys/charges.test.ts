// What a call is charged, for every way in which it can end while the gateway lives: the row of the table in
// docs/administration.md that it falls under, in its record. How it ends when the process dies: test/durability.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, before, describe, it } from "node:test";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

/** Whether the prompt and the answer are charged, and where the figures come from. */
type Charged = readonly ["nothing"] | readonly ["reported"] | readonly ["estimated", "prompt" | "prompt and answer"];

interface Way {
  readonly state: string;
  readonly charged: Charged;
  readonly body?: object;
  readonly faults?: Parameters<TestGateway["simulator"]["script"]>;
  /** When the client leaves: never by default. */
  readonly leavesAt?: "queued" | "sent" | "first byte";
  /** Its place in the only lane is taken until it is over. */
  readonly isQueued?: boolean;
  readonly headers?: Record<string, string>;
}

const stream = (words: string) => chat(words, { stream: true });
const long = stream("[frames=2000] [delay=5]");
const silent: Way["faults"] = [{ fault: "stallBeforeHeaders" }];

const refusals: Readonly<Record<string, NonNullable<Way["faults"]>[number]>> = {
  "the request's own fault": { fault: "error", code: "1210" },
  "an unknown model": { fault: "error", code: "1211" },
  "its content": { fault: "error", code: "1301" },
  "a quota": { fault: "error", code: "1308" },
  "a failure of its own, each time": { fault: "error", code: "500", times: 9 },
  "a page of a gateway on the way": { fault: "html", status: 502 },
};

const ways: Readonly<Record<string, Way>> = {
  "served whole": { state: "served", charged: ["reported"] },
  "served as a stream": { state: "served", charged: ["reported"], body: stream("hello") },
  "a stream that a reset ended": {
    state: "cut",
    charged: ["estimated", "prompt and answer"],
    body: long,
    faults: [{ fault: "resetMidStream", after: 50 }],
  },
  "a stream that ended early": {
    state: "cut",
    charged: ["estimated", "prompt and answer"],
    body: long,
    faults: [{ fault: "cutMidStream", after: 50 }],
  },
  ...Object.fromEntries(
    ["1302", "1305", "1113", "1301", "500"].map((code) => [
      `a stream that the upstream's error ${code} ended`,
      {
        state: "cut",
        charged: ["estimated", "prompt and answer"],
        body: long,
        faults: [{ fault: "errorFrame", after: 50, code }],
      } satisfies Way,
    ]),
  ),
  "a stream that fell silent": {
    state: "cut",
    charged: ["estimated", "prompt and answer"],
    body: stream("[frames=50]"),
    faults: [{ fault: "stallMidStream", after: 10 }],
  },
  "a stream that took too long": { state: "cut", charged: ["estimated", "prompt and answer"], body: long },
  "an answer whose first byte never came": { state: "refused", charged: ["estimated", "prompt"], faults: silent },
  "a whole answer that broke in its middle": {
    state: "refused",
    charged: ["estimated", "prompt"],
    faults: [{ fault: "resetMidStream" }],
  },
  "a request that was sent and then reset": {
    state: "refused",
    charged: ["estimated", "prompt"],
    faults: [{ fault: "resetBeforeHeaders" }],
  },
  "an answer that is none": {
    state: "refused",
    charged: ["nothing"],
    faults: [{ fault: "html", status: 200 }],
  },
  "a client that left the queue": { state: "cancelled", charged: ["nothing"], isQueued: true, leavesAt: "queued" },
  "a client that left before the first byte": {
    state: "cancelled",
    charged: ["estimated", "prompt"],
    faults: silent,
    leavesAt: "sent",
  },
  "a client that left in the middle of a stream": {
    state: "cancelled",
    charged: ["estimated", "prompt and answer"],
    body: long,
    leavesAt: "first byte",
  },
  "a call that waited too long": { state: "refused", charged: ["nothing"], isQueued: true },
  ...Object.fromEntries(
    Object.entries(refusals).map(([reason, fault]) => [
      `refused by the upstream for ${reason}`,
      { state: "refused", charged: ["nothing"], faults: [fault] } satisfies Way,
    ]),
  ),
  "refused as the first event": {
    state: "refused",
    charged: ["nothing"],
    body: stream("hello"),
    faults: [{ fault: "errorFrame", after: 0, code: "1210" }],
  },
};

describe("what a call is charged", () => {
  let folder: string;
  let gateway: TestGateway;
  let token: string;

  async function start(): Promise<void> {
    gateway = await startGateway({
      store: { kind: "sqlite", file: join(folder, "store.sqlite") },
      dataFolder: folder,
      prices: { currency: "CNY", models: [{ pattern: "glm-*", input: 2, cachedInput: null, output: 8 }] },
      cache: { isEnabled: true },
      rateLimit: { concurrencyMax: 1, queueTimeoutMs: 400, abortLingerMs: 0 },
      glm: { timeouts: { totalMs: 1_500, firstByteMs: 500, idleMs: 500 } },
      server: { shutdownGraceMs: 50 },
    });
    token = await gateway.logIn();
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "glm-proxy-charges-"));
    await start();
  });
  afterEach(async () => {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    gateway.simulator.reset();
    // What an upstream's refusal has taught must not reach the next case.
    gateway.app.apply(gateway.settings);
  });
  after(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  interface Charge {
    readonly state: string;
    readonly requests: number;
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly cost_micros: number;
    readonly tokens_source: string;
  }

  async function readCharge(id: string): Promise<Charge> {
    const read = () => {
      const database = new DatabaseSync(join(folder, "store.sqlite"), { readOnly: true });
      const row = database.prepare("select * from calls where request_id = ? and state != 'open'").get(id);
      database.close();
      return row as unknown as Charge | undefined;
    };
    await until(`${id} has its record`, () => read() !== undefined);
    return read() as Charge;
  }

  function assertCharged(charge: Charge, state: string, [source, what]: Charged): void {
    const { requests, prompt_tokens: prompt, completion_tokens: completion, tokens_source, cost_micros: cost } = charge;
    assert.deepEqual([charge.state, tokens_source], [state, source === "nothing" ? "none" : source]);
    assert.equal(requests, source === "nothing" ? 0 : 1);
    assert.deepEqual(
      [prompt > 0, completion > 0],
      [source !== "nothing", source === "reported" || what === "prompt and answer"],
    );
    assert.equal(cost, prompt * 2 + completion * 8);
  }

  const ask = (id: string, { body = chat(), headers = {} }: Way, signal?: AbortSignal, onData = () => {}) =>
    send(`${gateway.url}/chat/completions`, {
      token,
      body,
      headers: { "x-request-id": id, ...headers },
      onData,
      ...(signal && { signal }),
    }).catch(() => null);

  const seen = () => gateway.simulator.report().callCount;

  for (const [name, way] of Object.entries(ways)) {
    it(`is ${way.charged.join(": ")} for ${name}`, async () => {
      const id = `call-${name.replace(/[^a-z0-9]+/g, "-")}`.slice(0, 60);
      const blocker = new AbortController();
      let blocking: Promise<unknown> = Promise.resolve();
      if (way.isQueued) {
        blocking = ask("call-that-runs", { ...way, body: long }, blocker.signal);
        await until("another one runs", () => seen() === 1);
      }
      gateway.simulator.script(...(way.faults ?? []));
      const client = new AbortController();
      const before = seen();
      const isFirstByte = way.leavesAt === "first byte";
      const asked = ask(id, way, client.signal, () => isFirstByte && client.abort());
      if (way.leavesAt === "queued") await until("it waits", () => gateway.app.snapshot().waiting === 1);
      if (way.leavesAt === "sent") await until("it was sent", () => seen() > before);
      if (way.leavesAt !== undefined && !isFirstByte) client.abort();
      await asked;
      blocker.abort();
      await blocking;
      assertCharged(await readCharge(id), way.state, way.charged);
    });
  }

  it("is estimated: prompt for a call whose whole time ran out before the first byte", async () => {
    const { glm } = gateway.settings;
    const timeouts = { totalMs: 300, firstByteMs: null, idleMs: null };
    gateway.app.apply({ ...gateway.settings, glm: { ...glm, timeouts } });
    await ask("call-out-of-time", { state: "refused", charged: ["estimated", "prompt"], body: stream("[first=5000]") });
    assertCharged(await readCharge("call-out-of-time"), "refused", ["estimated", "prompt"]);
  });

  it("is nothing for an answer from the cache", async () => {
    const way: Way = { state: "served", charged: ["nothing"], headers: { "x-cache": "on" } };
    await ask("call-cached-first", way);
    await ask("call-cached-again", way);
    assert.equal(seen(), 1);
    assertCharged(await readCharge("call-cached-again"), "served", ["nothing"]);
  });

  it("is estimated: prompt for a call whose try was never answered, whatever becomes of the next one", async () => {
    gateway.simulator.script({ fault: "stallBeforeHeaders" }, { fault: "error", code: "1210" });
    gateway.app.apply({ ...gateway.settings, rateLimit: { ...gateway.settings.rateLimit, queueTimeoutMs: 5_000 } });
    await ask("call-tried-twice", { state: "refused", charged: ["estimated", "prompt"] });
    assertCharged(await readCharge("call-tried-twice"), "refused", ["estimated", "prompt"]);
  });

  it("is by how far each came when the gateway is stopped", async () => {
    const running = ask("call-stopped-midway", { state: "cut", charged: ["nothing"], body: long });
    await until("it runs", () => seen() === 1);
    const waiting = ask("call-stopped-waiting", { state: "refused", charged: ["nothing"] });
    await until("another one waits", () => gateway.app.snapshot().waiting === 1);
    await until("its answer has begun", () => gateway.simulator.report().inFlight === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await gateway.stop();
    await Promise.all([running, waiting]);
    assertCharged(await readCharge("call-stopped-midway"), "cut", ["estimated", "prompt and answer"]);
    assertCharged(await readCharge("call-stopped-waiting"), "refused", ["nothing"]);
    await start();
  });
});

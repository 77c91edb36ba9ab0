// A pool of keys from end to end: what one key can't, another does, and no limit of any is exceeded meanwhile.

import assert from "node:assert/strict";
import { Agent, createServer, request as openRequest, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import type { KeyLimits } from "../../src/admission/scheduler.ts";
import type { UpstreamSettings } from "../../src/config/settings.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const firstKey = "first0123456789.secret0123456789";
const secondKey = "second012345678.secret0123456789";
const model = "glm-4.5-flash";

function toTarget(name: string, { baseUrl, anthropicBaseUrl }: Simulator, apiKey: string | null): UpstreamSettings {
  return { name, kind: "glm", apiKey, baseUrl, anthropicBaseUrl };
}

function toLimits(name: string, more: Partial<KeyLimits> = {}): KeyLimits {
  return { name, startsPerSecond: 1_000, concurrencyMax: null, tokensPerMinute: null, models: null, ...more };
}

/** One gateway over one account for each of two keys. */
async function startPair(limits: Partial<KeyLimits> = {}, more: Parameters<typeof startGateway>[0] = {}) {
  const glm = await startSimulator({ apiKeys: [firstKey, secondKey], firstTokenMs: 2, tokenMs: 1 });
  const gateway = await startGateway({
    ...more,
    glm: { upstreams: [toTarget("first", glm, firstKey), toTarget("second", glm, secondKey)], ...more.glm },
    rateLimit: { keys: [toLimits("first", limits), toLimits("second", limits)], queueCapacity: 200, ...more.rateLimit },
  });
  return {
    glm,
    gateway,
    token: await gateway.logIn(),
    async stop() {
      await gateway.stop();
      await glm.close();
    },
  };
}

/** Arrivals by key, whole names: the simulator masks them. */
function countByKey({ report }: Simulator): { first: number; second: number } {
  const { arrivals } = report();
  const count = (key: string) =>
    arrivals.filter(({ headers }) => `${headers.authorization} ${headers["x-api-key"]}`.includes(key)).length;
  return { first: count(firstKey), second: count(secondKey) };
}

/** GLM's codes by which a key, or a model on it, is of no use: for a while, or for good. */
const deaths = [
  ...["401", "1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1113", "1120", "1121"],
  ...["1302", "1303", "1304", "1305", "1308", "1309", "1310", "1311", "1312", "1313", "1314", "1315"],
  ...["1316", "1317", "500", "1230", "1234"],
];

describe("two keys, of which one dies under load", () => {
  for (const code of deaths) {
    it(`in the way of ${code}: nobody sees it, and no limit is exceeded`, async () => {
      const limits = { concurrencyMax: 4, startsPerSecond: 200 };
      const pair = await startPair(limits, { rateLimit: { queueTimeoutMs: 10_000, sendGuardMs: 60 } });
      try {
        pair.glm.setLimits({ concurrencyMax: 4, requestsPerSecond: 200 });
        const sent: Promise<Sent>[] = [];
        const ask = (stream: boolean) => {
          const body = chat(`hi [frames=3]`, { stream });
          sent.push(send(`${pair.gateway.url}/v1/chat/completions`, { token: pair.token, body }));
        };
        for (let count = 0; count < 12; count++) ask(count % 2 === 0);
        await until("calls run", () => pair.glm.report().callCount > 2);
        pair.glm.setKeyState("first0123456789", code);
        for (let count = 0; count < 28; count++) ask(count % 2 === 0);
        for (const { status, text } of await Promise.all(sent)) {
          assert.equal(status, 200, text);
          assert.ok(!text.includes('"error"'), text);
        }
        const { violationCount, violations } = pair.glm.report();
        // What was refused by the key's state was no call too many.
        assert.equal(violationCount, 0, JSON.stringify(violations.slice(0, 3)));
        const { second } = countByKey(pair.glm);
        assert.ok(second >= 28, `${second} calls went to the key that lives`);
      } finally {
        await pair.stop();
      }
    });
  }
});

describe("a pool of keys", () => {
  it("tries a key that can't be reached elsewhere at once, and leaves it alone for a while", async () => {
    const glm = await startSimulator({ apiKeys: [secondKey] });
    const closed = { ...toTarget("first", glm, firstKey), baseUrl: "http://127.0.0.1:1/api/paas/v4" };
    const gateway = await startGateway({
      glm: { upstreams: [closed, toTarget("second", glm, secondKey)] },
      rateLimit: { keys: [toLimits("first"), toLimits("second")] },
    });
    let longestMs = 0;
    try {
      for (let count = 0; count < 12; count++) {
        // Each session has a key of its own that it goes to first.
        const token = await gateway.logIn();
        const { status } = await send(`${gateway.url}/v1/chat/completions`, { token, body: chat() });
        assert.equal(status, 200);
        // For about a second, so that it is looked at after each call.
        const { lanes } = gateway.app.snapshot();
        const lane = lanes.find(({ upstreamKey, model: of }) => upstreamKey === "first" && of === null);
        longestMs = Math.max(longestMs, lane?.blockedMs ?? 0);
      }
      assert.ok(longestMs > 0);
    } finally {
      await gateway.stop();
      await glm.close();
    }
  });

  it("gives up a key that keeps silent, within the call's own time", async () => {
    const timeouts = { totalMs: 5_000, firstByteMs: 200, idleMs: null };
    const pair = await startPair({}, { glm: { timeouts } });
    try {
      pair.glm.script({ fault: "stallBeforeHeaders", when: { keyId: "first0123456789" }, times: 10 });
      for (let count = 0; count < 4; count++) {
        const { status } = await send(`${pair.gateway.url}/v1/chat/completions`, { token: pair.token, body: chat() });
        assert.equal(status, 200);
      }
      await until("all is free", () => pair.gateway.app.snapshot().running === 0);
    } finally {
      await pair.stop();
    }
  });

  it("loses no call when a key is changed under traffic", async () => {
    const pair = await startPair({ concurrencyMax: 8 });
    try {
      const sent: Promise<Sent>[] = [];
      const ask = () =>
        sent.push(
          send(`${pair.gateway.url}/v1/chat/completions`, {
            token: pair.token,
            body: chat("hi [frames=10] [delay=3]", { stream: true }),
          }),
        );
      for (let count = 0; count < 20; count++) ask();
      await until("they run", () => pair.gateway.app.snapshot().running > 5);
      const { settings } = pair.gateway;
      const [, second] = settings.glm.upstreams as [UpstreamSettings, UpstreamSettings];
      const rotated = { ...second, name: "first" };
      pair.gateway.app.apply({ ...settings, glm: { ...settings.glm, upstreams: [rotated, second] } });
      for (let count = 0; count < 20; count++) ask();
      for (const { status, text } of await Promise.all(sent)) {
        assert.equal(status, 200);
        assert.ok(text.endsWith("data: [DONE]\n\n"));
      }
    } finally {
      await pair.stop();
    }
  });

  it("keeps a tool of one user with one key, as long as that has room", async () => {
    const pair = await startPair();
    try {
      for (let count = 0; count < 10; count++) {
        await send(`${pair.gateway.url}/v1/chat/completions`, { token: pair.token, body: chat() });
      }
      const { first, second } = countByKey(pair.glm);
      assert.deepEqual(
        [first, second].sort((one, other) => one - other),
        [0, 10],
      );
    } finally {
      await pair.stop();
    }
  });

  it("asks for objects where they were made", async () => {
    const pair = await startPair();
    const url = `${pair.gateway.url}/api/paas/v4`;
    try {
      for (let count = 0; count < 6; count++) {
        // Each session has a key of its own that it goes to first.
        const token = await pair.gateway.logIn();
        const { json } = await send(`${url}/async/chat/completions`, { token, body: chat() });
        const { status } = await send(`${url}/async-result/${(json as { id: string }).id}`, { token });
        assert.equal(status, 200);
      }
    } finally {
      await pair.stop();
    }
  });

  it("asks another model when no key has the wanted one, and says so", async () => {
    const fallbacks = new Map([[model, ["glm-4.5-air", "glm-4.7"]]]);
    const pair = await startPair({}, { glm: { fallbacks }, rateLimit: { queueTimeoutMs: 1_000 } });
    try {
      for (const path of ["/v1/chat/completions", "/v1/messages", "/v1/responses"]) {
        pair.glm.reset();
        pair.gateway.app.apply(pair.gateway.settings);
        for (const keyId of ["first0123456789", "second012345678"]) {
          pair.glm.script({ fault: "error", code: "1311", when: { keyId, model }, times: 5 });
        }
        const body = { ...chat(), input: "hi", max_tokens: 99 };
        const { status, headers, text } = await send(pair.gateway.url + path, { token: pair.token, body });
        assert.equal(status, 200, text);
        assert.equal(headers["x-fallback-model"], "glm-4.5-air");
        assert.equal(headers["x-fallback-reason"], "upstream_account");
        assert.equal(pair.glm.report().arrivals.at(-1)?.model, "glm-4.5-air");
      }
      const { json } = await send(`${pair.gateway.url}/me/keys`, {
        token: pair.token,
        body: { name: "small", models: [model, "glm-4.7"] },
      });
      const { headers } = await send(`${pair.gateway.url}/v1/chat/completions`, {
        token: (json as { secret: string }).secret,
        body: chat(),
      });
      assert.equal(headers["x-fallback-model"], "glm-4.7", "only to what the key may use");
    } finally {
      await pair.stop();
    }
  });
});

describe("a server that is compatible with OpenAI beside GLM", () => {
  let own: Simulator;
  let glm: Simulator;
  let gateway: TestGateway;
  let token: string;

  before(async () => {
    own = await startSimulator({ flavour: "openai", firstTokenMs: 2, tokenMs: 1 });
    glm = await startSimulator({ apiKeys: [firstKey], firstTokenMs: 2, tokenMs: 1 });
    const target = { name: "own", kind: "openai", apiKey: null, baseUrl: own.baseUrl, anthropicBaseUrl: null } as const;
    gateway = await startGateway({
      glm: { upstreams: [toTarget("glm", glm, firstKey), target] },
      rateLimit: { keys: [toLimits("glm", { models: ["glm-*"] }), toLimits("own", { models: ["qwen-7b"] })] },
    });
    token = await gateway.logIn();
  });
  after(async () => {
    await gateway.stop();
    await own.close();
    await glm.close();
  });

  const ask = (path: string, body: object) => send(gateway.url + path, { token, body });
  const messages = [{ role: "user", content: "hi [frames=4]" }];

  it("serves its models by the same paths, and is listed", async () => {
    assert.equal((await ask("/v1/chat/completions", { model: "qwen-7b", messages })).status, 200);
    assert.equal(own.report().callCount, 1);
    const { json } = await send(`${gateway.url}/v1/models`, { token });
    assert.ok((json as { data: { id: string }[] }).data.some(({ id }) => id === "qwen-7b"));
  });

  it("is asked for usage, which a client that did not ask for it never sees", async () => {
    const { text } = await ask("/v1/chat/completions", { model: "qwen-7b", messages, stream: true });
    assert.ok(!text.includes('"usage":{'), text);
    assert.ok(text.endsWith("data: [DONE]\n\n"));
    await until("it is recorded", () => Number(gateway.callLines().at(-1)?.completion_tokens) > 0);
    assert.equal(gateway.callLines().at(-1)?.tokens_source ?? "reported", "reported");
    const stream_options = { include_usage: true };
    const asked = await ask("/v1/chat/completions", { model: "qwen-7b", messages, stream: true, stream_options });
    assert.ok(asked.text.includes('"usage":{'));
  });

  it("is spoken to in chats by who speaks Anthropic's dialect, whole and streamed", async () => {
    const whole = await ask("/v1/messages", { model: "qwen-7b", max_tokens: 99, messages });
    assert.equal((whole.json as { type: string }).type, "message", whole.text);
    const streamed = await ask("/v1/messages", { model: "qwen-7b", max_tokens: 99, messages, stream: true });
    assert.match(streamed.text, /event: message_start[\s\S]*event: content_block_delta[\s\S]*event: message_stop/);
    const tools = [{ type: "web_search_20250305", name: "web_search" }];
    const refused = await ask("/v1/messages", { model: "qwen-7b", max_tokens: 99, messages, tools });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /tools\[0\]/);
  });

  it("is never asked for what only GLM has", async () => {
    for (let count = 0; count < 4; count++) {
      const { status } = await ask("/api/paas/v4/web_search", { search_engine: "search_std", search_query: "x" });
      assert.ok(status === 200 || status === 400, String(status));
    }
    assert.ok(own.report().arrivals.every(({ path }) => !path.includes("web_search")));
  });
});

describe("a proxy between the gateway and its upstreams", () => {
  let proxy: Server;
  const asked: string[] = [];
  const sockets = new Set<Socket>();

  before(async () => {
    // Plain calls come whole, with the upstream's whole address; others through a tunnel.
    proxy = createServer((request, response) => {
      asked.push(request.url ?? "");
      const { method = "", headers } = request;
      const onward = openRequest(request.url ?? "", { method, headers, agent: new Agent() }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    }).on("connect", (request, client: Socket, head: Buffer) => {
      asked.push(request.url ?? "");
      const { hostname, port } = new URL(`http://${request.url}`);
      const upstream = connect(Number(port), hostname, () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.write(head);
        upstream.pipe(client).pipe(upstream);
      });
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", () => {});
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
    proxy.closeAllConnections();
  });

  it("is used where the environment names one, and not for hosts that it leaves out", async () => {
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    for (const [none, count] of [
      ["", 1],
      ["127.0.0.1", 0],
    ] as const) {
      asked.length = 0;
      const gateway = await startGateway({ proxy: { http: url, https: url, none } });
      try {
        const token = await gateway.logIn();
        const { status, text } = await send(`${gateway.url}/v1/chat/completions`, {
          token,
          body: chat("hi", { stream: true }),
        });
        assert.equal(status, 200);
        assert.ok(text.endsWith("data: [DONE]\n\n"));
        assert.equal(asked.length, count, none);
      } finally {
        await gateway.stop();
      }
    }
  });
});

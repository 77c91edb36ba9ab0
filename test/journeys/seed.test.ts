// The promises of the text that the product was asked for, one by one: its configuration file, paths, bodies, numbers
// and status codes, over real sockets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createSecretMaker, loadConfig } from "../../src/config/config.ts";
import { systemFiles } from "../../src/config/files.ts";
import type { Settings } from "../../src/config/settings.ts";
import {
  chat,
  type Sent,
  send,
  startGateway,
  type TestGateway,
  until,
  upstreamKey,
  withLimits,
} from "../support/gateway.ts";

const seedFile = new URL("../../src/config/fixtures/seed.toml", import.meta.url).pathname;

function loadSeedFile(): Settings {
  const env = { GLM_FLASH_API_KEY: upstreamKey, XDG_DATA_HOME: "/nonexistent" };
  const mode = { createSecret: createSecretMaker(), mayStoreSecret: false };
  return loadConfig({ path: seedFile, env, cwd: "/", files: systemFiles }, mode).settings;
}

/** The seed's file in effect, but for the address of GLM and a free port. */
function startSeedGateway(simulatorOptions = {}, overrides: Partial<Settings["glm"]> = {}): Promise<TestGateway> {
  const { auth, rateLimit, glm } = loadSeedFile();
  const { timeouts } = glm;
  // The simulator lives in this very process and may see a call late, so the guard is wider than a network needs.
  const guarded = { ...rateLimit, sendGuardMs: 60 };
  return startGateway({ auth, rateLimit: guarded, glm: { timeouts, ...overrides } }, simulatorOptions);
}

const isStatus = (status: number) => (sent: Sent) => sent.status === status;

describe("the seed's configuration file", () => {
  const settings = loadSeedFile();

  it("serves on 0.0.0.0:8080", () => assert.deepEqual([settings.server.host, settings.server.port], ["0.0.0.0", 8080]));
  it("has a token live 60 seconds", () => assert.equal(settings.auth.tokenTtlSeconds, 60));
  it("limits to 2 requests a second", () => assert.equal(settings.rateLimit.keys[0]?.startsPerSecond, 2));
  it("queues 20 requests", () => assert.equal(settings.rateLimit.queueCapacity, 20));
  it("lets a request wait 5 seconds", () => assert.equal(settings.rateLimit.queueTimeoutMs, 5_000));
  it("gives GLM 20 seconds in all", () => assert.equal(settings.glm.timeouts.totalMs, 20_000));
  it("talks to GLM's open platform", () => assert.equal(settings.glm.baseUrl, "https://open.bigmodel.cn/api/paas/v4"));
  it("takes the key from GLM_FLASH_API_KEY", () => assert.equal(settings.glm.apiKey, upstreamKey));
  it("never uses the published sample secret", () => {
    assert.doesNotMatch(settings.auth.jwtSecret, /your-secret-key/);
    assert.ok(settings.auth.jwtSecret.length >= 32);
  });
});

describe("logging in", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startSeedGateway();
  });
  after(() => gateway.stop());

  const logIn = (body: object) => send(`${gateway.url}/auth/login`, { body });

  it("answers a token and the seconds that it lives", async () => {
    const { status, json } = await logIn({ username: "user1", password: "pass123" });
    assert.equal(status, 200);
    const { token, expires_in, ...others } = json as { token: string; expires_in: number };
    assert.equal(expires_in, 60);
    assert.match(token, /^eyJ0eXAiOiJKV1QiLCJh/, "the header reads typ first, as the manual's example shows");
    assert.deepEqual(others, {});
  });

  it("answers 401 to a wrong password and to an unknown user, in the same words", async () => {
    const [wrong, unknown] = await Promise.all([
      logIn({ username: "user1", password: "wrong" }),
      logIn({ username: "nobody", password: "pass123" }),
    ]);
    assert.deepEqual([wrong.status, unknown.status], [401, 401]);
    const words = ({ json }: Sent) => (json as { error: { message: string; code: string } }).error;
    assert.deepEqual([words(wrong).message, words(wrong).code], [words(unknown).message, words(unknown).code]);
  });

  it("does not issue a token for a body that is none", async () => {
    for (const body of [{}, { username: "user1" }, { username: ["user1"], password: "pass123" }]) {
      assert.equal((await logIn(body)).status, 400);
    }
  });
});

describe("chatting", () => {
  let gateway: TestGateway;
  let token: string;
  before(async () => {
    gateway = await startSeedGateway({}, {});
    const rateLimit = withLimits(gateway.settings.rateLimit, { startsPerSecond: 1_000 });
    gateway.app.apply({ ...gateway.settings, rateLimit });
    token = await gateway.logIn();
  });
  after(() => gateway.stop());

  it("answers the manual's example as a stream that ends with [DONE]", async () => {
    const sent = await send(`${gateway.url}/chat/completions`, {
      token,
      body: {
        model: "glm-4.5-flash",
        messages: [{ role: "user", content: "你好" }],
        temperature: 0.95,
        stream: true,
      },
    });
    assert.equal(sent.status, 200);
    assert.match(sent.headers["content-type"] ?? "", /^text\/event-stream/);
    assert.match(sent.text, /^data: \{/);
    assert.ok(sent.text.endsWith("data: [DONE]\n\n"));
  });

  it("answers JSON when no stream is asked for", async () => {
    const { status, json } = await send(`${gateway.url}/chat/completions`, { token, body: chat() });
    assert.equal(status, 200);
    const { choices, usage } = json as { choices: { message: { content: string } }[]; usage: { total_tokens: number } };
    assert.ok((choices[0]?.message.content.length ?? 0) > 0);
    assert.ok(usage.total_tokens > 0);
  });

  it("is the same at its aliases", async () => {
    for (const path of ["/v1/chat/completions", "/api/paas/v4/chat/completions", "//v1//chat/completions/"]) {
      assert.equal((await send(gateway.url + path, { token, body: chat() })).status, 200, path);
    }
  });

  it("sends GLM the client's bytes and the real key, and nothing else of the client", async () => {
    const body =
      '{ "model":"glm-4.5-flash" ,"messages":[{"role":"user","content":"big 9007199254740993 \\u4f60"}],"x":1e2 }';
    const headers = { cookie: "session=1", "x-stainless-lang": "js", "x-api-key": "mine", "user-agent": "my-tool/1" };
    await send(`${gateway.url}/chat/completions`, { token, body, headers });
    const arrival = gateway.simulator.report().arrivals.at(-1);
    assert.equal(arrival?.body.toString(), body);
    assert.equal(arrival?.headers.authorization, `Bearer ${upstreamKey}`);
    assert.deepEqual(Object.keys(arrival?.headers ?? {}).sort(), [
      "accept",
      "accept-encoding",
      "authorization",
      "connection",
      "content-length",
      "content-type",
      "host",
      "user-agent",
    ]);
    assert.equal(arrival?.headers["user-agent"], "glm-proxy/0.0.0-test");
  });

  it("needs a token: 401 without one, with a wrong one, and with an expired one", async () => {
    const url = `${gateway.url}/chat/completions`;
    const codes = [];
    for (const bad of [undefined, "nonsense", token.slice(0, -2)]) {
      const { status, json, headers } = await send(url, { body: chat(), ...(bad && { token: bad }) });
      assert.equal(status, 401);
      assert.match(headers["www-authenticate"] ?? "", /^Bearer /);
      assert.equal(headers["x-should-retry"], "false");
      codes.push((json as { error: { code: string } }).error.code);
    }
    assert.deepEqual(codes, ["invalid_token", "invalid_token", "invalid_token"]);

    gateway.app.apply({ ...gateway.settings, auth: { ...gateway.settings.auth, tokenTtlSeconds: 1 } });
    const brief = await gateway.logIn();
    let late = await send(url, { body: chat(), token: brief });
    await until("it has expired", async () => {
      late = await send(url, { body: chat(), token: brief });
      return late.status !== 200;
    });
    assert.deepEqual([late.status, (late.json as { error: { code: string } }).error.code], [401, "token_expired"]);
  });
});

describe("pacing and queueing by the seed's numbers", () => {
  let gateway: TestGateway;
  let answers: Sent[];
  let startedAt: number;
  before(async () => {
    gateway = await startSeedGateway({ requestsPerSecond: 2, firstTokenMs: 1 });
    const token = await gateway.logIn();
    startedAt = performance.now();
    // 2 start at once, 20 wait, 3 are too many.
    const calls = Array.from({ length: 25 }, () => send(`${gateway.url}/chat/completions`, { token, body: chat() }));
    answers = await Promise.all(calls);
  });
  after(() => gateway.stop());

  it("answers 429 at once when 20 wait already", () => {
    const refused = answers.filter(isStatus(429));
    assert.equal(refused.length, 3);
    for (const { json, headers, durationMs } of refused) {
      const { error } = json as { error: { code: string; message: string; request_id: string } };
      assert.equal(error.code, "queue_full");
      assert.match(error.message, /20 are waiting \(limit 20\)/);
      assert.equal(error.request_id, headers["x-request-id"]);
      assert.ok(durationMs < 1_000);
      assert.equal(headers["x-should-retry"], "true");
      const seconds = Number(headers["retry-after"]);
      assert.ok(Number.isInteger(seconds) && seconds >= 3 && seconds <= 12, `Retry-After: ${seconds}`);
      assert.ok(Number(headers["retry-after-ms"]) > (seconds - 1) * 1_000);
    }
  });

  it("answers 408 after 5 seconds of waiting, and asks not to retry by itself", () => {
    const late = answers.filter(isStatus(408));
    assert.ok(late.length >= 10, `${late.length} late`);
    for (const { json, headers, durationMs } of late) {
      assert.equal((json as { error: { code: string } }).error.code, "queue_timeout");
      assert.ok(durationMs >= 4_990 && durationMs < 5_600, `${durationMs} ms`);
      assert.equal(headers["x-should-retry"], "false");
      assert.ok(Number(headers["retry-after"]) >= 2);
      assert.ok(Number(headers["x-queue-wait-ms"]) >= 4_990);
    }
  });

  it("serves two a second meanwhile, each telling how long it waited", () => {
    const served = answers.filter(isStatus(200));
    assert.equal(served.length + answers.filter(isStatus(408)).length, 22);
    assert.ok(served.length >= 10, `${served.length} served in ${performance.now() - startedAt} ms`);
    for (const { headers } of served) assert.match(String(headers["x-queue-wait-ms"]), /^\d+$/);
  });

  it("never exceeds two starts in any second, as GLM counts them", () => {
    const { violations, arrivals } = gateway.simulator.report();
    assert.deepEqual(violations, []);
    assert.equal(arrivals.length, answers.filter(isStatus(200)).length, "refused calls never reached GLM");
  });
});

describe("GLM's 20 seconds", () => {
  it("answers 504 when GLM does not finish in time, and closes the connection to it", async () => {
    const gateway = await startSeedGateway({}, { timeouts: { totalMs: 400, firstByteMs: null, idleMs: null } });
    try {
      const token = await gateway.logIn();
      gateway.simulator.script({ fault: "stallBeforeHeaders" });
      const { status, json, headers, durationMs } = await send(`${gateway.url}/chat/completions`, {
        token,
        body: chat(),
      });
      assert.deepEqual([status, (json as { error: { code: string } }).error.code], [504, "upstream_timeout"]);
      assert.ok(durationMs >= 400 && durationMs < 900, `${durationMs} ms`);
      assert.equal(headers["x-should-retry"], "false");
      assert.equal(headers["retry-after"], "5");
      assert.equal(gateway.app.snapshot().running, 0);
    } finally {
      await gateway.stop();
    }
  });

  it("cover the whole stream: one error event and no [DONE] when they pass in the middle", async () => {
    const gateway = await startSeedGateway({}, { timeouts: { totalMs: 500, firstByteMs: null, idleMs: null } });
    try {
      const token = await gateway.logIn();
      const body = chat("[frames=1000] [delay=20]", { stream: true });
      const { status, text, durationMs } = await send(`${gateway.url}/chat/completions`, { token, body });
      assert.equal(status, 200);
      assert.ok(durationMs < 1_000, `${durationMs} ms`);
      const events = text.trimEnd().split("\n\n");
      assert.ok(events.length > 5);
      assert.equal(events.filter((event) => event.includes('"error"')).length, 1);
      assert.match(events.at(-1) ?? "", /^data: \{"error":\{.*"code":"upstream_timeout"/);
      assert.ok(!text.includes("[DONE]"));
    } finally {
      await gateway.stop();
    }
  });
});

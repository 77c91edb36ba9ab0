// Several threads that serve calls on one port: to clients and to GLM they are one gateway.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash, randomBytes } from "node:crypto";
import { Agent, request as openRequest } from "node:http";
import { createServer } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { startSimulator } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { createWorkspace, serve } from "../support/process.ts";

const server = { workers: 2 };
const mortal = new URL("../support/mortal-worker.ts", import.meta.url);

function call({ url }: TestGateway, token: string, body: object = chat(), options: object = {}): Promise<Sent> {
  return send(`${url}/chat/completions`, { token, body, ...options });
}

/** Of each call its own connection, so that every worker gets its part. */
function callMany(gateway: TestGateway, token: string, count: number, body: object = chat()): Promise<Sent[]> {
  return Promise.all(Array.from({ length: count }, () => call(gateway, token, body)));
}

describe("two workers", () => {
  let gateway: TestGateway;
  let token: string;

  before(async () => {
    gateway = await startGateway(
      { server, rateLimit: { startsPerSecond: 40, concurrencyMax: 6, queueCapacity: 200 } },
      { requestsPerSecond: 40, concurrencyMax: 6 },
    );
    token = await gateway.logIn();
  });
  afterEach(async () => {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    gateway.simulator.reset();
  });
  after(() => gateway.stop());

  it("keep to the upstream's limits together, and serve every call", async () => {
    const answers = await callMany(gateway, token, 80);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.deepEqual(gateway.simulator.report().violations, []);
    assert.ok(answers.every(({ headers }) => headers["x-queue-position"] !== undefined));
    assert.ok(
      answers.some(({ headers }) => Number(headers["x-queue-wait-ms"]) > 500),
      "the last ones waited",
    );
    await until("all are recorded", () => gateway.callLines().length === 80);
    assert.equal(new Set(gateway.callLines().map(({ request_id }) => request_id)).size, 80);
    assert.match(await gateway.app.metrics.render(), /glm_proxy_calls_total\{[^}]*outcome="served"[^}]*\} 80/);
  });

  it("stream whole answers, with the limits in their heads", async () => {
    const [answer] = await callMany(gateway, token, 1, { ...chat(), stream: true });
    assert.match(answer?.text ?? "", /data: \[DONE\]\n\n$/);
    assert.equal(answer?.headers["x-ratelimit-limit-requests"], "40");
  });

  it("let a client that leaves go, from the queue and from the upstream", async () => {
    gateway.simulator.script({ fault: "drip", ms: 50, times: 6 });
    const leavers = Array.from({ length: 8 }, () => new AbortController());
    const left = leavers.map(({ signal }) =>
      call(gateway, token, { ...chat(), stream: true }, { signal }).then(
        () => "served",
        () => "left",
      ),
    );
    await until("six run, two wait", () => {
      const { running, waiting } = gateway.app.snapshot();
      return running === 6 && waiting === 2;
    });
    await until("six are sent", () => gateway.simulator.report().callCount === 6);
    for (const leaver of leavers) leaver.abort();
    assert.deepEqual(new Set(await Promise.all(left)), new Set(["left"]));
    await until("nobody runs or waits", () => {
      const { running, waiting } = gateway.app.snapshot();
      return running === 0 && waiting === 0;
    });
    assert.equal(gateway.simulator.report().callCount, 6);
  });

  it("try a refused call again unseen, at its old place", async () => {
    gateway.simulator.script({ fault: "error", code: "1302", times: 2 });
    const { status } = await call(gateway, token);
    assert.equal(status, 200);
    assert.equal(gateway.simulator.report().callCount, 3);
  });

  it("refuse what the main thread refuses, in the client's dialect and language", async () => {
    const stranger = await call(gateway, "no token at all", chat(), { headers: { "accept-language": "zh" } });
    assert.deepEqual(
      [stranger.status, (stranger.json as { error: { code: string } }).error.code],
      [401, "invalid_token"],
    );
    const { status, json } = await send(`${gateway.url}/v1/messages`, { body: { model: "glm-4.6" }, token: "none" });
    assert.deepEqual([status, (json as { type: string }).type], [401, "error"]);
  });
});

describe("what workers do not serve", () => {
  let gateway: TestGateway;
  let token: string;

  before(async () => {
    gateway = await startGateway({ server: { ...server, trustedProxies: ["127.0.0.1"] } }, { taskMs: 30 });
    token = await gateway.logIn();
  });
  after(() => gateway.stop());

  it("is the main thread's: people, models, health, files up and down", async () => {
    const ask = async (path: string, as?: string) => (await send(gateway.url + path, as ? { token: as } : {})).status;
    const paths = ["/me", "/v1/models", "/readyz", "/metrics"];
    assert.deepEqual(await Promise.all(paths.map((path) => ask(path, token))), [200, 200, 200, 200]);
    assert.deepEqual([await ask("/me"), await ask("/admin/users", token), await ask("/nothing")], [401, 403, 404]);

    const file = randomBytes(3 * 1024 * 1024);
    const head = '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n';
    const named = 'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n';
    const body = Buffer.concat([Buffer.from(head + named), file, Buffer.from("\r\n--b--\r\n")]);
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    const made = await send(`${gateway.url}/v1/files`, { token, body, headers });
    assert.equal(made.status, 200);
    const { id } = made.json as { id: string };
    const content = await send(`${gateway.url}/v1/files/${id}/content`, { token });
    assert.equal(hash("sha256", content.bytes), hash("sha256", file));
  });

  it("knows who asks: by the proxies that are trusted, not by what a client says of itself", async () => {
    const from = async (address: string, more: Record<string, string> = {}) => {
      const headers = { "x-forwarded-for": address, ...more };
      return (await send(`${gateway.url}/metrics`, { headers })).status;
    };
    assert.equal(await from("192.168.1.2"), 200);
    assert.equal(await from("203.0.113.9"), 403);
    assert.equal(await from("203.0.113.9", { "x-glm-proxy-forwarded": "guessed near plain 127.0.0.1" }), 403);
    await send(`${gateway.url}/auth/login`, {
      body: { username: "user1", password: "wrong" },
      headers: { "x-forwarded-for": "203.0.113.7" },
    });
    const line = gateway.logLines.findLast((text) => text.includes('"login"')) ?? "";
    assert.equal((JSON.parse(line) as { address: string }).address, "203.0.113.7");
  });

  it("is asked for a body only when it is wanted (expect: 100-continue), and refused early without being read", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", expect: "100-continue" };
    const answer = await new Promise<{ status: number; continued: boolean }>((resolve, reject) => {
      let continued = false;
      const request = openRequest(
        `${gateway.url}/v1/embeddings`,
        { method: "POST", headers, agent: new Agent() },
        (response) => {
          response.resume();
          response.on("end", () => resolve({ status: response.statusCode ?? 0, continued }));
        },
      );
      request.on("error", reject);
      request.on("continue", () => {
        continued = true;
        request.end(JSON.stringify({ model: "embedding-3", input: "x" }));
      });
      request.flushHeaders();
    });
    assert.deepEqual(answer, { status: 200, continued: true });
    const large = await send(`${gateway.url}/auth/login`, { body: Buffer.alloc(60_000, 32) });
    assert.equal(large.status, 413);
  });
});

describe("a worker that dies", () => {
  it("takes its own calls with it and nothing else; another takes its place, and nothing is lost", async () => {
    const gateway = await startGateway({ server, rateLimit: { concurrencyMax: 4 } }, { tokenMs: 20 }, mortal);
    try {
      const token = await gateway.logIn();
      const streams = Array.from({ length: 4 }, () =>
        call(gateway, token, { ...chat(), stream: true }).catch(() => null),
      );
      await until("four run", () => gateway.app.snapshot().running === 4);
      // It waits behind the four when its worker dies.
      await assert.rejects(call(gateway, token, chat(), { headers: { "x-die": "1" } }));

      const isDeath = (line: string) => line.includes("a worker died");
      await until("it is told", () => gateway.logLines.some(isDeath));
      assert.equal(gateway.logLines.filter(isDeath).length, 1);
      await Promise.all(streams);
      await until("every ticket is back", () => gateway.app.snapshot().running === 0);
      await until("all five are recorded", () => gateway.callLines().length === 5);
      const reasons = gateway.callLines().map(({ reason }) => reason ?? "served");
      assert.ok(reasons.every((reason) => reason === "served" || reason === "internal_error"));
      assert.ok(reasons.includes("internal_error"));
      assert.match(await gateway.app.metrics.render(), /glm_proxy_alerts_total\{what="worker_died"\} 1/);

      // Both places are filled again: whichever of them the kernel chooses, it answers.
      const isServed = async () => (await callMany(gateway, token, 8)).every(({ status }) => status === 200);
      assert.ok(await isServed(), "the other one serves meanwhile");
      await Promise.allSettled([call(gateway, token, chat(), { headers: { "x-die": "1" } })]);
      await until("the second death is told", () => gateway.logLines.filter(isDeath).length === 2);
      await until("it is served again", () => isServed().catch(() => false));
    } finally {
      await gateway.stop();
    }
  });
});

describe("workers and the life of the process", () => {
  it("take new settings with a reload, all of them", async () => {
    const gateway = await startGateway({ server });
    try {
      const token = await gateway.logIn();
      const aliased = { ...chat(), model: "my-model" };
      assert.deepEqual(
        new Set((await callMany(gateway, token, 8, aliased)).map(({ status }) => status)),
        new Set([400]),
      );
      const { settings } = gateway;
      gateway.app.apply({ ...settings, glm: { ...settings.glm, aliases: new Map([["my-model", "glm-4.5-flash"]]) } });
      await until("both know it", async () =>
        (await callMany(gateway, token, 8, aliased)).every(({ status }) => status === 200),
      );
    } finally {
      await gateway.stop();
    }
  });

  it("let running streams end when the process is told to, refuse new calls meanwhile, and are gone then", async () => {
    const gateway = await startGateway({ server }, { tokenMs: 20 });
    const token = await gateway.logIn();
    const streams = callMany(gateway, token, 4, { ...chat(), stream: true });
    await until("four run", () => gateway.app.snapshot().running === 4);
    const stopped = gateway.stop();
    await until("new ones are refused", async () => (await call(gateway, token)).status === 503);
    assert.ok((await streams).every(({ text }) => text.endsWith("data: [DONE]\n\n")));
    await stopped;
    await assert.rejects(call(gateway, token), { code: "ECONNREFUSED" });
  });

  it("cut what still runs after the grace period", async () => {
    const gateway = await startGateway({ server: { ...server, shutdownGraceMs: 300 } });
    const token = await gateway.logIn();
    gateway.simulator.script({ fault: "drip", ms: 200 });
    const stream = call(gateway, token, { ...chat(), stream: true });
    await until("it runs", () => gateway.app.snapshot().running === 1);
    const startedAt = performance.now();
    await Promise.all([gateway.stop(), stream.then(({ text }) => assert.match(text, /shutting_down/))]);
    assert.ok(performance.now() - startedAt < 4_000);
    assert.equal(gateway.callLines().at(-1)?.reason, "shutting_down");
  });

  it("do not share a port with somebody else unnoticed", async () => {
    const gateway = await startGateway({ server });
    try {
      const taken = { code: "EADDRINUSE" };
      await assert.rejects(startGateway({ server: { ...server, port: gateway.port } }), taken);
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const { port } = other.address() as { port: number };
      await assert.rejects(startGateway({ server: { ...server, port } }), taken);
      other.close();
    } finally {
      await gateway.stop();
    }
  });

  it("tell who waits where it stands, for as long as it waits", async () => {
    const gateway = await startGateway({
      server: { ...server, heartbeatMs: 200, heartbeatGraceMs: 100 },
      rateLimit: { startsPerSecond: 0.5 },
    });
    try {
      const token = await gateway.logIn();
      await call(gateway, token);
      const { text, headers } = await call(gateway, token, { ...chat(), stream: true });
      assert.match(text, /^: .*position/m);
      assert.equal(headers["x-queue-position"], "1");
      assert.match(text, /data: \[DONE\]\n\n$/);
    } finally {
      await gateway.stop();
    }
  });
});

describe("a bundle with workers", () => {
  it("serves as the sources do, and ends in order", async () => {
    const workspace = createWorkspace();
    const simulator = await startSimulator({ apiKeys: ["sim.key"], firstTokenMs: 5, tokenMs: 1 });
    try {
      const bundle = workspace.path("glm-proxy.mjs");
      execFileSync(process.execPath, ["tools/build.ts", bundle], { cwd: new URL("../../", import.meta.url) });
      workspace.write(
        "config.toml",
        `[server]\nhost = "127.0.0.1"\nworkers = 2\n[glm]\nbase_url = "${simulator.baseUrl}"\n
         [[auth.users]]\nusername = "ada"\npassword = "pass of ada"\n`,
      );
      const env = { GLM_FLASH_API_KEY: "sim.key", XDG_DATA_HOME: workspace.path("data") };
      const served = await serve(["--config", workspace.path("config.toml")], workspace, env, bundle);
      const login = await send(`${served.url}/auth/login`, { body: { username: "ada", password: "pass of ada" } });
      const { token } = login.json as { token: string };
      const answer = await send(`${served.url}/v1/chat/completions`, { token, body: { ...chat(), stream: true } });
      assert.match(answer.text, /data: \[DONE\]\n\n$/);
      assert.equal(await served.stop(), 0);
      assert.deepEqual(
        served.log().filter(({ level }) => level === "error"),
        [],
      );
    } finally {
      await simulator.close();
      workspace.remove();
    }
  });
});

// Quotas over real sockets: what is let through, what is refused and how, and what the records say in the end.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const admin = { username: "root", password: "root's password", role: "admin", weight: 1, class: "default" } as const;
const flash = "glm-4.5-flash";

describe("quotas", () => {
  let gateway: TestGateway;
  let token: string;
  let count = 0;
  before(async () => {
    gateway = await startGateway({
      auth: { users: [admin] },
      rateLimit: { startsPerSecond: 10_000, queueCapacity: 500, queueTimeoutMs: 20_000 },
      prices: { currency: "CNY", models: [{ pattern: "*", input: 1_000, cachedInput: null, output: 1_000 }] },
    });
    token = await gateway.logIn("root", "root's password");
  });
  after(() => gateway.stop());

  async function manage(method: string, path: string, body?: object): Promise<unknown> {
    const { status, json, text } = await send(gateway.url + path, { method, token, ...(body && { body }) });
    assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
    return json;
  }

  /** A user of its own with these limits, and a key for it. */
  async function addUser(limits: Record<string, number>, group?: string): Promise<{ name: string; key: string }> {
    count++;
    const name = `user${count}`;
    await manage("POST", "/admin/users", { name, limits, ...(group && { group }) });
    const { secret } = (await manage("POST", "/admin/keys", { owner: name, name: "test" })) as { secret: string };
    return { name, key: secret };
  }

  const ask = (key: string, more: object = {}): Promise<Sent> =>
    send(`${gateway.url}/v1/chat/completions`, { token: key, body: chat("hello", { max_tokens: 20, ...more }) });

  const codeOf = ({ json }: Sent) => (json as { error?: { code: string } }).error?.code ?? "served";

  async function usageOf(name: string): Promise<{ requests: number; served: number; calls: number; cost: number }> {
    const { data } = (await manage("GET", `/admin/usage?by=user&user=${name}`)) as { data: { name: string }[] };
    return data.find((row) => row.name === name) as never;
  }

  it("let exactly 50 of 200 calls through that come at once, and refuse the rest for good", async () => {
    const { name, key } = await addUser({ "requests/total": 50 });
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(key)));
    const refused = answers.filter(({ status }) => status !== 200);
    assert.equal(refused.length, 150);
    for (const answer of refused) {
      assert.equal(answer.status, 429);
      assert.equal(codeOf(answer), "insufficient_quota");
      assert.equal(answer.headers["x-should-retry"], "false");
    }
    await until("all records are written", async () => (await usageOf(name)).calls === 200);
    const { requests, served } = await usageOf(name);
    assert.deepEqual([requests, served], [50, 50]);
    assert.equal(codeOf(await ask(key)), "insufficient_quota", "settled at exactly 50");
    const { json } = await send(`${gateway.url}/me`, { token: key });
    const [{ used, reserved }] = (json as { quotas: [{ used: number; reserved: number }] }).quotas;
    assert.deepEqual([used, reserved], [50, 0]);
  });

  it("of tokens are never overrun by calls at once, and say what would fit", async () => {
    const { name, key } = await addUser({ "tokens/total": 400 });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(key)));
    assert.ok(answers.some(({ status }) => status === 200));
    const refused = answers.find(({ status }) => status === 429) as Sent;
    assert.match(refused.text, /the quota tokens\/total of the user user\d+ is used up/);
    await until("all records are written", async () => (await usageOf(name)).calls === 40);
    const { data } = (await manage("GET", `/admin/usage?by=user&user=${name}`)) as {
      data: { prompt_tokens: number; completion_tokens: number }[];
    };
    const [row] = data;
    assert.ok(row && row.prompt_tokens + row.completion_tokens <= 400, JSON.stringify(row));
  });

  it("of money stop at the budget, and the report has what it cost", async () => {
    const { name, key } = await addUser({ "cost/month": 0.2 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(key)));
    const served = answers.filter(({ status }) => status === 200).length;
    assert.ok(served > 0 && served < 20, String(served));
    await until("all records are written", async () => (await usageOf(name)).calls === 20);
    const { cost } = await usageOf(name);
    assert.ok(cost > 0 && cost <= 0.2, String(cost));
  });

  it("of a group bind its members together, those of its members each", async () => {
    await manage("POST", "/admin/groups", {
      name: "lab",
      limits: { "requests/day": 5 },
      member_limits: { "requests/day": 3 },
    });
    const [ada, bob] = [await addUser({}, "lab"), await addUser({}, "lab")];
    const outcomes = [];
    for (const { key } of [ada, ada, ada, ada, bob, bob, bob]) outcomes.push(codeOf(await ask(key)));
    const no = "insufficient_quota";
    assert.deepEqual(outcomes, ["served", "served", "served", no, "served", "served", no]);
  });

  it("of calls at once are given back when a call ends, also one whose client left", async () => {
    const { key } = await addUser({ concurrency: 1 });
    const slow = `${gateway.url}/v1/chat/completions`;
    const controller = new AbortController();
    const running = send(slow, {
      token: key,
      body: chat("[frames=200] [delay=50]", { stream: true }),
      signal: controller.signal,
    }).catch(() => null);
    await until("it runs", () => gateway.app.snapshot().running > 0);
    const refused = await ask(key);
    assert.equal(codeOf(refused), "concurrency_exceeded");
    assert.equal(refused.headers["x-should-retry"], "true");
    controller.abort();
    await running;
    await until("the place is free", async () => (await ask(key)).status === 200);
  });

  it("warn in a header from 80 % on", async () => {
    const { name, key } = await addUser({ "requests/total": 5 });
    const warnings = [];
    for (let index = 0; index < 5; index++) warnings.push((await ask(key)).headers["x-quota-warning"]);
    const expected = [80, 100].map((percent) => `user ${name} requests/total; used=${percent}%`);
    assert.deepEqual(warnings, [undefined, undefined, undefined, ...expected]);
  });

  it("that are used up make no official client try again", async () => {
    const { key } = await addUser({ "requests/day": 0 });
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 3 });
    const before = gateway.callLines().length;
    await assert.rejects(
      client.chat.completions.create({ model: flash, messages: [{ role: "user", content: "hi" }] }),
      (error: InstanceType<typeof OpenAI.APIError>) => error.status === 429 && error.code === "insufficient_quota",
    );
    assert.equal(gateway.callLines().length, before + 1);
  });

  it("of a key bind that key alone, and a key asks no model that it is not for", async () => {
    const { name, key } = await addUser({});
    const { secret } = (await manage("POST", "/admin/keys", {
      owner: name,
      name: "small",
      models: ["glm-4.5*"],
      limits: { "requests/hour": 1 },
    })) as { secret: string };
    assert.equal(codeOf(await ask(secret, { model: "glm-4.6" })), "model_not_allowed");
    assert.equal(codeOf(await ask(secret)), "served");
    assert.equal(codeOf(await ask(secret)), "insufficient_quota");
    assert.equal(codeOf(await ask(key)), "served");
  });
});

describe("quotas of a gateway that is started again", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "glm-proxy-quotas-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("go on from the records, and say in the zone's own time when they renew", async () => {
    const start = () =>
      startGateway({
        auth: { users: [admin] },
        store: { kind: "sqlite", file: join(folder, "store.sqlite") },
        dataFolder: folder,
        quotas: { timeZone: "Asia/Kathmandu" },
      });
    let gateway = await start();
    try {
      const token = await gateway.logIn("root", "root's password");
      const manage = async (path: string, body: object) =>
        (await send(gateway.url + path, { token, body })).json as { secret: string };
      await manage("/admin/users", { name: "ada", limits: { "requests/month": 2, "tokens/total": 100_000 } });
      const { secret } = await manage("/admin/keys", { owner: "ada", name: "test" });
      const ask = () => send(`${gateway.url}/v1/chat/completions`, { token: secret, body: chat() });
      const lookUp = async () => (await send(`${gateway.url}/me`, { token: secret })).json as { quotas: object[] };

      assert.equal((await ask()).status, 200);
      const settled = async () => JSON.stringify((await lookUp()).quotas.map((each) => ({ ...each, reserved: 0 })));
      await until("the call is settled", async () => JSON.stringify((await lookUp()).quotas) === (await settled()));
      const { quotas } = await lookUp();
      await gateway.stop();
      gateway = await start();
      assert.deepEqual((await lookUp()).quotas, quotas);

      assert.equal((await ask()).status, 200);
      const refused = await ask();
      assert.equal(refused.status, 429);
      assert.match(refused.text, /2 of 2 taken\)\. It renews at \d{4}-\d\d-01T00:00:00\+05:45;/);
      assert.ok(Number(refused.headers["retry-after"]) > 0);
    } finally {
      await gateway.stop();
    }
  });
});

// Sharing over real sockets: a user who floods does not keep the others out, weights and classes count, and a user's
// own limits hold up nobody else.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { chat, type Sent, send, startGateway, type TestGateway, type testSettings, until } from "../support/gateway.ts";

let gateway: TestGateway | null = null;

async function start(overrides: Parameters<typeof startGateway>[0], options: Parameters<typeof startGateway>[1] = {}) {
  gateway = await startGateway(overrides, options);
  return gateway;
}

afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});

const users = (
  ...changes: { username: string; weight?: number; class?: "interactive" | "default" | "batch" }[]
): { users: (typeof testSettings.auth.users)[number][] } => ({
  users: changes.map((change) => ({ password: "pass123", role: "user", weight: 1, class: "default", ...change })),
});

function ask(
  token: string,
  more: { headers?: Record<string, string>; body?: object; prompt?: string } = {},
): Promise<Sent> {
  const { headers = {}, body = {}, prompt = "[frames=2]" } = more;
  return send(`${gateway?.url}/chat/completions`, { token, headers, body: chat(prompt, body) });
}

/** Names of the users whose calls ended, in the order of their ends. */
const servedOrder = () =>
  (gateway?.callLines() ?? []).filter(({ outcome }) => outcome === "served").map(({ user }) => user);

describe("a light user beside one who floods", () => {
  it("is served in its turn, also when it comes to a full queue", async () => {
    const { logIn, app, simulator } = await start(
      {
        auth: users({ username: "flood" }, { username: "light" }),
        rateLimit: { startsPerSecond: 5, queueCapacity: 10, sendGuardMs: 60 },
      },
      { requestsPerSecond: 5 },
    );
    const [flood, light] = [await logIn("flood", "pass123"), await logIn("light", "pass123")];
    const flooding = Array.from({ length: 30 }, () => ask(flood));
    await until("the queue is full", () => app.snapshot().waiting === 10);
    const served = await Promise.all([ask(light), ask(light)]);
    assert.deepEqual(
      served.map(({ status }) => status),
      [200, 200],
    );
    const before = servedOrder().lastIndexOf("light");
    assert.ok(before <= 15, `after ${before} of the flood's calls`);
    const statuses = (await Promise.all(flooding)).map(({ status }) => status);
    assert.ok(statuses.filter((status) => status === 429).length >= 15, "the flood's newest calls were refused");
    assert.equal(simulator.report().violationCount, 0);
  });
});

describe("shares", () => {
  /** All cost the same, so that counts tell. */
  const prompt = "[frames=2] [first=150]";

  it("follow the weights", async () => {
    const { logIn, app } = await start({
      auth: users({ username: "first" }, { username: "heavy", weight: 3 }, { username: "plain" }),
      rateLimit: { startsPerSecond: 1_000, concurrencyMax: 1, queueCapacity: 100, queueTimeoutMs: 20_000 },
    });
    const [heavy, plain] = [await logIn("heavy", "pass123"), await logIn("plain", "pass123")];
    const first = ask(await logIn("first", "pass123"), { prompt });
    await until("it runs", () => app.snapshot().running === 1);
    const rest = Array.from({ length: 24 }, (_, index) => ask(index % 2 === 0 ? heavy : plain, { prompt }));
    await until("they wait", () => app.snapshot().waiting === 24);
    await Promise.all([first, ...rest]);
    const order = servedOrder().slice(1, 13);
    const count = order.filter((user) => user === "heavy").length;
    assert.ok(count >= 8 && count <= 10, `${count} of the first twelve`);
  });

  it("let calls that say batch wait for the others", async () => {
    const { logIn, app } = await start({
      auth: users({ username: "first" }, { username: "ada" }, { username: "bob" }),
      rateLimit: { startsPerSecond: 1_000, concurrencyMax: 1, queueCapacity: 100, queueTimeoutMs: 20_000 },
    });
    const [ada, bob] = [await logIn("ada", "pass123"), await logIn("bob", "pass123")];
    const first = ask(await logIn("first", "pass123"), { prompt });
    await until("it runs", () => app.snapshot().running === 1);
    const batch = Array.from({ length: 6 }, () => ask(ada, { prompt, headers: { "x-queue-class": "batch" } }));
    await until("they wait", () => app.snapshot().waiting === 6);
    const others = Array.from({ length: 6 }, () => ask(bob, { prompt }));
    await until("all wait", () => app.snapshot().waiting === 12);
    await Promise.all([first, ...batch, ...others]);
    const ofOthers = servedOrder()
      .slice(1, 8)
      .filter((user) => user === "bob").length;
    assert.ok(ofOthers >= 5, `${ofOthers} of the first seven`);
  });
});

describe("a user's own limits", () => {
  it("hold back that user's second call while another user goes on", async () => {
    const none = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
    const { logIn, app } = await start({
      auth: users({ username: "ada" }, { username: "bob" }),
      rateLimit: { user: { ...none, concurrencyMax: 1 } },
    });
    const [ada, bob] = [await logIn("ada", "pass123"), await logIn("bob", "pass123")];
    const first = ask(ada, { prompt: "[frames=2] [first=600]" });
    await until("it runs", () => app.snapshot().running === 1);
    const second = ask(ada);
    await until("the second waits", () => app.snapshot().waitingCalls[0]?.blockedBy === "user_concurrency");
    assert.equal((await ask(bob)).status, 200);
    assert.equal(app.snapshot().waiting, 1, "ada's second call still waits");
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
  });

  it("hold back what might use more tokens in a minute than there are", async () => {
    const { logIn, app } = await start({ rateLimit: { tokensPerMinute: 1_000, queueTimeoutMs: 300 } });
    const token = await logIn();
    const first = ask(token, { prompt: "[frames=2] [first=600]", body: { max_tokens: 900 } });
    await until("it runs", () => app.snapshot().running === 1);
    const second = ask(token, { body: { max_tokens: 900 } });
    await until("the second waits", () => app.snapshot().waitingCalls[0]?.blockedBy === "tokens");
    assert.deepEqual([(await second).status, (await first).status], [408, 200]);
    assert.equal((await ask(token, { body: { max_tokens: 900 } })).status, 200, "what was reserved came back");
  });
});

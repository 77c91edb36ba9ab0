// The cache from end to end: off unless wanted, exact, a user's own, and never in the way of anything else.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import OpenAI from "openai";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const cached = { temperature: 0 };

describe("the cache", () => {
  let gateway: TestGateway;
  let token: string;

  before(async () => {
    gateway = await startGateway({ cache: { isEnabled: true, models: ["glm-4.5-*"], ttlMs: 60_000 } });
    token = await gateway.logIn();
  });
  afterEach(async () => {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    gateway.simulator.reset();
  });
  after(() => gateway.stop());

  const ask = (
    body: object,
    headers: Record<string, string> = {},
    as = token,
    path = "/v1/chat/completions",
  ): Promise<Sent> => send(gateway.url + path, { token: as, headers, body });
  const upstreamCalls = () => gateway.simulator.report().callCount;

  it("answers the same call again, whole or streamed, without asking and without charging", async () => {
    for (const stream of [false, true]) {
      const body = chat(`same ${stream}`, { ...cached, stream });
      const first = await ask(body);
      const second = await ask(body);
      assert.deepEqual([first.headers["x-cache"], second.headers["x-cache"]], ["miss", "hit"]);
      assert.deepEqual([second.status, second.text], [200, first.text]);
      assert.equal(second.headers["content-type"], first.headers["content-type"]);
      assert.notEqual(second.headers["x-request-id"], first.headers["x-request-id"]);
      await until("both are recorded", () => gateway.callLines().at(-1)?.request_id === second.headers["x-request-id"]);
      assert.equal(gateway.callLines().at(-1)?.outcome, "served");
      assert.ok(!gateway.callLines().at(-1)?.completion_tokens, "nothing was taken");
    }
    assert.equal(upstreamCalls(), 2);
  });

  it("answers translated calls as they were answered", async () => {
    const body = { model: "glm-4.5-flash", input: "same", ...cached, stream: true };
    const [first, second] = [await ask(body, {}, token, "/v1/responses"), await ask(body, {}, token, "/v1/responses")];
    assert.equal(second.headers["x-cache"], "hit");
    assert.equal(second.text, first.text);
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: token });
    const again = await client.responses
      .stream({ model: "glm-4.5-flash", input: "same", temperature: 0 })
      .finalResponse();
    assert.ok(again.output_text.length > 0);
  });

  it("has nothing to do with calls that are not to be answered always the same, or that want none of it", async () => {
    for (const [body, headers] of [
      [chat("warm", { temperature: 0.7 }), {}],
      [chat("plain"), {}],
      [chat("other", { ...cached, model: "glm-4.7" }), {}],
      [chat("off", cached), { "x-cache": "off" }],
    ] as const) {
      await ask(body, headers);
      assert.equal((await ask(body, headers)).headers["x-cache"], undefined);
    }
    assert.equal(upstreamCalls(), 8);
  });

  it("is there for any call whose client asks for it, and asks anew when told to", async () => {
    const body = chat("asked for", { model: "glm-4.7", temperature: 1 });
    await ask(body, { "x-cache": "on" });
    assert.equal((await ask(body, { "x-cache": "on" })).headers["x-cache"], "hit");
    assert.equal((await ask(body, { "x-cache": "refresh" })).headers["x-cache"], "miss");
    assert.equal(upstreamCalls(), 2);
  });

  it("is there for API keys that were made for it", async () => {
    const body = { name: "tests", caches_answers: true };
    const { json } = await send(`${gateway.url}/me/keys`, { token, body });
    const key = (json as { secret: string }).secret;
    const call = chat("by key", { ...cached, model: "glm-4.7" });
    await ask(call, {}, key);
    assert.equal((await ask(call, {}, key)).headers["x-cache"], "hit");
  });

  it("shows nobody what was another's", async () => {
    const body = chat("mine", cached);
    await ask(body);
    const other = await gateway.logIn("user2", "pass456");
    assert.equal((await ask(body, {}, other)).headers["x-cache"], "miss");
  });

  it("has one of many that come at once ask, and all answered by it", async () => {
    const body = chat("together [frames=10] [delay=10]", { ...cached, stream: true });
    const sent = await Promise.all(Array.from({ length: 20 }, () => ask(body)));
    assert.equal(upstreamCalls(), 1);
    assert.equal(new Set(sent.map(({ text }) => text)).size, 1);
    const states = sent.map(({ headers }) => headers["x-cache"]);
    assert.equal(states.filter((state) => state === "joined").length, 19, states.join());
  });

  it("has the next ask when the one that did is gone, or was refused", async () => {
    const body = chat("leaving [frames=50] [delay=10]", { ...cached, stream: true });
    const leaving = new AbortController();
    const first = send(`${gateway.url}/v1/chat/completions`, { token, body, signal: leaving.signal });
    first.catch(() => {});
    await until("it is asked", () => upstreamCalls() === 1);
    const second = ask(body);
    leaving.abort();
    assert.ok((await second).text.endsWith("data: [DONE]\n\n"));
    assert.equal(upstreamCalls(), 2);

    const refused = chat("refused", cached);
    gateway.simulator.script({ fault: "error", code: "1301" });
    const [one, two] = await Promise.all([ask(refused), ask(refused)]);
    assert.deepEqual([one.status, two.status].sort(), [200, 400]);
  });

  it("keeps nothing of an answer that was cut, and nothing when it is switched off", async () => {
    const body = chat("cut [frames=9]", { ...cached, stream: true });
    gateway.simulator.script({ fault: "cutMidStream", after: 4 });
    await ask(body);
    assert.equal((await ask(body)).headers["x-cache"], "miss");
    assert.equal((await ask(body)).headers["x-cache"], "hit");
    gateway.app.apply({ ...gateway.settings, cache: { ...gateway.settings.cache, isEnabled: false } });
    assert.equal((await ask(body)).headers["x-cache"], undefined);
    gateway.app.apply(gateway.settings);
    assert.equal((await ask(body)).headers["x-cache"], "miss");
  });
});

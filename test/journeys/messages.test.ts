// Anthropic's dialect from end to end: what Claude Code and Anthropic's SDK ask for, over GLM's own endpoint of that kind.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { createParser } from "eventsource-parser";
import { send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const model = "glm-4.5-flash";

function message(content: string, more: object = {}) {
  return { model, max_tokens: 500, messages: [{ role: "user" as const, content }], ...more };
}

function readEvents(text: string): { event: string | undefined; data: Record<string, unknown> }[] {
  const events: { event: string | undefined; data: Record<string, unknown> }[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ event, data: JSON.parse(data) as Record<string, unknown> }),
  });
  parser.feed(text);
  return events;
}

describe("Anthropic's dialect", () => {
  let gateway: TestGateway;
  let token: string;
  let client: Anthropic;

  before(async () => {
    gateway = await startGateway({ glm: { aliases: new Map([["claude-sonnet-4-5", "glm-4.7"]]) } });
    token = await gateway.logIn();
    client = new Anthropic({ baseURL: gateway.url, authToken: token, apiKey: null });
  });
  afterEach(async () => {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    await until("the upstream sees no call", () => gateway.simulator.report().inFlight === 0);
    gateway.simulator.reset();
    gateway.app.apply(gateway.settings);
  });
  after(() => gateway.stop());

  it("is passed on with its version, its betas and its query, and nothing else of the client", async () => {
    const headers = { "anthropic-version": "2023-06-01", "anthropic-beta": "a-1,b-2", cookie: "x=1", "x-app": "cli" };
    const { status } = await send(`${gateway.url}/v1/messages?beta=true`, { token, headers, body: message("hi") });
    assert.equal(status, 200);
    const arrival = gateway.simulator.report().arrivals.at(-1);
    assert.equal(arrival?.path, "/api/anthropic/v1/messages?beta=true");
    assert.equal(arrival?.headers["anthropic-version"], "2023-06-01");
    assert.equal(arrival?.headers["anthropic-beta"], "a-1,b-2");
    assert.equal(arrival?.headers.cookie, undefined);
    assert.equal(arrival?.headers["x-app"], undefined);
    assert.ok(!arrival?.headers.authorization?.includes(token));
  });

  it("counts the tokens that an answer reports, whole or streamed", async () => {
    for (const stream of [false, true]) {
      const before = gateway.callLines().length;
      await send(`${gateway.url}/v1/messages`, { token, body: message("count me [frames=9]", { stream }) });
      await until("it is logged", () => gateway.callLines().length > before);
      const line = gateway.callLines().at(-1);
      assert.equal(line?.outcome, "served");
      assert.ok(Number(line?.completion_tokens) >= 9, JSON.stringify(line));
      assert.ok(Number(line?.prompt_tokens) > 0, "although the stream begins with zeros");
    }
  });

  it("puts GLM's name in the place of Claude's, as the aliases say", async () => {
    await client.messages.create({ ...message("hi"), model: "claude-sonnet-4-5" });
    assert.equal(gateway.simulator.report().arrivals.at(-1)?.model, "glm-4.7");
    const { data } = await client.models.list({ limit: 1_000 });
    assert.ok(data.some(({ id }) => id === "claude-sonnet-4-5"));
    assert.equal((await client.models.retrieve("claude-sonnet-4-5")).type, "model");
  });

  it("is found at every base that its clients make of the gateway's address", async () => {
    for (const path of ["/v1/messages", "//v1//messages/", "/v1/v1/messages", "/api/anthropic/v1/messages"]) {
      const { status } = await send(gateway.url + path, { token, body: message("hi") });
      assert.equal(status, 200, path);
    }
    const { status } = await send(`${gateway.url}/`, { method: "HEAD" });
    assert.equal(status, 200);
  });

  it("takes the key where Anthropic's clients put it", async () => {
    const { json } = await send(`${gateway.url}/me/keys`, { token, body: { name: "cli" } });
    const withKey = new Anthropic({ baseURL: gateway.url, apiKey: (json as { secret: string }).secret });
    assert.equal((await withKey.messages.create(message("hi"))).type, "message");
  });

  it("guesses how many tokens a message takes", async () => {
    const count = (of: string) =>
      client.messages.countTokens({ model: of, messages: message("x".repeat(700)).messages });
    const unknown = (await count("glm-5.3")).input_tokens;
    assert.ok(unknown > 150 && unknown < 350, `${unknown}: nothing is known of it`);
    assert.ok((await count(model)).input_tokens > 0);
    assert.equal(gateway.simulator.report().callCount, 0, "nothing was asked upstream");
  });

  it("says errors in its own shape, with the request's id, also where no call came about", async () => {
    const wrong = new Anthropic({ baseURL: gateway.url, authToken: "nobody", apiKey: null, maxRetries: 0 });
    const error: unknown = await wrong.messages.create(message("hi")).catch((reason: unknown) => reason);
    assert.ok(error instanceof APIError);
    assert.equal(error.status, 401);
    assert.equal(error.requestID, (error.error as { request_id: string }).request_id);
    assert.equal((error.error as { error: { type: string } }).error.type, "authentication_error");

    const { status, json } = await send(`${gateway.url}/v1/messages`, { token, method: "PUT", body: {} });
    assert.deepEqual([status, (json as { type: string }).type], [405, "error"]);
  });

  it("passes on what GLM says of a wrong request, and keeps from the client what is about our key", async () => {
    const rejected = await send(`${gateway.url}/v1/messages`, { token, body: { ...message("hi"), model: "nope" } });
    assert.equal(rejected.status, 400);
    assert.match(rejected.text, /1211/);

    gateway.simulator.script({ fault: "error", code: "1002" });
    const refused = await send(`${gateway.url}/v1/messages`, { token, body: message("hi") });
    assert.equal(refused.status, 502);
    assert.equal((refused.json as { error: { type: string } }).error.type, "api_error");
  });

  it("tells an error within a stream as its event, after which nothing comes", async () => {
    gateway.simulator.script({ fault: "cutMidStream", after: 3 });
    const body = message("hi [frames=20]", { stream: true });
    const { status, text } = await send(`${gateway.url}/v1/messages`, { token, body });
    assert.equal(status, 200);
    const events = readEvents(text);
    assert.equal(events.at(-1)?.event, "error");
    assert.equal(events.at(-1)?.data.type, "error");
    assert.ok(!text.includes("message_stop"));
  });

  it("is over at message_stop, whatever the upstream would still say", async () => {
    const stream = client.messages.stream(message("hi [frames=5] [reasoning=2]"));
    const { content, stop_reason, usage } = await stream.finalMessage();
    assert.equal(stop_reason, "end_turn");
    assert.ok(content.some(({ type }) => type === "text"));
    assert.ok(usage.output_tokens > 0);
  });

  it("tells Claude Code to stop trying when the caller's quota is used up", async () => {
    const limits = { "requests/day": 1 };
    const { json } = await send(`${gateway.url}/me/keys`, { token, body: { name: "small", limits } });
    const key = (json as { secret: string }).secret;
    assert.equal((await send(`${gateway.url}/v1/messages`, { token: key, body: message("hi") })).status, 200);
    const { status, headers } = await send(`${gateway.url}/v1/messages`, { token: key, body: message("hi") });
    assert.equal(status, 429);
    assert.equal(headers["anthropic-ratelimit-unified-status"], "rejected");
    assert.ok(Number(headers["anthropic-ratelimit-unified-reset"]) > Date.now() / 1_000);
    assert.ok(Number(headers["retry-after"]) > 0);
    assert.equal(headers["x-should-retry"], "false");
  });
});

describe("a message that waits in the queue", () => {
  let gateway: TestGateway;

  before(async () => {
    gateway = await startGateway({
      server: { heartbeatMs: 50, heartbeatGraceMs: 50 },
      rateLimit: { concurrencyMax: 1, abortLingerMs: 0 },
    });
  });
  after(() => gateway.stop());

  it("is pinged, as the dialect has it, and then answered", async () => {
    const token = await gateway.logIn();
    const first = send(`${gateway.url}/v1/messages`, {
      token,
      body: message("[frames=40] [delay=10]", { stream: true }),
    });
    await until("it runs", () => gateway.app.snapshot().running === 1);
    const { status, text } = await send(`${gateway.url}/v1/messages`, { token, body: message("hi", { stream: true }) });
    assert.equal(status, 200);
    const events = readEvents(text).map(({ event }) => event);
    const startAt = events.indexOf("message_start");
    assert.ok(startAt >= 2 && events.slice(0, startAt).every((event) => event === "ping"), events.join());
    assert.equal(events.at(-1), "message_stop");
    await first;
  });
});

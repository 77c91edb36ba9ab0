// What a client is told of the queue and of its limits: in the head of every answer and refusal, and while a streaming
// call waits.

import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { afterEach, describe, it } from "node:test";
import OpenAI from "openai";
import { chat, type SendOptions, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

let gateway: TestGateway;
let token: string;

type Overrides = NonNullable<Parameters<typeof startGateway>[0]>;

/** One call at a time, so that the second has to wait. */
async function start({ rateLimit, ...overrides }: Overrides = {}): Promise<void> {
  const limits = { concurrencyMax: 1, abortLingerMs: 20, ...rateLimit };
  gateway = await startGateway({ ...overrides, rateLimit: limits });
  token = await gateway.logIn();
}

afterEach(async () => {
  try {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    assert.equal(gateway.app.snapshot().waiting, 0);
  } finally {
    await gateway.stop();
  }
});

function call(content = "hello", more: object = {}, options: Partial<SendOptions> = {}): Promise<Sent> {
  return send(`${gateway.url}/v1/chat/completions`, { token, body: chat(content, more), ...options });
}

/** Occupies the one place until told to leave. */
async function occupy(): Promise<{ leave: () => void }> {
  const controller = new AbortController();
  call("[first=60000]", {}, { signal: controller.signal }).catch(() => {});
  await until("the place is taken", () => gateway.simulator.report().inFlight === 1);
  return { leave: () => controller.abort() };
}

const untilWaiting = (count: number) => until(`${count} wait`, () => gateway.app.snapshot().waiting === count);
const numberOf = (headers: IncomingHttpHeaders, name: string) => Number(headers[name] ?? Number.NaN);

describe("the head of an answer", () => {
  it("tells of a queue that was empty, and of the limits", async () => {
    await start();
    for (const stream of [false, true]) {
      const { status, headers } = await call("hello", { stream });
      assert.equal(status, 200);
      assert.equal(headers["x-queue-position"], "0");
      assert.equal(headers["x-queue-eta-ms"], "0");
      assert.ok(numberOf(headers, "x-queue-wait-ms") < 1_000);
      assert.equal(headers["x-ratelimit-limit-requests"], "1000");
      assert.ok(numberOf(headers, "x-ratelimit-remaining-requests") < 1_000);
      assert.match(headers["x-ratelimit-reset-requests"] as string, /^(0s|\d+ms|1(\.\d+)?s)$/);
      assert.equal(headers["x-ratelimit-limit-tokens"], undefined);
      const policies = (headers["ratelimit-policy"] as string).split(", ").toSorted();
      assert.deepEqual(
        policies,
        ['"upstream";q=1000;w=1', '"upstream-streams";q=1;qu="concurrent-requests"'].toSorted(),
      );
      assert.match(headers.ratelimit as string, /^"upstream(-streams)?";r=\d+(;t=[0-2])?$/);
    }
  });

  it("tells of the user's own limits where there are some, tokens among them", async () => {
    const user = { startsPerSecond: 0.5, concurrencyMax: null, tokensPerMinute: 6_000 };
    await start({ rateLimit: { user } });
    const { headers } = await call();
    assert.equal(headers["x-ratelimit-limit-requests"], "1");
    assert.equal(headers["x-ratelimit-remaining-requests"], "0");
    assert.equal(headers["x-ratelimit-limit-tokens"], "6000");
    assert.ok(numberOf(headers, "x-ratelimit-remaining-tokens") < 6_000);
    assert.match(headers["ratelimit-policy"] as string, /"user";q=1;w=2/);
  });

  it("tells how long the call waited", async () => {
    await start();
    const first = await occupy();
    const waiting = call();
    await untilWaiting(1);
    first.leave();
    const { status, headers } = await waiting;
    assert.equal(status, 200);
    assert.ok(numberOf(headers, "x-queue-wait-ms") >= 1);
    assert.ok(numberOf(headers, "x-queue-position") >= 0);
    assert.ok(numberOf(headers, "x-queue-eta-ms") >= 0);
  });

  it("has no RateLimit fields when they are switched off, and all else", async () => {
    await start({ server: { sendsIetfFields: false } });
    const { headers } = await call();
    assert.deepEqual([headers.ratelimit, headers["ratelimit-policy"]], [undefined, undefined]);
    assert.equal(headers["x-ratelimit-limit-requests"], "1000");
  });
});

describe("the head of a refusal", () => {
  it("of a full queue tells of the place that there would have been, of the limits, and when to come back", async () => {
    await start({ rateLimit: { queueCapacity: 0 } });
    const first = await occupy();
    const { status, headers, json } = await call();
    first.leave();
    assert.equal(status, 429);
    assert.equal((json as { error: { code: string } }).error.code, "queue_full");
    assert.equal(headers["x-queue-position"], "1");
    assert.ok(numberOf(headers, "x-queue-eta-ms") > 0);
    assert.equal(headers["x-should-retry"], "true");
    assert.equal(headers["x-ratelimit-limit-requests"], "1000");
    assert.match(headers["ratelimit-policy"] as string, /"upstream-streams";q=1;qu="concurrent-requests"/);
    checkRetryAfter(headers);
  });

  it("after too long a wait tells of the wait, and of the place that the call had", async () => {
    await start({ rateLimit: { queueTimeoutMs: 200 } });
    const first = await occupy();
    const { status, headers } = await call();
    first.leave();
    assert.equal(status, 408);
    assert.ok(numberOf(headers, "x-queue-wait-ms") >= 200);
    assert.equal(headers["x-queue-position"], "1");
    assert.equal(headers["x-should-retry"], "false");
    assert.equal(headers["x-ratelimit-limit-requests"], "1000");
    checkRetryAfter(headers);
  });

  it("that spares the client a wait in vain tells how long it would have been", async () => {
    await start({ rateLimit: { startsPerSecond: 0.5, queueTimeoutMs: 300, refusesEarly: true } });
    assert.equal((await call()).status, 200);
    const { status, headers, json, durationMs } = await call();
    assert.equal(status, 429);
    const { code, message } = (json as { error: { code: string; message: string } }).error;
    assert.equal(code, "wait_too_long");
    assert.match(message, /it would wait about \d+ s \(limit 0\.3 s\)\. Retry in about \d+ s\.$/);
    assert.ok(durationMs < 250, "at once");
    assert.ok(numberOf(headers, "x-queue-eta-ms") > 300);
    checkRetryAfter(headers);
  });

  it("tells a user whose own calls fill their part of the queue, and nobody else", async () => {
    await start({ rateLimit: { userQueueCapacity: 1 } });
    const first = await occupy();
    const waiting = call();
    await untilWaiting(1);
    const { status, json, headers } = await call();
    const { code, message } = (json as { error: { code: string; message: string } }).error;
    assert.deepEqual([status, code], [429, "user_queue_full"]);
    assert.match(message, /1 of your own calls are waiting \(limit 1\)/);
    checkRetryAfter(headers);
    const other = call("hello", {}, { token: await gateway.logIn("user2", "pass456") });
    await untilWaiting(2);
    first.leave();
    assert.deepEqual([(await waiting).status, (await other).status], [200, 200]);
  });

  it("that never came to the queue tells nothing of it", async () => {
    await start();
    const { status, headers } = await call("hello", {}, { token: "none" });
    assert.equal(status, 401);
    assert.deepEqual([headers["x-queue-position"], headers["x-ratelimit-limit-requests"]], [undefined, undefined]);
  });

  /** The three that say when to come back agree. */
  function checkRetryAfter(headers: IncomingHttpHeaders): void {
    const seconds = numberOf(headers, "retry-after");
    assert.equal(seconds, Math.max(1, Math.ceil(numberOf(headers, "retry-after-ms") / 1_000)));
    const reset = /;t=(\d+)/.exec(headers.ratelimit as string)?.[1];
    if (reset !== undefined) assert.ok(seconds >= Number(reset), `retry-after ${seconds}, reset in ${reset}`);
  }
});

describe("a streaming call that waits", () => {
  const beating = { heartbeatMs: 40, heartbeatGraceMs: 100 };
  const comment = /^: (?:waiting, position \d+, about \d+ s|waiting for the answer)\n/;

  /** Starts a stream that has to wait; `received` is what has come so far. */
  function openStream(content = "hello"): { received: () => string; ended: Promise<Sent>; leave: () => void } {
    const controller = new AbortController();
    let received = "";
    const onData = (chunk: Buffer) => {
      received += chunk.toString();
    };
    const ended = call(content, { stream: true }, { onData, signal: controller.signal });
    return { received: () => received, ended, leave: () => controller.abort() };
  }

  /** What is left after the comments at the beginning, and how many they were. */
  function cutComments(text: string): { count: number; rest: string } {
    let rest = text;
    let count = 0;
    for (let match = comment.exec(rest); match; match = comment.exec(rest)) {
      rest = rest.slice(match[0].length);
      count++;
    }
    return { count, rest };
  }

  /** Two answers to the same question differ in nothing else. */
  const withoutIds = (text: string) => text.replace(/"(id|request_id)":"[^"]*"|"created":\d+/g, '"$1":0');

  it("hears nothing until its answer comes, by default", async () => {
    await start();
    const first = await occupy();
    const stream = openStream();
    await untilWaiting(1);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(stream.received(), "");
    first.leave();
    assert.match((await stream.ended).text, /^data: /);
  });

  it("gets comments of one line each after the grace, and then its answer byte for byte", async () => {
    await start({ server: beating });
    const plain = await call("count", { stream: true });
    const first = await occupy();
    const stream = openStream("count");
    await until("three have come", () => cutComments(stream.received()).count >= 3);
    first.leave();
    const { status, headers, text } = await stream.ended;
    assert.equal(status, 200);
    assert.match(headers["content-type"] as string, /^text\/event-stream/);
    assert.equal(headers["x-accel-buffering"], "no");
    assert.equal(headers["x-queue-position"], "1");
    assert.ok(numberOf(headers, "x-queue-wait-ms") >= 95);
    assert.equal(headers["x-ratelimit-limit-requests"], "1000");
    const { rest } = cutComments(text);
    assert.equal(withoutIds(rest), withoutIds(plain.text));
    assert.ok(rest.endsWith("data: [DONE]\n\n"));
  });

  it("is read by the openai client, with comments and with empty chunks", async () => {
    for (const heartbeatStyle of ["comment", "chunk"] as const) {
      await start({ server: { ...beating, heartbeatStyle } });
      const first = await occupy();
      const openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: token, maxRetries: 0 });
      const body = chat("[frames=5]", { stream: true }) as unknown as Parameters<
        typeof openai.chat.completions.create
      >[0] & { stream: true };
      const stream = await openai.chat.completions.create(body);
      await new Promise((resolve) => setTimeout(resolve, 100));
      first.leave();
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      assert.equal(chunks.at(-1)?.choices[0]?.finish_reason ?? chunks.at(-2)?.choices[0]?.finish_reason, "stop");
      assert.ok(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("").length > 0);
      const empty = chunks.filter(({ choices }) => choices[0] && Object.keys(choices[0].delta).length === 0);
      assert.ok(heartbeatStyle === "chunk" ? empty.length > 2 : empty.length <= 1, heartbeatStyle);
      if (heartbeatStyle === "comment") await gateway.stop();
    }
  });

  it("that is refused after the grace gets one error event and no [DONE]", async () => {
    await start({ server: beating, rateLimit: { queueTimeoutMs: 300 } });
    const first = await occupy();
    const { status, text } = await openStream().ended;
    first.leave();
    assert.equal(status, 200);
    const { count, rest } = cutComments(text);
    assert.ok(count > 0);
    assert.match(rest, /^data: \{"error":\{.*"code":"queue_timeout".*\}\}\n\n$/);
    await until("it is recorded", () => gateway.callLines().some(({ reason }) => reason === "queue_timeout"));
    const line = gateway.callLines().find(({ reason }) => reason === "queue_timeout");
    assert.equal(line?.outcome, "refused");
  });

  it("that is refused within the grace gets its status", async () => {
    await start({ server: { heartbeatMs: 40, heartbeatGraceMs: 2_000 }, rateLimit: { queueTimeoutMs: 200 } });
    const first = await occupy();
    const { status, json } = await openStream().ended;
    first.leave();
    assert.equal(status, 408);
    assert.equal((json as { error: { code: string } }).error.code, "queue_timeout");
  });

  it("whose answer comes within the grace has its usual head and not one comment", async () => {
    await start({ server: { heartbeatMs: 40, heartbeatGraceMs: 2_000 } });
    const first = await occupy();
    const stream = openStream();
    await untilWaiting(1);
    first.leave();
    const { status, headers, text } = await stream.ended;
    assert.equal(status, 200);
    assert.match(text, /^data: /);
    assert.notEqual(headers["x-queue-position"], undefined);
    gateway.simulator.script({ fault: "error", code: "1210" });
    const refused = await openStream().ended;
    assert.equal(refused.status, 400);
  });

  it("gets no sign of life when it did not ask for a stream", async () => {
    await start({ server: beating });
    const first = await occupy();
    const waiting = call();
    await untilWaiting(1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    first.leave();
    const { status, json } = await waiting;
    assert.equal(status, 200);
    assert.equal((json as { object?: string }).object, "chat.completion");
  });

  it("that leaves while it gets signs of life is out of the queue at once", async () => {
    await start({ server: beating });
    const first = await occupy();
    const stream = openStream();
    const gone = assert.rejects(stream.ended);
    await until("two have come", () => cutComments(stream.received()).count >= 2);
    stream.leave();
    await gone;
    await untilWaiting(0);
    first.leave();
    await until(
      "it is recorded",
      () => gateway.callLines().filter(({ outcome }) => outcome === "cancelled").length === 2,
    );
    assert.equal(gateway.simulator.report().callCount, 1);
  });
});

describe("what the operator sees of the queue", () => {
  it("is each decision in the log, with its reason", async () => {
    await start();
    const first = await occupy();
    const waiting = call();
    await untilWaiting(1);
    first.leave();
    const { headers } = await waiting;
    const lines = gateway.logLines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line.request_id === headers["x-request-id"] && String(line.msg).startsWith("queue: "));
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ["queue: queued", "queue: granted"],
    );
    for (const { why, user, model } of lines) {
      assert.equal(typeof why, "string");
      assert.deepEqual([user, model], ["user1", "glm-4.5-flash"]);
    }
  });

  it("is each limit's state in the metrics, and users by name only when wanted", async () => {
    for (const userLabelsMax of [0, 1]) {
      await start({ metrics: { userLabelsMax } });
      assert.equal((await call()).status, 200);
      const first = await occupy();
      const waiting = call("hello", {}, { token: await gateway.logIn("user2", "pass456") });
      await untilWaiting(1);
      const { text } = await send(`${gateway.url}/metrics`);
      first.leave();
      await waiting;
      assert.match(text, /^glm_proxy_queue_depth 1$/m);
      assert.match(text, /^glm_proxy_users_waiting 1$/m);
      assert.match(text, /^glm_proxy_lane_running\{key="default",model=""\} 1$/m);
      assert.match(text, /^glm_proxy_lane_concurrency_limit\{key="default",model=""\} 1$/m);
      if (userLabelsMax === 0) assert.doesNotMatch(text, /user[12]|glm_proxy_user_\w+\{/);
      else assert.match(text, /^glm_proxy_user_waiting\{user="(user1|user2|other)"\} 1$/m);
      if (userLabelsMax === 0) await gateway.stop();
    }
  });
});

// The simulated GLM as a server, over real sockets: who gets in, the limits and their judgement, its own paths for
// people, slow readers. What each fault does on the wire is in faults.test.ts.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { chat, type SendOptions, type Sent, send } from "./fixtures/client.ts";
import { type Simulator, type SimulatorOptions, type SimulatorReport, startSimulator } from "./simulator.ts";

let simulator: Simulator;

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 0, ...options });
}

afterEach(() => simulator.close());

function call(content = "hello", more: object = {}, options: SendOptions = {}): Promise<Sent> {
  return send(`${simulator.baseUrl}/chat/completions`, { token: "sim.secret", body: chat(content, more), ...options });
}

const codeOf = ({ json }: Sent) => (json as { error: { code: string } }).error.code;
const outcomeOf = (sent: Sent) => (sent.status === 200 ? 200 : codeOf(sent));

describe("the simulator", () => {
  it("answers chat whole and as a stream, with the same words, at both base paths", async () => {
    await start();
    const whole = await call("hello");
    const { choices } = whole.json as { choices: [{ message: { content: string } }] };
    const streamed = await send(`${simulator.origin}/api/coding/paas/v4/chat/completions?x=1`, {
      token: "sim.secret",
      body: chat("hello", { stream: true }),
    });
    assert.match(streamed.headers["content-type"] ?? "", /^text\/event-stream/);
    assert.ok(streamed.text.endsWith("data: [DONE]\n\n"));
    const words = Array.from(streamed.text.matchAll(/"content":"([^"]*)"/g), ([, word]) => word).join("");
    assert.equal(words, choices[0].message.content);
  });

  it("says the same in two runs with the same seed", async () => {
    const answers: unknown[] = [];
    for (let run = 0; run < 2; run++) {
      await start({ seed: 7, clock: createManualClock() });
      answers.push((await call("hello")).text);
      if (run === 0) await simulator.close();
    }
    assert.equal(answers[0], answers[1]);
  });

  it("counts tokens, makes embeddings and lists models", async () => {
    await start();
    const ask = (path: string, body?: object) =>
      send(simulator.baseUrl + path, { token: "sim.secret", ...(body && { body }) });
    const models = (await ask("/models")).json as { data: { id: string }[] };
    assert.ok(models.data.some(({ id }) => id === "glm-4.5-flash"));
    const { usage } = (await ask("/tokenizer", chat("hello"))).json as { usage: { prompt_tokens: number } };
    assert.ok(usage.prompt_tokens > 0);
    const input = { model: "embedding-3", input: ["a", "b", "a"] };
    const { data } = (await ask("/embeddings", input)).json as { data: { embedding: number[] }[] };
    assert.deepEqual(data[0]?.embedding, data[2]?.embedding);
    assert.notDeepEqual(data[0]?.embedding, data[1]?.embedding);
    assert.equal(codeOf(await ask("/embeddings", { input: "a" })), "1213");
  });

  it("says 404 and 1222 to what it does not have", async () => {
    await start();
    for (const path of ["/api/paas/v4/nothing", "/chat/completions", "/api/paas/v4/toString"]) {
      const sent = await send(simulator.origin + path, { token: "sim.secret", body: {} });
      assert.deepEqual([sent.status, codeOf(sent)], [404, "1222"], path);
    }
  });

  it("refuses a wrong parameter with 1214 and its name, in the language it was given", async () => {
    await start({ language: "zh" });
    const sent = await call("hello", { temperature: 5 });
    assert.deepEqual([sent.status, codeOf(sent)], [400, "1214"]);
    assert.match(sent.text, /temperature 参数非法/);
  });

  it("refuses a second running call with the same request_id", async () => {
    await start();
    const first = call("[first=10000]", { request_id: "mine" }, { signal: AbortSignal.timeout(2_000) });
    const ended = assert.rejects(first);
    await until("the first runs", () => simulator.report().inFlight === 1);
    assert.equal(codeOf(await call("hello", { request_id: "mine" })), "1231");
    assert.equal((await call("hello", { request_id: "other" })).status, 200);
    await simulator.close();
    await ended;
    await start();
  });

  it("keeps to the pace that a prompt asks for", async () => {
    await start();
    const { durationMs } = await call("[frames=5] [delay=20] [first=100]", { stream: true });
    assert.ok(durationMs >= 100 + 5 * 20, `${durationMs} ms`);
  });
});

describe("who calls the simulator", () => {
  function signJwt(exp: number): string {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${encode({ alg: "HS256", sign_type: "SIGN" })}.${encode({ api_key: "sim", exp, timestamp: exp })}`;
    return `${signed}.${createHmac("sha256", "secret").update(signed).digest("base64url")}`;
  }

  it("needs a key or a JWT made of it, and is told GLM's code otherwise, always with 401", async () => {
    await start();
    const soonMs = Date.now() + 60_000;
    const cases: [token: string | undefined, outcome: number | string][] = [
      ["sim.secret", 200],
      [signJwt(soonMs), 200],
      [signJwt(soonMs * 1_000), 200],
      [undefined, "1001"],
      ["sim.wrong", "401"],
      [signJwt(soonMs).slice(0, -1), "401"],
      [signJwt(Date.now() - 1), "1003"],
    ];
    for (const [token, outcome] of cases) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const sent = await send(`${simulator.baseUrl}/chat/completions`, { headers, body: chat() });
      assert.equal(outcomeOf(sent), outcome);
      if (outcome !== 200) assert.equal(sent.status, 401);
    }
    assert.deepEqual(simulator.report().answers, { "200": 3, "401 1001": 1, "401 401": 2, "401 1003": 1 });
  });
});

describe("the simulator's limits", () => {
  it("refuse the third call of a second, and judge it", async () => {
    const clock = createManualClock();
    await start({ requestsPerSecond: 2, clock });
    assert.deepEqual([outcomeOf(await call()), outcomeOf(await call()), outcomeOf(await call())], [200, 200, "1303"]);
    const { violations, violationCount, answers } = simulator.report();
    assert.equal(violationCount, 1);
    assert.deepEqual(violations[0], {
      kind: "rate",
      at: 0,
      key: "sim",
      model: "glm-4.5-flash",
      observed: 3,
      limit: 2,
    });
    assert.deepEqual(answers, { "200": 2, "429 1303": 1 });
    clock.stall(999);
    assert.equal(outcomeOf(await call()), "1303");
    clock.stall(1);
    assert.equal(outcomeOf(await call()), 200);
  });

  it("refuse a call beside another, and judge it", async () => {
    await start({ concurrencyMax: 1 });
    const running = call("[frames=1000] [delay=50]", { stream: true });
    const ended = assert.rejects(running);
    await until("it runs", () => simulator.report().inFlight === 1);
    assert.equal(outcomeOf(await call()), "1302");
    assert.deepEqual(
      simulator.report().violations.map(({ kind, observed, limit }) => [kind, observed, limit]),
      [["concurrency", 2, 1]],
    );
    await simulator.close();
    await ended;
    await start();
  });

  it("count a call that was aborted until the lag after it is over", async () => {
    const clock = createManualClock();
    await start({ concurrencyMax: 1, releaseLagMs: 300, clock });
    const controller = new AbortController();
    const running = assert.rejects(call("[first=60000]", {}, { signal: controller.signal }));
    await until("it runs", () => simulator.report().inFlight === 1);
    controller.abort();
    await running;
    await until("it was seen to leave", () => simulator.report().abortCount === 1);
    assert.equal(simulator.report().inFlight, 1);
    await clock.advance(299);
    assert.equal(outcomeOf(await call()), "1302");
    await clock.advance(1);
    assert.equal(simulator.report().inFlight, 0);
    assert.equal(outcomeOf(await call()), 200);
  });

  it("hold for a call from its head on, though its body comes late", async () => {
    await start({ concurrencyMax: 1 });
    const controller = new AbortController();
    const running = assert.rejects(call("[first=60000]", {}, { signal: controller.signal }));
    await until("it runs", () => simulator.report().inFlight === 1);
    const late = openCall(JSON.stringify(chat()), { sendsBody: false });
    await until("its head has come", () => simulator.report().callCount === 2);
    controller.abort();
    await running;
    await until("the first is over", () => simulator.report().inFlight === 0);
    late.write(JSON.stringify(chat()));
    await until("it is refused", () => simulator.report().answers["429 1302"] === 1);
    late.destroy();
  });
});

describe("the simulator's own paths", () => {
  const ask = (path: string, body?: object | string) =>
    send(`${simulator.origin}/__sim/${path}`, body === undefined ? {} : { body });

  it("report what was seen, without a key, and do not count themselves", async () => {
    await start();
    await call();
    const report = (await ask("report")).json as SimulatorReport;
    assert.equal(report.callCount, 1);
    assert.equal(report.arrivals[0]?.path, "/api/paas/v4/chat/completions");
    assert.equal(report.arrivals[0]?.body, JSON.stringify(chat()));
    assert.deepEqual(report.answers, { "200": 1 });
  });

  it("script faults for calls to come", async () => {
    await start();
    const report = (await ask("faults", [{ fault: "error", code: "1302" }])).json as SimulatorReport;
    assert.equal(report.pendingFaults, 1);
    assert.deepEqual([outcomeOf(await call()), outcomeOf(await call())], ["1302", 200]);
  });

  it("refuse with 400 and the reason what they do not understand, and change nothing", async () => {
    await start();
    const cases: [path: string, body: object | string, reason: RegExp][] = [
      ["faults", { fault: "explode" }, /unknown fault \\"explode\\"; known: error/],
      ["faults", "{", /the body is not JSON/],
      ["faults", [{ fault: "html" }, { fault: "html", after: 1 }], /takes no \\"after\\"/],
      ["limits", { concurrency: 1 }, /unknown limit concurrency; known: concurrencyMax/],
      ["limits", { concurrencyMax: "1" }, /concurrencyMax must be a number from 0, or null for none/],
      ["limits", { windowMs: null }, /windowMs must be a number from 0/],
    ];
    for (const [path, body, reason] of cases) {
      const sent = await ask(path, body);
      assert.equal(sent.status, 400, sent.text);
      assert.match(sent.text, reason);
    }
    assert.equal(simulator.report().pendingFaults, 0);
    assert.equal((await call()).status, 200);
  });

  it("set limits, and take them away with null", async () => {
    await start();
    await ask("limits", { requestsPerSecond: 0.01 });
    assert.deepEqual([outcomeOf(await call()), outcomeOf(await call())], [200, "1303"]);
    await ask("limits", { requestsPerSecond: null });
    assert.equal(outcomeOf(await call()), 200);
  });

  it("reset what was seen and scripted", async () => {
    await start({ requestsPerSecond: 0.01 });
    assert.deepEqual([outcomeOf(await call()), outcomeOf(await call())], [200, "1303"]);
    await ask("faults", { fault: "html", times: 3 });
    const { callCount, violationCount, answers, pendingFaults, arrivals } = (await ask("reset", {}))
      .json as SimulatorReport;
    assert.deepEqual([callCount, violationCount, answers, pendingFaults, arrivals], [0, 0, {}, 0, []]);
    assert.equal(outcomeOf(await call()), 200);
  });

  it("say which there are", async () => {
    await start();
    const sent = await ask("nothing");
    assert.equal(sent.status, 404);
    assert.match(sent.text, /unknown: GET nothing; known: GET report, POST faults, POST limits, POST reset/);
    assert.equal((await ask("faults")).status, 404, "it is there for POST only");
  });
});

describe("a client of the simulator", () => {
  it("that leaves before or within its answer is seen to abort, with the pieces it got", async () => {
    await start();
    const early = openCall(JSON.stringify(chat("[first=60000]")));
    await until("it runs", () => simulator.report().inFlight === 1);
    early.resetAndDestroy();
    await until("it was seen to leave", () => simulator.report().abortCount === 1);
    const late = openCall(JSON.stringify(chat("[frames=9] [delay=5]", { stream: true })));
    await until("some has come", () => simulator.report().bytesWritten > 0);
    late.destroy();
    await until("it was seen to leave", () => simulator.report().abortCount === 2);
    const [first, second] = simulator.report().aborts;
    assert.equal(first?.pieces, 0);
    assert.ok((second?.pieces ?? 0) > 0);
    assert.equal(simulator.report().inFlight, 0);
  });

  it("that reads nothing makes it pause, and gets all of it in the end", async () => {
    await start();
    const bytes = 64 * 1024 * 1024;
    simulator.script({ fault: "hugeAnswer", bytes });
    const socket = openCall(JSON.stringify(chat("hello", { stream: true })));
    socket.pause();
    let before = -1;
    let sameCount = 0;
    await until("it has paused", () => {
      const { bytesWritten } = simulator.report();
      sameCount = bytesWritten === before && bytesWritten > 0 ? sameCount + 1 : 0;
      before = bytesWritten;
      return sameCount >= 20;
    });
    // What the sockets of a loopback connection hold on both sides.
    assert.ok(before < bytes / 4, `${before} bytes were written`);
    assert.ok(simulator.report().unsentBytesMax < 1024 * 1024);
    assert.equal(simulator.report().inFlight, 1);
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    socket.resume();
    await until("all of it has come", () => received > bytes, 10_000);
    await until("the call is over", () => simulator.report().inFlight === 0);
    assert.equal(simulator.report().abortCount, 0);
    socket.destroy();
  });

  it("that sends more than 32 MiB is cut", async () => {
    await start();
    const socket = openCall("x".repeat(33 * 1024 * 1024));
    socket.resume();
    await until("it is cut", () => socket.closed);
    assert.equal(simulator.report().inFlight, 0);
  });
});

/** A chat call on a bare socket. */
function openCall(body: string, { sendsBody = true } = {}): Socket {
  const socket = connect(Number(new URL(simulator.origin).port), "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    "POST /api/paas/v4/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sim.secret\r\n" +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`,
  );
  if (sendsBody) socket.write(body);
  return socket;
}

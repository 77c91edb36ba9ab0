// What GLM's refusals do to the queue, over sockets: limits are found without being told, a call that GLM refused for
// its limits comes back to its client as an answer, and what no try can help stops at the gateway.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { SimulatorOptions } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

let gateway: TestGateway | null = null;
let token = "";

async function start(
  overrides: Parameters<typeof startGateway>[0] = {},
  options: SimulatorOptions = {},
): Promise<TestGateway> {
  gateway = await startGateway(overrides, options);
  token = await gateway.logIn();
  return gateway;
}

afterEach(async () => {
  const running = gateway;
  gateway = null;
  if (!running) return;
  await until("every ticket is back", () => running.app.snapshot().running === 0);
  await running.stop();
});

function call(more: object = {}, prompt = "[frames=4]"): Promise<Sent> {
  return send(`${gateway?.url}/chat/completions`, { token, body: chat(prompt, more) });
}

const errorOf = ({ json }: Sent) => (json as { error: { code: string; message: string } }).error;
const laneOf = (model: string | null) => gateway?.app.snapshot().lanes.find((lane) => lane.model === model);

describe("a call that GLM refuses for its limits", () => {
  for (const code of ["1302", "1303", "1305"]) {
    for (const isStream of [false, true]) {
      it(`is tried again unseen after ${code}${isStream ? ", streamed" : ""}`, async () => {
        const { simulator, callLines } = await start();
        simulator.script({ fault: "error", code, retryAfter: 0.05 });
        const sent = await call({ stream: isStream });
        assert.equal(sent.status, 200, sent.text);
        await until("it is recorded", () => callLines().length === 1);
        assert.deepEqual([callLines()[0]?.outcome, callLines()[0]?.tries_before], ["served", 1]);
      });
    }
  }

  it("is tried again also when the refusal is the first event of a stream", async () => {
    const { simulator } = await start();
    simulator.script({ fault: "errorFrame", after: 0, code: "1302" });
    const sent = await call({ stream: true });
    assert.equal(sent.status, 200);
    assert.match(sent.text, /\[DONE\]/);
  });

  it("hears of it when its own time is up", async () => {
    const { simulator } = await start({ rateLimit: { queueTimeoutMs: 700 } });
    simulator.script({ fault: "error", code: "1302", retryAfter: 0.05, times: 100 });
    const sent = await call();
    assert.deepEqual([sent.status, errorOf(sent).code], [429, "upstream_rate_limited"]);
    assert.equal(sent.headers["x-should-retry"], "true");
    assert.ok(Number(sent.headers["retry-after-ms"]) >= 1_000);
    assert.ok(sent.durationMs >= 650 && sent.durationMs < 1_500, String(sent.durationMs));
    simulator.reset();
  });

  it("is not started any more once its client has left", async () => {
    const { simulator, callLines } = await start();
    simulator.script({ fault: "error", code: "1302", retryAfter: 2 });
    const client = new AbortController();
    const sent = send(`${gateway?.url}/chat/completions`, { token, body: chat("hello"), signal: client.signal });
    await until("it waits again", () => gateway?.app.snapshot().waitingCalls[0]?.tryCount === 1);
    client.abort();
    await assert.rejects(sent);
    await until("it is recorded", () => callLines().length === 1);
    assert.equal(callLines()[0]?.outcome, "cancelled");
    assert.equal(simulator.report().callCount, 1);
  });
});

describe("a limit that nobody configured", () => {
  it("is learned from the first refusals, and every call is served", async () => {
    const { simulator } = await start({ rateLimit: { queueCapacity: 100 } }, { concurrencyMax: 2, firstTokenMs: 20 });
    const answers = await Promise.all(Array.from({ length: 24 }, () => call()));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const { violationCount } = simulator.report();
    // Without a rate all 24 may be on their way before the first refusal is heard, as they are when their intents became
    // durable together; then two at a time are enough for all.
    assert.ok(violationCount <= 2 * 24, `${violationCount} refusals until it was learned`);
    const learned = laneOf("glm-4.5-flash")?.learnedConcurrency ?? 0;
    assert.ok(learned >= 1 && learned <= 2, String(learned));
    // What was learned holds: a second wave draws hardly any refusal.
    await Promise.all(Array.from({ length: 12 }, () => call()));
    assert.ok(simulator.report().violationCount - violationCount <= 1);
  });
});

describe("what no try can help", () => {
  it("stops at the gateway until GLM's reset, and says when that is", async () => {
    const { simulator } = await start();
    simulator.script({ fault: "error", code: "1308" });
    const first = await call();
    assert.deepEqual([first.status, errorOf(first).code], [429, "upstream_quota"]);
    const seen = simulator.report().callCount;
    const second = await call();
    assert.deepEqual([second.status, errorOf(second).code], [429, "upstream_quota"]);
    assert.equal(second.headers["x-should-retry"], "false");
    assert.ok(Number(second.headers["retry-after"]) > 0);
    assert.equal(simulator.report().callCount, seen, "GLM was not asked again");
    assert.equal((await call({ model: "glm-4.7" })).status, 200, "another model is not concerned");
  });

  it("disables a refused key with an alert, refuses at once, and serves again after a reload", async () => {
    const { simulator, logLines, app, settings } = await start();
    simulator.script({ fault: "error", code: "1001" });
    assert.equal((await call()).status, 502);
    const seen = simulator.report().callCount;
    const refused = await call();
    assert.deepEqual([refused.status, errorOf(refused).code], [502, "upstream_account"]);
    assert.equal(simulator.report().callCount, seen, "GLM was not asked again");
    assert.equal(laneOf(null)?.isDisabled, true);
    const alerts = logLines
      .map((line) => JSON.parse(line))
      .filter(({ level, msg }) => level >= 50 && msg === "queue: disabled");
    assert.equal(alerts.length, 1, "one alert");
    assert.match(await app.metrics.render(), /glm_proxy_alerts_total\{what="disabled"\} 1/);
    app.apply(settings);
    assert.equal((await call()).status, 200);
  });

  it("tries a failure again at most twice, and a tenth of all calls", async () => {
    const { simulator } = await start();
    simulator.script({ fault: "error", code: "1234", times: 2 });
    assert.equal((await call()).status, 200, "two tries more");
    // The budget of a start is two, so it is spent.
    simulator.script({ fault: "error", code: "1234" });
    const sent = await call();
    assert.deepEqual([sent.status, errorOf(sent).code], [502, "upstream_failed"]);
  });
});

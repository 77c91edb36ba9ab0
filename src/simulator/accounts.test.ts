// Several keys at the simulated GLM: accounts that share limits, limits of one key, keys that are refused from now on,
// and calls that only ask.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { until } from "../../test/support/until.ts";
import { chat, type Sent, send } from "./fixtures/client.ts";
import { glmCodes, toGlmError } from "./glm-errors.ts";
import { type Simulator, type SimulatorOptions, type SimulatorReport, startSimulator } from "./simulator.ts";

let simulator: Simulator;
const keys = ["ada.secret", "bob.secret", "eve.secret"];

async function start(options: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 0, apiKeys: keys, ...options });
}

afterEach(() => simulator.close());

const call = (keyId: string, content = "hello", more: object = {}, signal?: AbortSignal): Promise<Sent> =>
  send(`${simulator.baseUrl}/chat/completions`, {
    token: `${keyId}.secret`,
    body: chat(content, more),
    ...(signal && { signal }),
  });
const list = (keyId: string) => send(`${simulator.baseUrl}/models`, { token: `${keyId}.secret` });
const outcomeOf = ({ status, json }: Sent) => (status === 200 ? 200 : (json as { error: { code: string } }).error.code);

/** Runs until it is told to end. */
function hold(keyId: string, more: object = {}): () => Promise<void> {
  const controller = new AbortController();
  const ended = assert.rejects(call(keyId, "[first=60000]", more, controller.signal));
  return async () => {
    controller.abort();
    await ended;
  };
}

describe("keys of one account", () => {
  const accounts = { ada: "acme", bob: "acme" };

  it("share its concurrency for each model, and others have their own", async () => {
    await start({ accounts, concurrencyMax: 1 });
    const end = hold("ada");
    await until("it runs", () => simulator.report().inFlight === 1);
    assert.equal(outcomeOf(await call("bob")), "1302");
    assert.equal(outcomeOf(await call("bob", "hello", { model: "glm-4.7" })), 200);
    assert.equal(outcomeOf(await call("eve")), 200);
    const lanes = simulator.report().lanes.map(({ account, model, inFlightMax }) => [account, model, inFlightMax]);
    assert.deepEqual(lanes, [
      ["acme", "glm-4.5-flash", 1],
      ["acme", "glm-4.7", 1],
      ["eve", "glm-4.5-flash", 1],
    ]);
    await end();
  });

  it("share its rate", async () => {
    await start({ accounts, requestsPerSecond: 1, clock: createManualClock() });
    const outcomes = [await call("ada"), await call("bob"), await call("eve")].map(outcomeOf);
    assert.deepEqual(outcomes, [200, "1303", 200]);
    assert.deepEqual(
      simulator.report().violations.map(({ key }) => key),
      ["bob"],
    );
  });
});

describe("limits of one key", () => {
  it("go before those of all, and can be changed", async () => {
    await start({ requestsPerSecond: 1, limitsByKey: { bob: { requestsPerSecond: 2 } }, clock: createManualClock() });
    const outcomes = async (keyId: string) => [await call(keyId), await call(keyId), await call(keyId)].map(outcomeOf);
    assert.deepEqual(await outcomes("ada"), [200, "1303", "1303"]);
    assert.deepEqual(await outcomes("bob"), [200, 200, "1303"]);
    simulator.setLimits({ requestsPerSecond: null }, "bob");
    assert.deepEqual(await outcomes("bob"), [200, 200, 200]);
    assert.equal(outcomeOf(await call("ada")), "1303");
  });

  it("can be set from elsewhere", async () => {
    await start();
    await send(`${simulator.origin}/__sim/limits?key=ada`, { body: { requestsPerSecond: 0 } });
    assert.deepEqual([outcomeOf(await call("ada")), outcomeOf(await call("bob"))], ["1303", 200]);
  });
});

describe("a fault for one key", () => {
  it("passes the calls of others by", async () => {
    await start();
    simulator.script({ fault: "error", code: "1302", when: { keyId: "bob" } });
    const outcomes = [await call("ada"), await call("bob"), await call("bob")].map(outcomeOf);
    assert.deepEqual(outcomes, [200, "1302", 200]);
  });

  it("may strike before the body", async () => {
    await start();
    simulator.script({ fault: "early400", when: { keyId: "bob" } });
    assert.deepEqual([await call("ada"), await call("bob")].map(outcomeOf), [200, "1210"]);
  });
});

describe("the state of a key", () => {
  it("refuses its calls by each of GLM's codes with its status, until it is taken away", async () => {
    await start();
    for (const code of glmCodes) {
      simulator.setKeyState("ada", code);
      const sent = await call("ada");
      assert.deepEqual([sent.status, outcomeOf(sent)], [toGlmError(code, "en", 0).status, code]);
      assert.equal(outcomeOf(await call("bob")), 200);
    }
    simulator.setKeyState("ada", null);
    assert.equal(outcomeOf(await call("ada")), 200);
  });

  it("counts towards no limit, and holds for calls that only ask as well", async () => {
    await start({ requestsPerSecond: 1, clock: createManualClock() });
    simulator.setKeyState("ada", "1113");
    assert.deepEqual([await call("ada"), await call("ada"), await list("ada")].map(outcomeOf), [
      "1113",
      "1113",
      "1113",
    ]);
    simulator.reset();
    assert.equal(outcomeOf(await call("ada")), 200, "a reset takes it away");
    assert.deepEqual(simulator.report().violations, []);
  });

  it("lets calls that run go on", async () => {
    await start();
    const running = call("ada", "[first=50]");
    await until("it runs", () => simulator.report().inFlight === 1);
    simulator.setKeyState("ada", "1112");
    assert.equal((await running).status, 200);
  });

  it("can be set from elsewhere, and must be a code of GLM's", async () => {
    await start();
    const post = (body: object) => send(`${simulator.origin}/__sim/keys`, { body });
    await post({ ada: "1113", bob: "1308" });
    assert.deepEqual([await call("ada"), await call("bob")].map(outcomeOf), ["1113", "1308"]);
    await post({ ada: null });
    assert.equal(outcomeOf(await call("ada")), 200);
    const wrong = await post({ bob: null, ada: "7" });
    assert.equal(wrong.status, 400);
    assert.match(wrong.text, /ada: unknown code \\"7\\"; known: /);
    assert.equal(outcomeOf(await call("bob")), "1308", "nothing of it was done");
    assert.throws(() => simulator.setKeyState("ada", "7"), /GLM has no code 7/);
  });
});

describe("calls that only ask", () => {
  it("are counted in a lane of their own, and are not paced", async () => {
    await start({ requestsPerSecond: 1, concurrencyMax: 1, clock: createManualClock() });
    assert.deepEqual(
      [await list("ada"), await list("ada"), await call("ada"), await list("ada")].map(outcomeOf),
      [200, 200, 200, 200],
    );
    const { lanes, violations, inFlightMax }: SimulatorReport = simulator.report();
    assert.deepEqual(
      lanes.map(({ model, inFlight, inFlightMax }) => [model, inFlight, inFlightMax]),
      [
        ["(reads)", 0, 1],
        ["glm-4.5-flash", 0, 1],
      ],
    );
    assert.deepEqual([violations, inFlightMax], [[], 1]);
  });

  it("count towards the limits when they are told to", async () => {
    await start({ requestsPerSecond: 2, countsReads: true, clock: createManualClock() });
    assert.deepEqual([await list("ada"), await call("ada"), await list("ada")].map(outcomeOf), [200, 200, "1303"]);
  });

  it("are struck by faults with a path alone", async () => {
    await start();
    simulator.script({ fault: "error", code: "500", when: { path: "/models" } }, { fault: "error", code: "1302" });
    assert.deepEqual([await call("ada"), await list("ada"), await list("ada")].map(outcomeOf), ["1302", "500", 200]);
  });
});

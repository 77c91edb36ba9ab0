// How often GLM is asked again after it has refused: for each of its codes, in each form in which it says them, counted
// at the upstream at 20 starts a second. And what one caller whose requests break their connection costs another.

import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { errorForms } from "../../src/simulator/faults.ts";
import { type ScriptedFault, startSimulator } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, startGateway, testSettings, until } from "../support/gateway.ts";

const isWholeSuite = process.env.GLM_PROXY_TEST_FAULTS === "all";

/** How often GLM may be asked within four seconds by a call, and by another one once that is answered or waits. */
const sendsMax: readonly (readonly [codes: readonly string[], most: number])[] = [
  // Limits and overload: after a second, then after two.
  [["1302", "1303", "1305", "1312"], 4],
  // No try helps before something else has changed.
  [["401", "1001", "1110", "1112", "1121", "1309", "1314", "1315"], 1],
  [["1113", "1304", "1308", "1310", "1316", "1318", "1311", "1313"], 1],
  // A moment's failure: the first call twice more by the budget of the start, then each once.
  [["500", "1200", "1230", "1234", "1120"], 4],
  // The request's own fault.
  [["1210", "1211", "1214", "1220", "1261", "1300", "1301"], 2],
];
const spanMs = 4_000;
const codesAtOnce = 10;
/** In the suite of faults all of them, else one of each kind. */
const codes = isWholeSuite
  ? sendsMax.flatMap(([list]) => list)
  : ["1302", "1303", "1305", "1113", "1311", "1313", "1001", "1234", "1214"];

interface Case {
  readonly form: (typeof errorForms)[number];
  readonly isStream: boolean;
  /** One model and one key each, so that no case learns from another. */
  readonly model: string;
}

const cases: readonly Case[] = [
  { form: "status", isStream: false, model: "glm-4.7" },
  { form: "status", isStream: true, model: "glm-4.7-flash" },
  { form: "json", isStream: false, model: "glm-4.5-air" },
  { form: "json", isStream: true, model: "glm-4.5-flash" },
  { form: "event", isStream: true, model: "glm-4.6v" },
  { form: "eventApart", isStream: true, model: "glm-5.3" },
];

/** Sends of each case within the span. */
async function countSends(code: string): Promise<number[]> {
  const keys = cases.map(({ model }) => ({ name: model, apiKey: `${model.replace(".", "-")}.0123456789abcdef` }));
  const glm = await startSimulator({ apiKeys: keys.map(({ apiKey }) => apiKey), firstTokenMs: 1, tokenMs: 1 });
  const { baseUrl, anthropicBaseUrl } = glm;
  const upstreams = keys.map((key) => ({ ...key, kind: "glm" as const, baseUrl, anthropicBaseUrl }));
  const limits = { startsPerSecond: 20, concurrencyMax: null, tokensPerMinute: null };
  const gateway = await startGateway({
    glm: { upstreams },
    rateLimit: {
      keys: keys.map(({ name }) => ({ ...limits, name, models: [name] })),
      queueCapacity: 100,
      queueTimeoutMs: spanMs,
    },
  });
  try {
    const tokens = [await gateway.logIn(), await gateway.logIn("user2", "pass456")];
    for (const { form, model } of cases) glm.script({ fault: "error", code, form, times: 1_000, when: { model } });
    const ask = (token: string | undefined, { model, isStream: stream }: Case): Promise<Sent> => {
      const body = { model, stream, messages: [{ role: "user", content: "hi" }] };
      return send(`${gateway.url}/v1/chat/completions`, { token: token ?? "", body });
    };
    await Promise.all(
      cases.map(async (one) => {
        let isAnswered = false;
        const first = ask(tokens[0], one).finally(() => {
          isAnswered = true;
        });
        const waitsAgain = () =>
          gateway.app.snapshot().waitingCalls.some(({ model, tryCount }) => model === one.model && tryCount > 0);
        await until("the first is answered or waits again", () => isAnswered || waitsAgain(), 15_000);
        return Promise.all([first, ask(tokens[1], one)]);
      }),
    );
    const { arrivals } = glm.report();
    return cases.map(({ model }) => {
      const ofCase = arrivals.filter((arrival) => arrival.model === model);
      return ofCase.filter(({ at }) => at <= (ofCase[0]?.at ?? 0) + spanMs).length;
    });
  } finally {
    await gateway.stop();
    await glm.close();
  }
}

describe("after a refusal", () => {
  it("GLM is asked no more often than its code allows, in whatever form it came", async (t: TestContext) => {
    const counts: number[][] = [];
    for (let begin = 0; begin < codes.length; begin += codesAtOnce)
      counts.push(...(await Promise.all(codes.slice(begin, begin + codesAtOnce).map(countSends))));
    const names = cases.map(({ form, isStream }) => `${form}${isStream ? " (stream)" : ""}`);
    t.diagnostic(`sends in 4 s  ${names.join("  ")}`);
    for (const [index, code] of codes.entries()) {
      const cells = names.map((name, column) => String(counts[index]?.[column]).padStart(name.length));
      t.diagnostic(`${code.padStart(12)}  ${cells.join("  ")}`);
    }
    for (const [index, code] of codes.entries()) {
      const most = sendsMax.find(([list]) => list.includes(code))?.[1] ?? 0;
      const ofCode = counts[index] ?? [];
      assert.ok(
        ofCode.every((count) => count >= 1 && count <= most),
        `${code}: ${ofCode.join()} sends, at most ${most}`,
      );
    }
  });
});

describe("an endpoint beside chat", () => {
  const messages = [{ role: "user", content: "hi" }];
  const requests: readonly (readonly [path: string, body: object, isStream: boolean])[] = [
    ["/v1/messages", { max_tokens: 9, messages }, false],
    ["/v1/messages", { max_tokens: 9, messages, stream: true }, true],
    ["/v1/responses", { input: "hi" }, false],
    ["/v1/responses", { input: "hi", stream: true }, true],
    ["/v1/embeddings", { input: "hi" }, false],
    ["/api/paas/v4/chat/completions", { messages, stream: true }, true],
  ];
  for (const [path, body, isStream] of requests) {
    it(`${path}${isStream ? ", streamed" : ""}, is not asked again after 1113, in whatever form it came`, async () => {
      for (const form of errorForms.filter((one) => isStream || one === "status" || one === "json")) {
        const gateway = await startGateway({ rateLimit: { startsPerSecond: 20 } });
        try {
          gateway.simulator.script({ fault: "error", code: "1113", form, times: 100 });
          for (const user of [await gateway.logIn(), await gateway.logIn("user2", "pass456")]) {
            const { status, text } = await send(gateway.url + path, {
              token: user,
              body: { model: "glm-4.7", ...body },
            });
            assert.equal(status, 429, `${form}: ${text}`);
          }
          assert.equal(gateway.simulator.report().callCount, 1, form);
        } finally {
          await gateway.stop();
        }
      }
    });
  }
});

describe("a fallback model", () => {
  const fallbacks = new Map([["glm-4.7", ["glm-4.5-air"]]]);
  const ask = async (fault: ScriptedFault, timeouts = testSettings.glm.timeouts) => {
    const gateway = await startGateway({ glm: { fallbacks, timeouts } });
    try {
      gateway.simulator.script({ ...fault, when: { model: "glm-4.7" }, times: 10 });
      const body = { ...chat("hi"), model: "glm-4.7" };
      const { status } = await send(`${gateway.url}/v1/chat/completions`, { token: await gateway.logIn(), body });
      return [status, ...gateway.simulator.report().arrivals.map(({ model }) => model)];
    } finally {
      await gateway.stop();
    }
  };

  it("is not asked for a call that the wanted one may have executed", async () => {
    assert.deepEqual(await ask({ fault: "resetBeforeHeaders" }), [502, "glm-4.7"]);
    assert.deepEqual(await ask({ fault: "html", status: 504 }), [502, "glm-4.7"]);
  });

  it("is asked when GLM says that the wanted one failed, or keeps silent for longer than is configured", async () => {
    const failed = await ask({ fault: "error", code: "1234", form: "json" });
    assert.deepEqual([failed[0], failed.at(-1)], [200, "glm-4.5-air"]);
    const silent = await ask({ fault: "stallBeforeHeaders" }, { totalMs: 5_000, firstByteMs: 200, idleMs: null });
    assert.deepEqual(silent, [200, "glm-4.7", "glm-4.5-air"]);
  });
});

describe("a caller whose calls all break their connection", () => {
  it("sends each of them once, and costs another caller nothing", async (t: TestContext) => {
    const gateway = await startGateway({ rateLimit: { startsPerSecond: 20 } });
    const { simulator } = gateway;
    let isOver = false;
    try {
      const [bad, bystander] = [await gateway.logIn(), await gateway.logIn("user2", "pass456")];
      const url = `${gateway.url}/v1/chat/completions`;
      simulator.script({ fault: "resetBeforeHeaders", times: 10_000, when: { model: "glm-4.7" } });
      let badCount = 0;
      const breaking = (async () => {
        for (; !isOver; badCount++) {
          const { status } = await send(url, { token: bad, body: { ...chat("hi"), model: "glm-4.7" } });
          assert.equal(status, 502);
        }
      })();
      const waits: number[] = [];
      for (let count = 0; count < 10; count++) {
        const { status, durationMs } = await send(url, { token: bystander, body: chat("hi [frames=1]") });
        assert.equal(status, 200);
        waits.push(durationMs);
        const dueAt = performance.now() + 500 - durationMs;
        await until("its next call is due", () => performance.now() >= dueAt);
      }
      isOver = true;
      await breaking;
      const inTime = waits.filter((ms) => ms <= 500).length;
      t.diagnostic(`${inTime} of ${waits.length} calls within 0.5 s, the longest ${Math.round(Math.max(...waits))} ms`);
      assert.ok(inTime >= waits.length - 1, waits.map(Math.round).join());
      assert.equal(simulator.report().arrivals.filter(({ model }) => model === "glm-4.7").length, badCount);
    } finally {
      isOver = true;
      await gateway.stop();
    }
  });
});

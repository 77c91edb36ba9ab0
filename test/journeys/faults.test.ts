// Every way in which the upstream can fail, and what the client gets for it. After each: no ticket is out, and the
// connection to the upstream is closed or idle. The upstream's key is in no byte that came out.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { ScriptedFault } from "../../src/simulator/simulator.ts";
import { chat, type Sent, send, startGateway, type TestGateway, until, upstreamKey } from "../support/gateway.ts";

let gateway: TestGateway;
let token: string;
const seen: string[] = [];

before(async () => {
  gateway = await startGateway({ glm: { timeouts: { totalMs: 1_500, firstByteMs: 600, idleMs: 400 } } });
  token = await gateway.logIn();
});

afterEach(async () => {
  await until("every ticket is back", () => gateway.app.snapshot().running === 0);
  await until("the upstream sees no call in flight", () => gateway.simulator.report().inFlight === 0);
  gateway.simulator.reset();
  // A reload ends the blocks that a fault has brought about.
  gateway.app.apply(gateway.settings);
});

after(async () => {
  await gateway.stop();
  const secret = upstreamKey.split(".")[1] as string;
  for (const text of [...seen, ...gateway.logLines]) {
    assert.ok(!text.includes(secret), `the upstream key is in: ${text.slice(0, 300)}`);
  }
});

async function call(fault: ScriptedFault | null, more: object = {}): Promise<Sent> {
  if (fault) gateway.simulator.script(fault);
  const sent = await send(`${gateway.url}/chat/completions`, { token, body: chat("[frames=6]", more) });
  seen.push(sent.text, JSON.stringify(sent.headers), await gateway.app.metrics.render());
  return sent;
}

const callStream = (fault: ScriptedFault | null) => call(fault, { stream: true });
const errorOf = ({ json }: Sent) => (json as { error: { code: string; message: string } }).error;
const lastRecord = () => gateway.callLines().at(-1) as Record<string, unknown>;

describe("a fault before anything was sent becomes a status", () => {
  // [fault, status, code, may the client retry]
  const cases: [ScriptedFault, number, string, boolean][] = [
    [{ fault: "refuse", times: 3 }, 502, "upstream_reset", true],
    [{ fault: "resetBeforeHeaders", times: 3 }, 502, "upstream_reset", true],
    [{ fault: "stallBeforeHeaders" }, 504, "upstream_first_byte_timeout", false],
    [{ fault: "error", code: "401" }, 502, "upstream_account", false],
    [{ fault: "error", code: "1001" }, 502, "upstream_account", false],
    [{ fault: "error", code: "1112" }, 502, "upstream_account", false],
    [{ fault: "error", code: "1113" }, 429, "upstream_quota", false],
    [{ fault: "error", code: "1304" }, 429, "upstream_quota", false],
    [{ fault: "error", code: "1308" }, 429, "upstream_quota", false],
    [{ fault: "error", code: "1310" }, 429, "upstream_quota", false],
    [{ fault: "error", code: "1313" }, 502, "upstream_account", false],
    [{ fault: "error", code: "1210" }, 400, "1210", false],
    [{ fault: "error", code: "1214", status: 200 }, 400, "1214", false],
    [{ fault: "error", code: "1261" }, 400, "1261", false],
    [{ fault: "error", code: "1301" }, 400, "1301", false],
    [{ fault: "error", code: "1211", status: 404 }, 404, "1211", false],
    [{ fault: "error", code: "500", times: 3 }, 502, "upstream_failed", true],
    [{ fault: "error", code: "1234", times: 3 }, 502, "upstream_failed", true],
    [{ fault: "html", status: 502, times: 3 }, 502, "upstream_failed", true],
    [{ fault: "html", status: 520, times: 3 }, 502, "upstream_failed", true],
    [{ fault: "html", status: 200 }, 502, "upstream_unexpected", false],
    [{ fault: "wrongContentType" }, 502, "upstream_unexpected", false],
    [{ fault: "redirect" }, 502, "upstream_unexpected", false],
    [{ fault: "status", status: 204 }, 502, "upstream_unexpected", false],
    [{ fault: "status", status: 206 }, 502, "upstream_unexpected", false],
    [{ fault: "hugeHeader" }, 502, "upstream_protocol", true],
    [{ fault: "manyHeaders" }, 502, "upstream_protocol", true],
    [{ fault: "gzipTwice" }, 502, "upstream_unexpected", false],
    [{ fault: "early400" }, 400, "1210", false],
    [{ fault: "echoAuthorization" }, 400, "1214", false],
  ];
  for (const [fault, status, code, shouldRetry] of cases) {
    for (const isStream of [false, true]) {
      const name = Object.values(fault).join(" ");
      it(`${name}${isStream ? ", streamed" : ""}: ${status} ${code}`, async () => {
        const sent = await call(fault, { stream: isStream });
        assert.equal(sent.status, status, sent.text);
        assert.equal(errorOf(sent).code, code);
        assert.equal(sent.headers["x-should-retry"], String(shouldRetry));
        assert.match(String(sent.headers["content-type"]), /^application\/json/);
        assert.equal(sent.headers["cache-control"], "no-store");
        assert.doesNotMatch(sent.text, /<html|nginx/);
        await until("the call is recorded", () => lastRecord()?.request_id === sent.headers["x-request-id"]);
        assert.equal(lastRecord().outcome, "refused");
      });
    }
  }
});

describe("a whole answer", () => {
  it("that breaks in its middle is a 502, since nothing of it was sent", async () => {
    for (const fault of ["resetMidStream", "cutMidStream"] as const) {
      const sent = await call({ fault });
      assert.deepEqual([sent.status, errorOf(sent).code], [502, "upstream_reset"], fault);
    }
    assert.equal((await call({ fault: "endEarly" })).status, 502);
  });

  it("that is shorter or longer than it says is a 502", async () => {
    assert.equal((await call({ fault: "longContentLength" })).status, 502);
    assert.equal((await call({ fault: "shortContentLength" })).status, 502);
  });

  it("that stalls in its middle is a 504", async () => {
    const sent = await call({ fault: "stallMidStream" });
    assert.deepEqual([sent.status, errorOf(sent).code], [504, "upstream_idle_timeout"]);
  });

  it("that drips slower than the whole time allows is a 504", async () => {
    const sent = await call({ fault: "drip", ms: 30 });
    assert.deepEqual([sent.status, errorOf(sent).code], [504, "upstream_timeout"]);
  });

  it("that was compressed though not asked for is read all the same", async () => {
    for (const fault of ["gzip", "br"] as const) {
      const sent = await call({ fault });
      assert.equal(sent.status, 200);
      assert.equal(sent.headers["content-encoding"], undefined);
      assert.ok((sent.json as { choices: unknown[] }).choices.length > 0);
    }
  });

  it("that would unfold beyond all measure is a 502", async () => {
    const sent = await call({ fault: "gzipBomb", bytes: 20 * 1024 * 1024 });
    assert.deepEqual([sent.status, errorOf(sent).code], [502, "upstream_too_large"]);
  });

  it("of a megabyte passes, and one beyond 16 MiB is a 502", async () => {
    const large = await call({ fault: "hugeAnswer", bytes: 1024 * 1024 });
    assert.equal(large.status, 200);
    assert.ok(large.text.length > 1024 * 1024);
    const huge = await call({ fault: "hugeAnswer", bytes: 17 * 1024 * 1024 });
    assert.deepEqual([huge.status, errorOf(huge).code], [502, "upstream_too_large"]);
  });

  it("brings none of the upstream's headers along but its id", async () => {
    const { status, headers } = await call({ fault: "foreignHeaders" });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(headers).sort(), [
      "cache-control",
      "connection",
      "content-length",
      "content-type",
      "date",
      "ratelimit",
      "ratelimit-policy",
      "x-content-type-options",
      "x-queue-eta-ms",
      "x-queue-position",
      "x-queue-wait-ms",
      "x-ratelimit-limit-requests",
      "x-ratelimit-remaining-requests",
      "x-ratelimit-reset-requests",
      "x-request-id",
    ]);
  });

  it("tells usage only when it makes sense", async () => {
    for (const raw of [null, "many", { prompt_tokens: -1, completion_tokens: 2 }, { prompt_tokens: 1e308 }]) {
      const { status, headers } = await call({ fault: "usage", raw });
      assert.equal(status, 200);
      await until("the call is recorded", () => lastRecord()?.request_id === headers["x-request-id"]);
      assert.equal(lastRecord().prompt_tokens, undefined);
    }
  });
});

describe("a stream", () => {
  /** What GLM would send undisturbed, ids aside. */
  const framesOf = (text: string) => text.split("\n\n").filter(Boolean);

  for (const fault of ["resetMidStream", "cutMidStream", "cutMidFrame", "endEarly"] as const) {
    it(`that ends by ${fault} ends in one error event, without [DONE], and is recorded as cut`, async () => {
      const sent = await callStream({ fault, after: 3 });
      assert.equal(sent.status, 200);
      const frames = framesOf(sent.text);
      assert.equal(frames.length, 4, sent.text);
      for (const frame of frames.slice(0, 3)) assert.match(frame, /^data: \{"id"/);
      const error = JSON.parse((frames[3] as string).slice(6)) as { error: { code: string; request_id: string } };
      assert.equal(error.error.code, "upstream_truncated");
      assert.equal(error.error.request_id, sent.headers["x-request-id"]);
      await until("the call is recorded", () => lastRecord()?.request_id === sent.headers["x-request-id"]);
      assert.deepEqual([lastRecord().outcome, lastRecord().reason], ["cut", "upstream_truncated"]);
    });
  }

  it("that stalls ends in one error event after the idle time", async () => {
    const { text, durationMs } = await callStream({ fault: "stallMidStream", after: 2 });
    assert.match(framesOf(text).at(-1) ?? "", /upstream_idle_timeout/);
    assert.ok(durationMs < 1_200);
    await until("the upstream sees the abort", () => gateway.simulator.report().aborts.length === 1);
  });

  it("that drips below the idle time ends in one error event when the whole time is over", async () => {
    const { text, durationMs } = await callStream({ fault: "drip", ms: 20 });
    assert.match(framesOf(text).at(-1) ?? "", /upstream_timeout/);
    assert.ok(durationMs >= 1_490 && durationMs < 2_200, `${durationMs} ms`);
  });

  it("whose first event is an error becomes a status", async () => {
    gateway.simulator.script({ fault: "errorFrame", after: 0, code: "1261" });
    const sent = await callStream(null);
    assert.deepEqual([sent.status, errorOf(sent).code], [400, "1261"]);
  });

  it("with an error in its middle ends in ours, once", async () => {
    const { text } = await callStream({ fault: "errorFrame", after: 2, code: "1234" });
    const errors = framesOf(text).filter((frame) => frame.includes('"error"'));
    assert.equal(errors.length, 1);
    assert.match(errors[0] as string, /upstream_failed/);
    assert.ok(!text.includes("[DONE]"));
  });

  it("with a finish_reason and no [DONE] is whole, and nothing is invented", async () => {
    const { text, headers } = await callStream({ fault: "noDone" });
    assert.match(framesOf(text).at(-1) ?? "", /"finish_reason":"stop"/);
    await until("the call is recorded", () => lastRecord()?.request_id === headers["x-request-id"]);
    assert.equal(lastRecord().outcome, "served");
  });

  it("ends at its first [DONE]", async () => {
    for (const fault of ["afterDone", "doubleDone"] as const) {
      const { text } = await callStream({ fault });
      assert.equal(text.split("[DONE]").length, 2);
      assert.ok(text.endsWith("data: [DONE]\n\n"));
    }
  });

  it("passes GLM's own finish reasons on, and records them", async () => {
    for (const reason of ["network_error", "sensitive"]) {
      const { text, headers } = await callStream({ fault: "finish", reason });
      assert.match(text, new RegExp(`"finish_reason":"${reason}"`));
      await until("the call is recorded", () => lastRecord()?.request_id === headers["x-request-id"]);
      assert.equal(lastRecord().finish_reason, reason);
    }
  });

  it("arrives unchanged however it is cut, with any line ends and odd events", async () => {
    const plain = framesOf((await callStream(null)).text).map(withoutIds);
    assert.deepEqual(framesOf((await callStream({ fault: "slice" })).text).map(withoutIds), plain);
    const crlf = (await callStream({ fault: "crlf" })).text;
    assert.ok(crlf.includes("\r\n\r\n"));
    assert.deepEqual(framesOf(crlf.replaceAll("\r\n", "\n")).map(withoutIds), plain);
    for (const fault of ["malformedFrame", "emptyFrame"] as const) {
      const frames = framesOf((await callStream({ fault, after: 2 })).text);
      assert.equal(frames.length, plain.length + 1);
      assert.deepEqual(frames.toSpliced(2, 1).map(withoutIds), plain);
    }
  });

  it("with one line of 4 MiB flows through", async () => {
    const { text } = await callStream({ fault: "hugeLine", bytes: 4 * 1024 * 1024 });
    assert.ok(text.length > 4 * 1024 * 1024);
    assert.ok(text.endsWith("data: [DONE]\n\n"));
  });

  it("of very many tiny events flows through", async () => {
    const { text } = await callStream({ fault: "manyFrames", bytes: 50_000 });
    assert.equal(framesOf(text).length, 50_000 + 8);
  });

  it("of another model than was asked for passes", async () => {
    assert.match((await callStream({ fault: "otherModel" })).text, /"model":"glm-5.3"/);
  });

  it("counts usage once", async () => {
    const { headers } = await callStream(null);
    await until("the call is recorded", () => lastRecord()?.request_id === headers["x-request-id"]);
    assert.equal(lastRecord().completion_tokens, 6);
  });

  it("that was compressed though not asked for is read all the same", async () => {
    for (const fault of ["gzip", "br"] as const) {
      const { status, text } = await callStream({ fault });
      assert.equal(status, 200);
      assert.ok(text.endsWith("data: [DONE]\n\n"), text.slice(0, 200));
    }
  });

  function withoutIds(frame: string): string {
    return frame.replace(/"(?:id|created)":(?:"\w+"|\d+),/g, "");
  }
});

describe("the connection to the upstream", () => {
  it("is used again after a good answer, and not after a broken one", async () => {
    const own = await startGateway();
    const ownToken = await own.logIn();
    const ask = (more: object) => send(`${own.url}/chat/completions`, { token: ownToken, body: chat("hello", more) });
    const openSockets = () => own.simulator.report().openSockets;
    try {
      for (const more of [{}, {}, { stream: true }]) await ask(more);
      await until("one connection", () => openSockets() === 1);
      own.simulator.script({ fault: "cutMidStream" });
      await ask({ stream: true });
      await until("none", () => openSockets() === 0);
    } finally {
      await own.stop();
    }
  });

  it("is given up when a second response comes that nobody asked for", async () => {
    await call({ fault: "extraResponse" });
    const { json } = await call(null);
    assert.ok((json as { choices?: unknown[] }).choices, "the unsolicited response reached nobody");
  });

  it("survives informational responses", async () => {
    assert.equal((await call({ fault: "informational" })).status, 200);
  });

  it("that cannot be made is told as such", async () => {
    const at = (baseUrl: string) => {
      const target = { name: "default", kind: "glm", apiKey: upstreamKey, baseUrl, anthropicBaseUrl: null } as const;
      return startGateway({ glm: { upstreams: [target] } });
    };
    const closed = await at("http://127.0.0.1:1/api/paas/v4");
    const nameless = await at("http://name.invalid/api/paas/v4");
    try {
      for (const [broken, code] of [
        [closed, "upstream_refused"],
        [nameless, "upstream_dns"],
      ] as const) {
        const sent = await send(`${broken.url}/chat/completions`, { token: await broken.logIn(), body: chat() });
        assert.deepEqual([sent.status, errorOf(sent).code], [502, code]);
      }
    } finally {
      await closed.stop();
      await nameless.stop();
    }
  });
});

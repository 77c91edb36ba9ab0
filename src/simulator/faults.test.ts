// What each scripted fault does on the wire, byte for byte, as a client sees it that believes nothing.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { until } from "../../test/support/until.ts";
import { type FaultName, faultDetails, type ScriptedFault } from "./faults.ts";
import { chat } from "./fixtures/client.ts";
import { type Simulator, startSimulator } from "./simulator.ts";

interface Wire {
  readonly received: Buffer;
  /** fin and rst by the server · open: it said nothing more, and did not close. */
  readonly ending: "fin" | "rst" | "open";
  readonly durationMs: number;
}

interface Answer extends Wire {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** As they were written, one a write. */
  readonly chunks: readonly Buffer[];
  readonly body: string;
  /** The body has the end that its head announced. */
  readonly isWhole: boolean;
  /** What follows `data:`, an event each. */
  readonly events: readonly string[];
}

interface Wish {
  /** The request's body stays away. */
  readonly isHeadOnly?: boolean;
  /** The connection shall not be closed after the answer. */
  readonly keepsAlive?: boolean;
}

let simulator: Simulator;
before(async () => {
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 1 });
});
after(() => simulator.close());

/** How long a server is silent until we take it that nothing more comes. */
const quietMs = 150;

async function exchange(body: object, { isHeadOnly = false, keepsAlive = false }: Wish = {}): Promise<Wire> {
  const text = JSON.stringify(body);
  const startedAt = performance.now();
  const chunks: Buffer[] = [];
  let lastAt = startedAt;
  let ending: Wire["ending"] = "open";
  const socket = connect({ port: Number(new URL(simulator.origin).port), host: "127.0.0.1", allowHalfOpen: true });
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    lastAt = performance.now();
  });
  socket.on("error", () => {
    ending = "rst";
  });
  socket.on("end", () => {
    ending = "fin";
  });
  socket.write(
    "POST /api/paas/v4/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sim.secret\r\n" +
      `connection: ${keepsAlive ? "keep-alive" : "close"}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${isHeadOnly ? "" : text}`,
  );
  await until("it has ended", () => ending !== "open" || performance.now() - lastAt > quietMs, 10_000);
  const durationMs = performance.now() - startedAt;
  socket.destroy();
  return { received: Buffer.concat(chunks), ending, durationMs };
}

function parse(wire: Wire): Answer {
  let start = 0;
  // Informational responses have a head alone.
  while (wire.received.indexOf("HTTP/1.1 1", start) === start) start = wire.received.indexOf("\r\n\r\n", start) + 4;
  const headEnd = wire.received.indexOf("\r\n\r\n", start);
  const [statusLine = "", ...lines] = wire.received.subarray(start, headEnd).toString("latin1").split("\r\n");
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const rest = wire.received.subarray(headEnd + 4);
  const isChunked = headers.get("transfer-encoding") === "chunked";
  const { chunks, isWhole } = isChunked ? readChunks(rest) : { chunks: [rest], isWhole: true };
  const body = Buffer.concat(chunks).toString("utf8");
  const events = body.split(/\r?\n/).flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []));
  return { ...wire, status: Number(statusLine.split(" ")[1]), headers, chunks, body, isWhole, events };
}

function readChunks(bytes: Buffer): { chunks: Buffer[]; isWhole: boolean } {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (length === 0) return { chunks, isWhole: true };
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
  return { chunks, isWhole: false };
}

const tools = [{ type: "function", function: { name: "get_weather" } }];
/** Four frames of content, one with the end, and [DONE]. */
const streamed = chat("[frames=4] 你好", { stream: true, tools });
const whole = chat("[frames=4] 你好");

async function ask(fault: ScriptedFault | null, body: object = streamed, wish: Wish = {}): Promise<Answer> {
  if (fault) simulator.script(fault);
  return parse(await exchange(body, wish));
}

type Json = Readonly<Record<string, unknown>>;
const json = (text: string | undefined) => JSON.parse(text ?? "") as Json;
const errorCodeOf = (text: string | undefined) => (json(text).error as Json | undefined)?.code;
const finishReasonOf = (text: string | undefined) => (json(text).choices as Json[])[0]?.finish_reason;

function checkCutAfterTwo({ events, body, isWhole }: Answer): void {
  assert.equal(events.length, 2);
  assert.ok(body.endsWith("\n\n"), "the cut is between frames");
  assert.equal(isWhole, false);
}

/** One for each fault: a name that is missing here does not compile. */
const checks: { readonly [Name in FaultName]: () => Promise<void> } = {
  async error() {
    const { status, headers, body } = await ask({ fault: "error", code: "1305", status: 529, retryAfter: 2 });
    assert.deepEqual([status, headers.get("retry-after"), errorCodeOf(body)], [529, "2", "1305"]);
    assert.match((await ask({ fault: "error", message: "no!" })).body, /"message":"no!"/);
  },
  async refuse() {
    const { received, ending } = await ask({ fault: "refuse" });
    assert.deepEqual([received.length, ending], [0, "fin"]);
  },
  async resetBeforeHeaders() {
    const { received, ending } = await ask({ fault: "resetBeforeHeaders" });
    assert.deepEqual([received.length, ending], [0, "rst"]);
  },
  async stallBeforeHeaders() {
    const { received, ending } = await ask({ fault: "stallBeforeHeaders" });
    assert.deepEqual([received.length, ending], [0, "open"]);
  },
  async early400() {
    const { status, body } = await ask({ fault: "early400" }, streamed, { isHeadOnly: true });
    assert.deepEqual([status, errorCodeOf(body)], [400, "1210"]);
  },
  async html() {
    const { status, headers, body } = await ask({ fault: "html" });
    assert.deepEqual([status, headers.get("content-type")], [502, "text/html"]);
    assert.match(body, /^<html>/);
  },
  async redirect() {
    const { status, headers } = await ask({ fault: "redirect" });
    assert.deepEqual([status, headers.get("location")], [302, "http://127.0.0.1:9/elsewhere"]);
  },
  async status() {
    const { status, body } = await ask({ fault: "status", status: 206 });
    assert.deepEqual([status, body], [206, ""]);
    assert.equal((await ask({ fault: "status" })).status, 204);
  },
  async echoAuthorization() {
    const { status, headers, body } = await ask({ fault: "echoAuthorization" });
    assert.deepEqual([status, headers.get("x-request-id")], [400, "sim.secret"]);
    assert.match(body, /Bearer sim\.secret/);
  },

  async wrongContentType() {
    assert.equal((await ask({ fault: "wrongContentType" })).headers.get("content-type"), "text/plain");
  },
  async hugeHeader() {
    assert.equal((await ask({ fault: "hugeHeader" })).headers.get("x-huge")?.length, 65_536);
  },
  async manyHeaders() {
    const { headers } = await ask({ fault: "manyHeaders" });
    assert.equal([...headers.keys()].filter((name) => name.startsWith("x-many-")).length, 2_000);
  },
  async foreignHeaders() {
    const { headers } = await ask({ fault: "foreignHeaders" });
    for (const name of ["set-cookie", "location", "access-control-allow-origin", "server"]) {
      assert.ok(headers.has(name), name);
    }
  },
  async informational() {
    const { received, status, isWhole } = await ask({ fault: "informational" });
    assert.equal(received.toString("latin1").match(/HTTP\/1\.1 102 /g)?.length, 100);
    assert.deepEqual([status, isWhole], [200, true]);
  },
  async longContentLength() {
    const { headers, body, ending } = await ask({ fault: "longContentLength" }, whole);
    assert.equal(Number(headers.get("content-length")) - Buffer.byteLength(body), 100);
    assert.equal(ending, "fin");
  },
  async shortContentLength() {
    const { headers, body } = await ask({ fault: "shortContentLength" }, whole);
    assert.equal(Number(headers.get("content-length")) - Buffer.byteLength(body), -10);
  },

  async resetMidStream() {
    const answer = await ask({ fault: "resetMidStream" });
    checkCutAfterTwo(answer);
    assert.equal(answer.ending, "rst");
  },
  async cutMidStream() {
    const answer = await ask({ fault: "cutMidStream" });
    checkCutAfterTwo(answer);
    assert.equal(answer.ending, "fin");
  },
  async cutMidFrame() {
    const { events, body, isWhole, ending } = await ask({ fault: "cutMidFrame" });
    assert.equal(events.length, 3);
    assert.throws(() => json(events[2]));
    assert.ok(!body.endsWith("\n\n"));
    assert.deepEqual([isWhole, ending], [false, "fin"]);
  },
  async endEarly() {
    const { events, isWhole, ending } = await ask({ fault: "endEarly" });
    assert.deepEqual([events.length, isWhole, ending], [2, true, "fin"]);
  },
  async stallMidStream() {
    const answer = await ask({ fault: "stallMidStream" });
    checkCutAfterTwo(answer);
    assert.equal(answer.ending, "open");
  },

  async drip() {
    const body = chat("[frames=0]", { stream: true });
    const { chunks, durationMs, events } = await ask({ fault: "drip", ms: 1 }, body);
    assert.ok(chunks.every(({ length }) => length === 1));
    assert.ok(durationMs >= chunks.length - 1, `${chunks.length} bytes in ${durationMs} ms`);
    assert.deepEqual([events.length, events.at(-1)], [2, "[DONE]"]);
  },
  async slice() {
    const { chunks, events } = await ask({ fault: "slice" });
    assert.ok(chunks.every(({ length }) => length === 1));
    assert.equal(events.length, 6);
  },
  async burst() {
    const { chunks, events } = await ask({ fault: "burst" });
    assert.deepEqual([chunks.length, events.length], [1, 6]);
  },

  async crlf() {
    const { body, events } = await ask({ fault: "crlf" });
    assert.doesNotMatch(body, /[^\r]\n/);
    assert.equal(events.length, 6);
  },
  async comments() {
    const { body, events } = await ask({ fault: "comments" });
    assert.equal(body.match(/^: keep-alive\n\n/gm)?.length, 6);
    assert.equal(events.length, 6);
  },
  async malformedFrame() {
    const { events } = await ask({ fault: "malformedFrame" });
    assert.equal(events.length, 7);
    assert.throws(() => json(events[1]));
  },
  async emptyFrame() {
    const { events } = await ask({ fault: "emptyFrame" });
    assert.equal(events.length, 7);
    assert.deepEqual([json(events[1]).choices, json(events[1]).usage], [null, null]);
  },
  async errorFrame() {
    const { events, isWhole } = await ask({ fault: "errorFrame" });
    assert.deepEqual([events.length, errorCodeOf(events[2]), isWhole], [3, "1234", true]);
    assert.equal((await ask({ fault: "errorFrame", after: 0 })).events.length, 1);
  },
  async noDone() {
    const { events, isWhole } = await ask({ fault: "noDone" });
    assert.deepEqual([events.length, finishReasonOf(events[4]), isWhole], [5, "stop", true]);
  },
  async afterDone() {
    assert.deepEqual((await ask({ fault: "afterDone" })).events.slice(5), ["[DONE]", '{"late":true}']);
  },
  async doubleDone() {
    assert.deepEqual((await ask({ fault: "doubleDone" })).events.slice(5), ["[DONE]", "[DONE]"]);
  },
  async finish() {
    const { events } = await ask({ fault: "finish", reason: "sensitive" });
    assert.equal(finishReasonOf(events[4]), "sensitive");
    assert.equal(finishReasonOf((await ask({ fault: "finish" }, whole)).body), "network_error");
  },
  async emptyAnswer() {
    const { events } = await ask({ fault: "emptyAnswer" });
    assert.deepEqual([events.length, finishReasonOf(events[0]), events[1]], [2, "stop", "[DONE]"]);
    assert.equal((json(events[0]).usage as Json).total_tokens, 0);
    const [choice] = json((await ask({ fault: "emptyAnswer" }, whole)).body).choices as Json[];
    assert.deepEqual(choice?.message, { role: "assistant", content: "" });
  },
  async otherModel() {
    const { events } = await ask({ fault: "otherModel" });
    assert.ok(events.slice(0, 5).every((event) => json(event).model === "glm-5.3"));
  },
  async usage() {
    assert.equal(json((await ask({ fault: "usage", raw: "many" })).events[4]).usage, "many");
    assert.equal(json((await ask({ fault: "usage" }, whole)).body).usage, null);
  },
  async duplicateToolFrame() {
    const { events } = await ask({ fault: "duplicateToolFrame" }, chat("use get_weather", { stream: true, tools }));
    const withCall = events.filter((event) => event.includes('"tool_calls":'));
    assert.equal(withCall.length, 2);
    assert.equal(withCall[0], withCall[1]);
  },
  async hugeAnswer() {
    const bytes = 300_000;
    const { body, events, isWhole } = await ask({ fault: "hugeAnswer", bytes });
    assert.ok(body.length > bytes);
    assert.deepEqual([events.at(-1), isWhole], ["[DONE]", true]);
    const grown = await ask({ fault: "hugeAnswer", bytes }, whole);
    assert.ok(JSON.stringify(json(grown.body)).length > bytes);
  },
  async hugeLine() {
    const { body, events } = await ask({ fault: "hugeLine", bytes: 100_000 });
    assert.ok(Math.max(...body.split("\n").map(({ length }) => length)) > 100_000);
    assert.equal(events.length, 7);
  },
  async manyFrames() {
    assert.equal((await ask({ fault: "manyFrames", bytes: 1_000 })).events.length, 1_006);
  },

  async gzip() {
    const { headers, chunks } = await ask({ fault: "gzip" });
    assert.equal(headers.get("content-encoding"), "gzip");
    assert.match(gunzipSync(Buffer.concat(chunks)).toString(), /data: \[DONE\]\n\n$/);
  },
  async br() {
    const { headers, chunks } = await ask({ fault: "br" });
    assert.equal(headers.get("content-encoding"), "br");
    assert.match(brotliDecompressSync(Buffer.concat(chunks)).toString(), /data: \[DONE\]\n\n$/);
  },
  async gzipTwice() {
    const { headers, chunks } = await ask({ fault: "gzipTwice" });
    assert.equal(headers.get("content-encoding"), "gzip, gzip");
    assert.match(gunzipSync(gunzipSync(Buffer.concat(chunks))).toString(), /data: \[DONE\]\n\n$/);
  },
  async gzipBomb() {
    const { chunks } = await ask({ fault: "gzipBomb", bytes: 4 * 1024 * 1024 });
    const coded = Buffer.concat(chunks);
    assert.ok(coded.length < 10_000);
    assert.equal(gunzipSync(coded).length, 4 * 1024 * 1024);
  },

  async extraResponse() {
    const { received, ending } = await ask({ fault: "extraResponse" }, streamed, { keepsAlive: true });
    const text = received.toString("latin1");
    assert.match(text, /\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n.*\{"evil":true\}$/s);
    assert.equal(ending, "open");
  },
};

describe("on the wire", () => {
  it("an answer without a fault is whole: a frame a write, then the end", async () => {
    const { status, chunks, events, isWhole, ending } = await ask(null);
    assert.deepEqual([status, isWhole, ending], [200, true, "fin"]);
    assert.deepEqual([chunks.length, events.length, events.at(-1)], [6, 6, "[DONE]"]);
    assert.deepEqual(
      events.slice(0, 5).map((event) => finishReasonOf(event)),
      [undefined, undefined, undefined, undefined, "stop"],
    );
  });

  for (const name of Object.keys(faultDetails) as FaultName[]) {
    it(`the fault ${name} does what its name says, and to its call alone`, async () => {
      await checks[name]();
      assert.equal(simulator.report().pendingFaults, 0);
      const { status, events } = await ask(null);
      assert.deepEqual([status, events.length], [200, 6]);
    });
  }

  it("breaks that are planned do not count as aborts by the client", async () => {
    simulator.reset();
    for (const fault of ["refuse", "resetBeforeHeaders", "resetMidStream", "cutMidStream", "cutMidFrame"] as const) {
      await ask({ fault });
    }
    await until("all is over", () => simulator.report().inFlight === 0);
    assert.equal(simulator.report().abortCount, 0);
    assert.deepEqual(simulator.report().answers, { "0": 2, "200": 3 });
  });
});

import assert from "node:assert/strict";
import { request as openRequest } from "node:http";
import { connect } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";
import { until } from "../../test/support/gateway.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import type { StreamedAnswer, WholeAnswer } from "../base/answer.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import { Refusal } from "../base/refusal.ts";
import type { Call } from "../call.ts";
import { chatEndpoint } from "../surfaces/chat-endpoint.ts";
import { openAiSurface } from "../surfaces/openai-surface.ts";
import { createAddressBook } from "./client-address.ts";
import { createHttpServer, type HttpServer } from "./server.ts";

const heartbeats = { intervalMs: 1_000, graceMs: 2_000, style: "comment" } as const;
const streamed = { kind: "stream", status: 200, contentType: "text/event-stream", upstreamRequestId: "up-1" };
const whole: WholeAnswer = {
  kind: "whole",
  status: 200,
  contentType: "application/json",
  upstreamRequestId: null,
  parsed: {},
  format: "chat",
  translation: null,
  body: Buffer.from("{}"),
};

let clock: ManualClock;
let server: HttpServer;
let port: number;
let serveCall: (call: Call) => Promise<void>;

before(async () => {
  clock = createManualClock();
  server = createHttpServer({
    routes: new Map([["/call", { POST: { access: "call", endpoint: chatEndpoint } }]]),
    control: null,
    clock,
    bodyBudget: createByteBudget(1_000, () => 1_000),
    settings: () => ({
      bodyBytesMax: 5_000,
      uploadBytesMax: 5_000,
      writeStallMs: 60_000,
      connectionsPerAddress: 100,
      addresses: createAddressBook([]),
      heartbeats,
      sendsIetfFields: true,
    }),
    isDraining: () => false,
    serveCall: (call) => serveCall(call),
    identify: () => Promise.reject(new Refusal("invalid_token")),
    formatFor: () => openAiSurface.formatRefusal,
    findHint: () => undefined,
    onFailure: (error) => assert.fail(error as Error),
  });
  port = await server.listen("127.0.0.1", 0);
});

after(async () => {
  const closed = server.close();
  server.destroy();
  await closed;
});

/** While a connection is open: the look at all of them, which is armed again and again. */
const lookCount = 1;

beforeEach(() => until("no timer is left behind", () => clock.armedCount === 0));

interface Exchange {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

/** Opens a call, hands it to `play`, and resolves with what its client got. */
async function exchange(play: (call: Call) => Promise<void>, headers: Record<string, string> = {}): Promise<Exchange> {
  const served = Promise.withResolvers<void>();
  serveCall = async (call) => {
    await call.receive("ada");
    await play(call).then(served.resolve, served.reject);
  };
  const answered = Promise.withResolvers<Exchange>();
  const request = openRequest(
    { port, path: "/call", method: "POST", headers: { "content-type": "application/json", ...headers }, agent: false },
    (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => answered.resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    },
  );
  request.on("error", answered.reject).end("{}");
  await served.promise;
  return answered.promise;
}

const at = (position: number, etaMs: number) => () => ({ position, etaMs });
const openStream = (call: Call) => call.client.openStream(streamed as unknown as StreamedAnswer);

describe("what a call says of itself", () => {
  async function read(headers: Record<string, string>): Promise<[number, string | null]> {
    let seen: [number, string | null] = [-1, null];
    await exchange(async (call) => {
      seen = [call.retryCount, call.trafficClass];
      await call.client.sendWhole(whole);
    }, headers);
    return seen;
  }

  it("is how often it was tried before, up to ten times, and what it is for", async () => {
    assert.deepEqual(await read({}), [0, null]);
    assert.deepEqual(await read({ "x-stainless-retry-count": "2", "x-queue-class": "batch" }), [2, "batch"]);
    assert.deepEqual(await read({ "x-stainless-retry-count": "999", "x-queue-class": "interactive" }), [
      10,
      "interactive",
    ]);
    for (const silly of ["-1", "1.5", "many", "1e3", "12345"])
      assert.deepEqual(await read({ "x-stainless-retry-count": silly, "x-queue-class": "urgent" }), [0, null], silly);
  });
});

describe("the head of an answer", () => {
  it("tells of the queue and of what is left of the limits when it goes out", async () => {
    let remaining = 9;
    const { headers } = await exchange(async (call) => {
      call.noteAllowances(() => [{ name: "user", limit: 30, remaining, windowMs: 60_000, resetMs: 63_000 }]);
      call.noteQueue({ position: 3, etaMs: 1_200.4, waitedMs: 1_500.6 });
      remaining = 8;
      await call.client.sendWhole(whole);
    });
    assert.deepEqual(
      ["x-queue-position", "x-queue-eta-ms", "x-queue-wait-ms"].map((name) => headers[name]),
      ["3", "1200", "1501"],
    );
    assert.equal(headers["x-ratelimit-remaining-requests"], "8");
    assert.equal(headers["x-ratelimit-reset-requests"], "1m3s");
    assert.equal(headers["ratelimit-policy"], '"user";q=30;w=60');
    assert.equal(headers.ratelimit, '"user";r=8;t=63');
  });

  it("of a refusal tells where the call stood, and never has a limit reset after the time to retry", async () => {
    const { status, headers } = await exchange(async (call) => {
      call.noteAllowances(() => [{ name: "upstream", limit: 1, remaining: 0, windowMs: 10_000, resetMs: 9_000 }]);
      await call.refuse(new Refusal("queue_full", { position: 21, etaMs: 10_500, retryAfterMs: 6_500 }));
    });
    assert.equal(status, 429);
    assert.deepEqual([headers["x-queue-position"], headers["x-queue-eta-ms"]], ["21", "10500"]);
    assert.deepEqual([headers["retry-after"], headers.ratelimit], ["7", '"upstream";r=0']);
  });

  it("of a refusal out of the queue tells where the call stood when it came", async () => {
    const { headers } = await exchange(async (call) => {
      call.noteQueued(at(4, 2_000), false);
      await call.refuse(new Refusal("queue_timeout", { elapsedMs: 5_000, limit: 5_000 }));
    });
    assert.deepEqual([headers["x-queue-position"], headers["x-queue-wait-ms"]], ["4", "5000"]);
  });
});

describe("signs of life", () => {
  it("come as comments after the grace, until the answer's stream takes over without a second head", async () => {
    const { status, headers, text } = await exchange(async (call) => {
      call.noteQueued(at(3, 3_500), true);
      await clock.advance(3_000);
      call.noteQueue({ position: 2, etaMs: 4_000, waitedMs: 3_000 });
      await clock.advance(1_000);
      openStream(call);
      await clock.advance(10_000);
      call.client.write(Buffer.from("data: 1\n\n"));
      await call.client.endStream();
    });
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/event-stream; charset=utf-8");
    assert.deepEqual([headers["x-queue-position"], headers["x-queue-wait-ms"]], ["3", "2000"]);
    const waiting = ": waiting, position 3, about 4 s\n";
    assert.equal(text, `${waiting}${waiting}: waiting for the answer\ndata: 1\n\n`);
  });

  it("do not come to who asked for no stream", async () => {
    const { text } = await exchange(async (call) => {
      call.noteQueued(at(1, 0), false);
      assert.equal(clock.armedCount, lookCount);
      await call.client.sendWhole(whole);
    });
    assert.equal(text, "{}");
  });

  it("turn a refusal into one event without [DONE], which is a refusal still", async () => {
    let outcome = "";
    const { status, text } = await exchange(async (call) => {
      call.noteQueued(at(1, 0), true);
      await clock.advance(2_000);
      outcome = await call.refuse(new Refusal("queue_timeout", { elapsedMs: 5_000, limit: 5_000 }));
      assert.equal(clock.armedCount, lookCount);
    });
    assert.equal(status, 200);
    assert.match(text, /^: waiting, position 1, about 0 s\ndata: \{"error":\{.*"queue_timeout".*\}\}\n\n$/);
    assert.equal(outcome, "refused");
  });

  it("leave no place for an answer that is no stream", async () => {
    const { text } = await exchange(async (call) => {
      call.noteQueued(at(1, 0), true);
      await clock.advance(2_000);
      const failed = call.client.sendWhole(whole).catch((error: unknown) => error);
      const refusal = (await failed) as Refusal;
      assert.equal(refusal.reason, "upstream_unexpected");
      await call.refuse(refusal);
    });
    assert.match(text, /\ndata: \{"error":\{.*"upstream_unexpected".*\}\}\n\n$/);
  });

  it("end with a client that leaves, in the grace and after it", async () => {
    for (const waitedMs of [1_000, 5_000]) {
      const left = Promise.withResolvers<void>();
      const opened = Promise.withResolvers<Call>();
      serveCall = async (call) => {
        call.signal.addEventListener("abort", () => left.resolve());
        call.noteQueued(at(1, 0), true);
        opened.resolve(call);
      };
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write("POST /call HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
      const call = await opened.promise;
      await clock.advance(waitedMs);
      assert.equal(clock.armedCount, lookCount + 1);
      socket.destroy();
      await left.promise;
      assert.ok(clock.armedCount <= lookCount);
      assert.equal(await call.refuse(new Refusal("client_gone")), "cancelled");
    }
  });

  it("do not pile up before a reader who is behind", async () => {
    const opened = Promise.withResolvers<Call>();
    serveCall = async (call) => {
      call.noteQueued(at(1, 0), true);
      opened.resolve(call);
    };
    const socket = connect(port, "127.0.0.1").pause();
    socket.on("error", () => {});
    socket.write("POST /call HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    const call = await opened.promise;
    await clock.advance(2_000);
    // More than the system's buffers take.
    call.client.write(Buffer.alloc(32 * 1024 * 1024));
    const unsentBytes = call.client.unsentBytes;
    assert.ok(unsentBytes > 0);
    await clock.advance(100_000);
    assert.ok(call.client.unsentBytes <= unsentBytes);
    call.abort(new Refusal("client_gone"));
    await call.refuse(new Refusal("client_gone"));
  });
});

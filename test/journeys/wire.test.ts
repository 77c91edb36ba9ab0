// What an upstream sends, byte for byte and cut as the network likes it: what the client gets of it, and how often the
// upstream is asked. Each call of the upstream is answered by the next of the answers that a test gives.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chat, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import {
  onRequest,
  respond,
  type SocketUpstream,
  startSilentHost,
  startSocketUpstream,
} from "../support/socket-upstream.ts";

type Answer = (socket: Socket) => unknown;

const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
const delta = event({ choices: [{ index: 0, delta: { content: "hello" } }] });
const ending = `${event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}data: [DONE]\n\n`;
const failure = (code: string) => event({ error: { code, message: "m" } });
const streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const chunkedHead = streamHead.replace("connection: close", "transfer-encoding: chunked");
const whole = respond('{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}]}');

let upstream: SocketUpstream;
const answers: Answer[] = [];
let askedCount = 0;

before(async () => {
  upstream = await startSocketUpstream((socket) =>
    onRequest(socket, () => {
      askedCount++;
      (answers.shift() ?? ((other) => other.write(whole)))(socket);
    }),
  );
});
after(() => upstream.close());

/** The pieces, each in a segment of its own, then the end. Many of them come without a pause. */
const inSegments =
  (...pieces: string[]): Answer =>
  async (socket) => {
    socket.setNoDelay(true);
    for (const piece of pieces) {
      await new Promise((resolve) => socket.write(piece, resolve));
      await wait(pieces.length > 5 ? 0 : 15);
    }
    socket.end();
  };

function answerWith(...next: Answer[]): void {
  answers.splice(0, answers.length, ...next);
  askedCount = 0;
}

async function withGateway(
  overrides: Parameters<typeof startGateway>[0],
  use: (gateway: TestGateway, token: string) => Promise<void>,
): Promise<void> {
  const glm = { baseUrl: `${upstream.origin}/api/paas/v4`, ...overrides?.glm };
  const gateway = await startGateway({ ...overrides, glm });
  try {
    await use(gateway, await gateway.logIn());
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
  } finally {
    await gateway.stop();
  }
}

const codeOf = (json: unknown) => (json as { error?: { code?: string } } | undefined)?.error?.code;
const stream = chat("x", { stream: true });

describe("an error as a stream's first event", () => {
  let gateway: TestGateway;
  let token: string;
  // What one key has failed goes to the other, however often: tries with the same one are few.
  const names = ["one", "other"];
  before(async () => {
    const baseUrl = `${upstream.origin}/api/paas/v4`;
    const upstreams = names.map((name) => ({
      ...{ name, kind: "glm" as const, apiKey: "id.secret", baseUrl, anthropicBaseUrl: null },
    }));
    const keys = names.map((name) => ({
      ...{ name, startsPerSecond: 1_000, concurrencyMax: null, tokensPerMinute: null, models: null },
    }));
    const glm = { upstreams, firstEventMs: 30_000 };
    gateway = await startGateway({ glm, auth: { tokenTtlSeconds: 600 }, rateLimit: { keys } });
    token = await gateway.logIn();
  });
  after(() => gateway.stop());
  const ask = () => send(`${gateway.url}/chat/completions`, { token, body: stream });

  const signs = {
    nothing: "",
    "a comment": ": wait\n\n",
    "blank lines": "\n\n",
    "a ping": 'data: {"type":"ping"}\n\n',
  };
  for (const [name, sign] of Object.entries(signs)) {
    const cuts = (error: string): Record<string, string[]> => ({
      "in the head's segment": [streamHead + sign + error],
      "in a segment of its own": [streamHead, sign, error],
      "in two segments": [streamHead + sign, error.slice(0, 20), error.slice(20)],
      "byte by byte": [streamHead, ...sign, ...error.slice(0, 12), error.slice(12)],
    });
    for (const where of Object.keys(cuts(""))) {
      it(`after ${name}, ${where}: asked again unseen, or a status`, async () => {
        answerWith(inSegments(...(cuts(failure("1234"))[where] as string[])), inSegments(streamHead + delta + ending));
        const again = await ask();
        assert.deepEqual([again.status, again.text, askedCount], [200, delta + ending, 2]);
        answerWith(inSegments(...(cuts(failure("1261"))[where] as string[])));
        const refused = await ask();
        assert.deepEqual([refused.status, codeOf(refused.json), askedCount], [400, "1261", 1]);
      });
    }
  }

  it("by its name alone, by no event but JSON, or without its blank line: a status", async () => {
    for (const [bytes, code] of [
      ['event: error\ndata: {"code":"1261","message":"m"}\n\n', "1261"],
      ['{"error":{"code":"1261","message":"m"}}', "1261"],
      [failure("1261").trimEnd(), "1261"],
    ] as const) {
      answerWith(inSegments(streamHead, bytes));
      const { status, json } = await ask();
      assert.deepEqual([status, codeOf(json)], [400, code], bytes);
    }
  });

  it("that never comes, nor another event: a status, and the call is not repeated", async () => {
    for (const [answer, code] of [
      [inSegments(streamHead, ": wait\n\n"), "upstream_truncated"],
      [inSegments(streamHead, 'data: {"choices"'), "upstream_truncated"],
      [
        async (socket: Socket) => socket.write(chunkedHead, () => setImmediate(() => socket.resetAndDestroy())),
        "upstream_reset",
      ],
    ] as const) {
      answerWith(answer);
      const { status, json } = await ask();
      assert.deepEqual([status, codeOf(json), askedCount], [502, code, 1]);
    }
  });
});

describe("a stream's head", () => {
  it("goes on with the first event at once, whatever the time for it", () =>
    withGateway({ glm: { firstEventMs: 60_000 } }, async ({ url }, token) => {
      for (const pieces of [[streamHead + delta], [streamHead, delta]]) {
        let heard = 0;
        const { promise: hasHeard, resolve } = Promise.withResolvers<void>();
        // The rest comes when the client has the first event: were it held back, this would not end.
        answerWith(async (socket) => {
          for (const piece of pieces) {
            socket.write(piece);
            await wait(15);
          }
          await hasHeard;
          socket.end(ending);
        });
        const { text } = await send(`${url}/chat/completions`, {
          token,
          body: stream,
          onData: ({ length }) => {
            heard += length;
            if (heard >= delta.length) resolve();
          },
        });
        assert.equal(text, delta + ending);
      }
    }));

  it("goes on alone when its time is over; what comes then goes on as it is, and an error is an event", () =>
    withGateway({ glm: { firstEventMs: 30 } }, async ({ url }, token) => {
      for (const [rest, expected] of [
        [delta + ending, /^: wait\n\ndata: .*hello[\s\S]*\[DONE\]\n\n$/],
        [failure("1234"), /^: wait\n\ndata: \{"error":.*"upstream_failed"/],
      ] as const) {
        const { promise: isOut, resolve } = Promise.withResolvers<void>();
        answerWith(async (socket) => {
          socket.write(`${streamHead}: wait\n\n`);
          await isOut;
          socket.end(rest);
        });
        const { status, text } = await send(`${url}/chat/completions`, {
          token,
          body: stream,
          onHead: () => resolve(),
        });
        assert.equal(status, 200);
        assert.match(text, expected);
        assert.equal(askedCount, 1);
      }
    }));

  it("goes on alone when too much came that is no event", () =>
    withGateway({ glm: { firstEventMs: 60_000 } }, async ({ url }, token) => {
      const { promise: isOut, resolve } = Promise.withResolvers<void>();
      const comments = ": wait\n\n".repeat(10_000);
      answerWith(async (socket) => {
        socket.write(streamHead + comments);
        await isOut;
        socket.end(delta + ending);
      });
      const { text } = await send(`${url}/chat/completions`, { token, body: stream, onHead: () => resolve() });
      assert.equal(text, comments + delta + ending);
    }));

  it("is not held back with 0, but for an error that came along", () =>
    withGateway({ glm: { firstEventMs: 0 } }, async ({ url }, token) => {
      answerWith(inSegments(streamHead + failure("1261")));
      assert.equal((await send(`${url}/chat/completions`, { token, body: stream })).status, 400);
      answerWith(inSegments(streamHead, failure("1261")));
      assert.equal((await send(`${url}/chat/completions`, { token, body: stream })).status, 200);
    }));

  it("takes over from signs of life, and an error is still not seen", () =>
    withGateway(
      { server: { heartbeatMs: 20, heartbeatGraceMs: 20 }, rateLimit: { concurrencyMax: 1 } },
      async ({ app, url }, token) => {
        const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
        const { promise: hasBeaten, resolve: beat } = Promise.withResolvers<void>();
        answerWith(
          (socket) => void mayEnd.then(() => socket.write(whole)),
          inSegments(streamHead, failure("1234")),
          inSegments(streamHead + delta + ending),
        );
        const first = send(`${url}/chat/completions`, { token, body: chat() });
        await until("it runs", () => askedCount === 1);
        const second = send(`${url}/chat/completions`, { token, body: stream, onData: () => beat() });
        await until("it waits", () => app.snapshot().waiting === 1);
        await hasBeaten;
        end();
        assert.equal((await first).status, 200);
        const { text } = await second;
        assert.match(text, /^: waiting/);
        assert.ok(text.endsWith(delta + ending), text);
        assert.doesNotMatch(text, /error/);
        assert.equal(askedCount, 3);
      },
    ));
});

describe("an upstream that answers what is no HTTP", () => {
  for (const [name, bytes] of [
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["an unsolicited 100 Continue", `HTTP/1.1 100 Continue\r\n\r\n${whole}`],
    ["a broken chunk", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
  ] as const) {
    it(`${name}: is asked once, and the next call need not wait`, () =>
      withGateway({}, async ({ url }, token) => {
        for (let count = 0; count < 5; count++) {
          answerWith((socket) => socket.write(bytes));
          const { status, json } = await send(`${url}/chat/completions`, { token, body: chat() });
          assert.deepEqual([status, codeOf(json), askedCount], [502, "upstream_protocol", 1]);
        }
        const { status, headers } = await send(`${url}/chat/completions`, { token, body: chat() });
        assert.equal(status, 200);
        // A key that rests does so for a quarter of a second at least.
        assert.ok(Number(headers["x-queue-wait-ms"]) < 150, String(headers["x-queue-wait-ms"]));
      }));
  }
});

describe("an only key whose host does not answer", () => {
  it("is a 504 by the time for a connection", async () => {
    const silent = await startSilentHost();
    const baseUrl = `${silent.origin}/api/paas/v4`;
    try {
      await withGateway({ glm: { baseUrl, connectTimeoutMs: 1_000 } }, async ({ url, callLines }, token) => {
        const { status, json } = await send(`${url}/chat/completions`, { token, body: chat() });
        assert.deepEqual([status, codeOf(json)], [504, "upstream_connect_timeout"]);
        await until("it is recorded", () => callLines().length === 1);
        assert.equal(callLines()[0]?.upstream_ms, null, "it was never sent");
        assert.equal(callLines()[0]?.tries_before, undefined, "it was tried once");
      });
    } finally {
      await silent.close();
    }
  });
});

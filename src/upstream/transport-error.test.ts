// Each way in which an exchange can fail, over real sockets: what the call is told, what is said of the upstream, and
// whether the request may have run there.

import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createSecureContext, createServer as createTlsServer, setDefaultCACertificates } from "node:tls";
import { hasOpenssl, makeCertificate } from "../../test/support/certificates.ts";
import { createWorkspace } from "../../test/support/process.ts";
import {
  onRequest,
  respond,
  type SocketUpstream,
  startSilentHost,
  startSocketUpstream,
} from "../../test/support/socket-upstream.ts";
import type { Answer } from "../base/answer.ts";
import { createByteBudget } from "../base/byte-budget.ts";
import { systemClock } from "../base/clock.ts";
import { Refusal, type RefusalReason } from "../base/refusal.ts";
import type { Upload } from "../base/upstream-call.ts";
import type { Verdict } from "../base/verdict.ts";
import type { SendState } from "./request-bytes.ts";
import { judgeTransportError } from "./transport-error.ts";
import type { Upstream, UpstreamRequest } from "./upstream.ts";
import { createUpstreamPool } from "./upstream-pool.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Larger than what two sockets' buffers can hold. */
const hugeBody = Buffer.alloc(64 * 1024 * 1024, "x");
const smallBody = Buffer.from("{}");
const good = respond('{"choices":[]}');

interface Sending {
  readonly body?: Buffer;
  readonly upload?: Upload;
  readonly isStream?: boolean;
}

interface Outcome {
  readonly answer: Answer | null;
  readonly reason: RefusalReason | null;
  readonly verdicts: readonly Verdict[];
  readonly wasSent: boolean;
}

function openPool(origin: string, connectTimeoutMs = 5_000): Upstream {
  const target = {
    name: "default",
    kind: "glm",
    apiKey: "id.secret",
    baseUrl: origin,
    anthropicBaseUrl: null,
  } as const;
  const pool = createUpstreamPool({
    targets: [target],
    product: "test",
    proxy: null,
    clock: systemClock,
    collectBudget: createByteBudget(64 * 1024 * 1024),
    connectTimeoutMs,
    firstEventMs: () => 1_000,
  });
  cleanups.push(() => pool.close());
  return pool;
}

async function send(pool: Upstream, { body = smallBody, upload, isStream = false }: Sending = {}): Promise<Outcome> {
  const verdicts: Verdict[] = [];
  let wasSent = false;
  let endCount = 0;
  const nothing = () => {};
  const request: UpstreamRequest = {
    method: "POST",
    api: "paas",
    path: "/chat/completions",
    body,
    upload: upload ?? null,
    contentType: "application/json",
    headers: [],
    isStream,
    answers: "json",
    format: "chat",
    translate: null,
  };
  const flight = {
    ...{ userId: "ada", upstreamKey: "default", signal: new AbortController().signal },
    ...{ onHead: nothing, onBytes: nothing, onPause: nothing, onConcluded: nothing },
    onSent() {
      wasSent = true;
    },
    onVerdict: (verdict: Verdict) => void verdicts.push(verdict),
    onEnd: () => void endCount++,
  };
  try {
    const answer = await pool.send(request, flight);
    const reason = answer.kind === "stream" ? await consume(answer) : null;
    return { answer, reason, verdicts, wasSent };
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return { answer: null, reason: error.reason, verdicts, wasSent };
  } finally {
    assert.equal(endCount, 1, "the call's place is given back once");
  }
}

function consume(answer: Extract<Answer, { kind: "stream" }>): Promise<RefusalReason | null> {
  return new Promise((resolve) =>
    answer.consume({ onData() {}, onEnd: () => resolve(null), onError: ({ reason }) => resolve(reason) }),
  );
}

/** A connection is good for another request one turn of the loop after an answer. */
async function isFree(): Promise<void> {
  for (let count = 0; count < 3; count++) await setImmediate();
}

async function start(converse: (socket: Socket, index: number) => void): Promise<SocketUpstream> {
  const upstream = await startSocketUpstream(converse);
  cleanups.push(() => upstream.close());
  return upstream;
}

/** Of a call to an upstream that converses so. */
async function outcomeOf(converse: (socket: Socket, index: number) => void, sending: Sending = {}): Promise<Outcome> {
  return send(openPool((await start(converse)).origin), sending);
}

function assertUnreachable(outcome: Outcome, reason: RefusalReason, mayHaveRun: boolean): void {
  const kind = reason === "upstream_connect_timeout" ? "silent" : "unreachable";
  assert.deepEqual([outcome.reason, outcome.verdicts], [reason, [{ kind, code: null, waitMs: null, mayHaveRun }]]);
}

/** What does not make a key rest. */
function assertAnswered(outcome: Outcome, reason: RefusalReason, mayHaveRun = true): void {
  assert.deepEqual(
    [outcome.reason, outcome.verdicts],
    [reason, [{ kind: "failed", code: null, waitMs: null, mayHaveRun }]],
  );
}

describe("a connection that does not come about: nothing was sent", () => {
  it("refused", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const outcome = await send(openPool(`http://127.0.0.1:${port}`));
    assertUnreachable(outcome, "upstream_refused", false);
    assert.equal(outcome.wasSent, false);
  });

  it("a host without an address", async () => {
    const outcome = await send(openPool("http://name.invalid"));
    assertUnreachable(outcome, "upstream_dns", false);
    assert.equal(outcome.wasSent, false);
  });

  it("a host that does not answer", async () => {
    const silent = await startSilentHost();
    cleanups.push(() => silent.close());
    const outcome = await send(openPool(silent.origin, 300));
    assertUnreachable(outcome, "upstream_connect_timeout", false);
    assert.equal(outcome.wasSent, false);
  });

  it("a TLS handshake that is answered in plain text, broken off, or not answered", async () => {
    const plain = await start((socket) => void socket.once("data", () => socket.end(good)));
    const broken = await start((socket) => void socket.once("data", () => socket.destroy()));
    const reset = await start((socket) => void socket.once("data", () => socket.resetAndDestroy()));
    for (const [{ port }, reason] of [
      [plain, "upstream_tls"],
      [broken, "upstream_tls"],
      [reset, "upstream_reset"],
    ] as const) {
      const outcome = await send(openPool(`https://127.0.0.1:${port}`));
      assertUnreachable(outcome, reason, false);
      assert.equal(outcome.wasSent, false);
    }
    const silent = await start(() => {});
    const outcome = await send(openPool(`https://127.0.0.1:${silent.port}`, 300));
    assertUnreachable(outcome, "upstream_connect_timeout", false);
  });

  it("a certificate by nobody, of another name, of the past, or a protocol of the past", {
    skip: !hasOpenssl && "needs openssl",
  }, async () => {
    const workspace = createWorkspace();
    cleanups.push(() => workspace.remove());
    const serve = async (options: object): Promise<number> => {
      const upstream = await startSocketUpstream(
        () => {},
        (listener) =>
          createTlsServer(options, (socket) => onRequest(socket, () => socket.write(good))).on("connection", listener),
      );
      cleanups.push(() => upstream.close());
      return upstream.port;
    };
    const own = makeCertificate(workspace, "127.0.0.1");
    const other = makeCertificate(workspace, "elsewhere.test");
    const past = makeCertificate(workspace, "127.0.0.1", -1);
    const unknown = makeCertificate(workspace, "127.0.0.1");
    setDefaultCACertificates([own, other, past].map(({ cert }) => cert.toString()));
    const trusted = await send(openPool(`https://127.0.0.1:${await serve(own)}`));
    assert.equal(trusted.reason, null, "the certificates here can be trusted");
    const old = { ...own, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    for (const options of [unknown, other, past, old]) {
      const outcome = await send(openPool(`https://127.0.0.1:${await serve(options)}`));
      assertUnreachable(outcome, "upstream_tls", false);
      assert.equal(outcome.wasSent, false);
    }
  });
});

describe("a connection that breaks before an answer", () => {
  const ends: [string, (socket: Socket) => void][] = [
    ["reset", (socket) => socket.resetAndDestroy()],
    ["closed", (socket) => void socket.end()],
  ];
  for (const [name, end] of ends) {
    it(`${name} before the request was written whole: it can't have run`, async () => {
      const outcome = await outcomeOf((socket) => void socket.once("data", () => end(socket)), { body: hugeBody });
      assertUnreachable(outcome, "upstream_reset", false);
      assert.equal(outcome.wasSent, true);
    });

    it(`${name} before an upload has ended: it can't have run`, async () => {
      const stream = new Readable({ read() {} });
      stream.push("the beginning");
      const converse = (socket: Socket) => void socket.once("data", () => setImmediate().then(() => end(socket)));
      const outcome = await outcomeOf(converse, { upload: { stream, byteCount: 1_000 } });
      assertUnreachable(outcome, "upstream_reset", false);
    });

    it(`${name} after the request was there: it may have run`, async () => {
      assertUnreachable(await outcomeOf((socket) => onRequest(socket, () => end(socket))), "upstream_reset", true);
    });

    it(`${name} on a connection that has served before: it may have run`, async () => {
      const upstream = await start((socket) => {
        let count = 0;
        onRequest(socket, () => void (count++ === 0 ? socket.write(good) : end(socket)));
      });
      const pool = openPool(upstream.origin);
      assert.equal((await send(pool)).reason, null);
      await isFree();
      assertUnreachable(await send(pool), "upstream_reset", true);
      assert.equal(upstream.connectionCount(), 1);
    });

    it(`${name} within a head: it may have run`, async () => {
      const outcome = await outcomeOf((socket) =>
        onRequest(socket, () =>
          socket.write("HTTP/1.1 200 OK\r\ncontent-ty", () => setImmediate().then(() => end(socket))),
        ),
      );
      assertUnreachable(outcome, "upstream_reset", true);
    });
  }

  it("over TLS, where the last bytes wait in two places", { skip: !hasOpenssl && "needs openssl" }, async () => {
    const workspace = createWorkspace();
    cleanups.push(() => workspace.remove());
    const own = makeCertificate(workspace, "127.0.0.1");
    setDefaultCACertificates([own.cert.toString()]);
    const context = createSecureContext(own);
    for (const [body, mayHaveRun] of [
      [smallBody, true],
      [hugeBody, false],
    ] as const) {
      let reset = () => {};
      const upstream = await startSocketUpstream(
        (socket) => {
          reset = () => socket.resetAndDestroy();
        },
        (listener) =>
          createTlsServer({ SNICallback: (_name, done) => done(null, context), ...own }, (socket) => {
            socket.on("error", () => {});
            if (mayHaveRun) onRequest(socket, () => reset());
            else socket.once("data", () => reset());
          }).on("connection", listener),
      );
      cleanups.push(() => upstream.close());
      assertUnreachable(
        await send(openPool(`https://127.0.0.1:${upstream.port}`), { body }),
        "upstream_reset",
        mayHaveRun,
      );
    }
  });
});

describe("an answer that breaks: its upstream can be reached", () => {
  const ends: [string, (socket: Socket) => void][] = [
    ["reset", (socket) => socket.resetAndDestroy()],
    ["closed", (socket) => void socket.end()],
  ];
  const head = (type: string, length: string) => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${length}\r\n\r\n`;
  const event = 'data: {"choices":[{"delta":{"content":"x"}}]}\n\n';
  for (const [name, end] of ends) {
    for (const [where, bytes] of [
      ["its head", head("application/json", "content-length: 20")],
      ["a part of its body", `${head("application/json", "content-length: 20")}{"choices"`],
      ["a part of its chunks", `${head("application/json", "transfer-encoding: chunked")}a\r\n{"choices"`],
    ] as const) {
      it(`${name} after ${where}`, async () => {
        const outcome = await outcomeOf((socket) =>
          onRequest(socket, () => socket.write(bytes, () => setImmediate().then(() => end(socket)))),
        );
        assertAnswered(outcome, "upstream_reset");
      });
    }

    it(`${name} within a stream`, async () => {
      const bytes = `${head("text/event-stream", "transfer-encoding: chunked")}${event.length.toString(16)}\r\n${event}\r\n`;
      const outcome = await outcomeOf(
        (socket) => onRequest(socket, () => socket.write(bytes, () => setImmediate().then(() => end(socket)))),
        { isStream: true },
      );
      assert.equal(outcome.reason, "upstream_truncated");
      assert.deepEqual(
        outcome.verdicts.map(({ kind }) => kind),
        ["good"],
      );
    });
  }
});

describe("an answer that is no HTTP: its upstream can be reached, and is not asked again", () => {
  const ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  for (const [name, bytes] of [
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["no version", "HTTP 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a zero byte in a header", `${ok}x-a: b\0c\r\n\r\n`],
    ["a header without a name", `${ok}: b\r\n\r\n`],
    ["a folded header", `${ok}x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}`],
    ["two lengths", `${ok}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`],
    ["a length and chunks", `${ok}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a length that is no number", `${ok}content-length: x\r\n\r\n{}`],
    ["a chunk of no size", `${ok}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    ["too large a head", `${ok}x-a: ${"a".repeat(20_000)}\r\n\r\n`],
    ["too many headers", `${ok}${"x-a: b\r\n".repeat(6_000)}\r\n`],
    ["an unsolicited 100 Continue", `HTTP/1.1 100 Continue\r\n\r\n${good}`],
    ["more hints than can be of use", `${"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(1_001)}${good}`],
    ["an upgrade", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"],
  ] as const) {
    it(name, async () => {
      assertAnswered(await outcomeOf((socket) => onRequest(socket, () => socket.write(bytes))), "upstream_protocol");
    });
  }

  it("of a request that is still being written", async () => {
    const outcome = await outcomeOf((socket) => void socket.once("data", () => socket.write("SSH-2.0-x\r\n")), {
      body: hugeBody,
    });
    assertAnswered(outcome, "upstream_protocol", false);
  });
});

describe("what is in order though unusual", () => {
  it("hints before an answer", async () => {
    const hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    const outcome = await outcomeOf((socket) => onRequest(socket, () => socket.write(hints + good)));
    assert.equal(outcome.reason, null);
  });

  it("a body that its end delimits", async () => {
    const bytes = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"choices":[]}';
    const outcome = await outcomeOf((socket) => onRequest(socket, () => socket.end(bytes)));
    assert.equal(outcome.reason, null);
  });
});

describe("an answer that comes before the request is whole", () => {
  const error = respond(
    '{"error":{"code":"1210","message":"no"}}',
    "content-type: application/json",
    "400 Bad Request",
  );
  const uploaded = () => {
    const stream = new Readable({ read() {} });
    stream.push("the beginning");
    return { upload: { stream, byteCount: 1_000 } };
  };
  for (const [name, early, reason, sending] of [
    ["a refusal", error, "upstream_rejected", () => ({ body: hugeBody })],
    ["a good answer", good, null, () => ({ body: hugeBody })],
    ["a refusal of an upload", error, "upstream_rejected", uploaded],
  ] as const) {
    it(`${name}: it counts, and the connection carries no other request`, async () => {
      // Keeps the connection, and reads no more of it.
      const upstream = await start((socket, index) => {
        if (index > 0) onRequest(socket, () => socket.write(good));
        else socket.once("data", () => socket.pause().write(early));
      });
      const pool = openPool(upstream.origin);
      assert.equal((await send(pool, sending())).reason, reason);
      await isFree();
      assert.equal((await send(pool)).reason, null);
      assert.equal(upstream.connectionCount(), 2);
    });
  }

  it("a connection whose request was whole carries the next one", async () => {
    const upstream = await start((socket) => onRequest(socket, () => socket.write(good)));
    const pool = openPool(upstream.origin);
    const body = Buffer.alloc(3 * 1024 * 1024, "x");
    for (let count = 0; count < 3; count++) {
      assert.equal((await send(pool, { body })).reason, null);
      await isFree();
    }
    assert.equal(upstream.connectionCount(), 1);
  });
});

describe("judgeTransportError()", () => {
  const progress = { sent: "unsent", hasAnswered: false, connectTimeoutMs: 1 } as const;
  const make = (code: string) => Object.assign(new Error("x"), { code });
  const reasonOf = (code: string, sent: SendState) =>
    judgeTransportError(make(code), { ...progress, sent }).refusal.reason;

  it("takes what is about connecting for a broken connection once that stood", () => {
    for (const code of ["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]) {
      assert.notEqual(reasonOf(code, "unsent"), "upstream_reset");
      assert.equal(reasonOf(code, "fully"), "upstream_reset");
    }
  });

  it("does not hold against the upstream what this machine lacks", () => {
    for (const code of ["EMFILE", "ENFILE", "ENOBUFS"]) {
      const { refusal, verdict } = judgeTransportError(make(code), progress);
      assert.deepEqual([refusal.reason, verdict], ["memory_full", null]);
    }
  });

  it("keeps what undici knows of the answer out of the log", () => {
    const error = Object.assign(new Error("Invalid header"), { name: "HTTPParserError", data: "id.secret" });
    const { refusal } = judgeTransportError(error, progress);
    assert.equal(refusal.cause, "HTTPParserError: Invalid header");
  });
});

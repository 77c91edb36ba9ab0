// The upstream key, put into every place of an upstream's answer, in every form that a client could read: neither the
// key nor a half of it is in what the client gets, in the log at its most talkative, or in the database.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { createWorkspace, type Workspace } from "../support/process.ts";
import { exchangeRaw } from "../support/raw.ts";
import { onRequest, respond, type SocketUpstream, startSocketUpstream } from "../support/socket-upstream.ts";

const [id, secret] = ["keyid0123456789abcdef", "KeySecret77xyz"] as const;
const key = `${id}.${secret}`;
const base64 = (text: string) => Buffer.from(text).toString("base64");
const escaped = Array.from(key, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join("");

/** As base64 writes it behind so many other bytes, without what depends on its neighbours. */
const within = (part: string, at: number) =>
  base64("x".repeat(at) + part).slice([0, 2, 3][at], Math.floor(((at + part.length) * 4) / 3));
/** What must be nowhere. */
const forbidden = [id, secret, ...[id, secret].flatMap((part) => [0, 1, 2].map((at) => within(part, at)))];

function findKey(text: string): string | undefined {
  const plain = text.replace(/\\u00([2-7][0-9a-f])/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return forbidden.find((form) => text.includes(form) || plain.includes(form));
}

let workspace: Workspace;
let upstream: SocketUpstream;
let gateway: TestGateway;
let token: string;
/** What the upstream writes, each piece in a segment of its own. */
let pieces: readonly (string | Buffer)[] = [];

before(async () => {
  workspace = createWorkspace();
  upstream = await startSocketUpstream((socket: Socket) =>
    onRequest(socket, async () => {
      socket.setNoDelay(true);
      const answer = pieces;
      for (const piece of answer) {
        await new Promise((resolve) => socket.write(piece, resolve));
        if (answer.length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // Elsewhere the next request could meet the end of a connection that was to be used again.
      if (String(answer[0]).includes("connection: close")) socket.end();
    }),
  );
  const baseUrl = `${upstream.origin}/api/paas/v4`;
  const upstreams = [{ name: "default", kind: "glm" as const, apiKey: key, baseUrl, anthropicBaseUrl: null }];
  const store = { kind: "sqlite" as const, file: workspace.path("test.db") };
  gateway = await startGateway({
    glm: { upstreams },
    auth: { tokenTtlSeconds: 600 },
    store,
    dataFolder: workspace.folder,
  });
  token = await gateway.logIn();
});

after(async () => {
  await gateway.stop();
  await upstream.close();
  try {
    for (const line of gateway.logLines)
      assert.equal(findKey(line), undefined, `the log has it: ${line.slice(0, 500)}`);
    for (const name of readdirSync(workspace.folder)) {
      if (!name.includes("test.db")) continue;
      assert.equal(findKey(readFileSync(workspace.path(name)).toString("latin1")), undefined, `${name} has it`);
    }
  } finally {
    workspace.remove();
  }
});

async function ask(path: string, body: object, answer: readonly (string | Buffer)[]): Promise<Sent> {
  pieces = answer;
  gateway.app.apply(gateway.settings);
  const sent = await send(`${gateway.url}${path}`, { token, body });
  const { "x-request-id": requestId } = sent.headers;
  await until("the call is recorded", () => gateway.callLines().some(({ request_id }) => request_id === requestId));
  const received = JSON.stringify(sent.headers) + sent.bytes.toString("latin1");
  assert.equal(findKey(received), undefined, `the client has it: ${received.slice(0, 800)}`);
  return sent;
}

/** The ways to ask that have an answer of their own kind. */
const ways = {
  "a chat": ["/v1/chat/completions", chat()],
  "a streamed chat": ["/v1/chat/completions", chat("x", { stream: true })],
  "messages, translated": ["/v1/messages", { ...chat(), max_tokens: 9 }],
  "streamed messages, translated": ["/v1/messages", { ...chat("x", { stream: true }), max_tokens: 9 }],
  "a response, translated": ["/v1/responses", { model: "glm-4.5-flash", input: "x" }],
  "a streamed response, translated": ["/v1/responses", { model: "glm-4.5-flash", input: "x", stream: true }],
  sound: ["/v1/audio/speech", { model: "glm-tts", input: "x", voice: "tongtong" }],
  "a list of embeddings": ["/v1/embeddings", { model: "embedding-3", input: "x" }],
} as const;
const isStreamed = (way: string) => way.includes("stream");

const json = "content-type: application/json";
const completion = (content: string) =>
  `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"${content}"}}]}`;
const delta = (content: string) => `data: {"choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`;
const streamHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const last = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

describe("the key in an error", () => {
  const words = {
    plain: key,
    "its halves": `${id} ${secret}`,
    escaped,
    "in base64": base64(key),
    "in a header in base64": base64(`Bearer ${key}`),
    "where words are cut": `${"p".repeat(968)}${key}`,
    "where the cut falls into its second half": `${"p".repeat(1_000 - id.length - 5)}${key}`,
  };
  const members: Readonly<Record<string, (text: string) => string>> = {
    code: (text) => `{"error":{"code":"${text}","message":"x"}}`,
    "half a code": () => `{"error":{"code":"${secret}","message":"x"}}`,
    type: (text) => `{"type":"error","error":{"type":"${text}","message":"x"}}`,
    message: (text) => `{"error":{"code":"1210","message":"${text}"}}`,
    "message in brackets": (text) => `{"error":{"message":"[${text}][x]"}}`,
    "message of a busy moment": (text) => `{"error":{"code":"1120","message":"${text}"}}`,
    param: (text) => `{"error":{"code":"1210","message":"x","param":"${text}"}}`,
    "a name": (text) => `{"error":{"code":"1210","message":"x","${text}":1}}`,
    "words alone": (text) => `{"error":"${text}"}`,
    "code and msg": (text) => `{"code":"${text}","msg":"${text}","success":false}`,
    detail: (text) => `{"detail":[{"loc":["${text}"],"msg":"${text}"}]}`,
    "what vLLM says": (text) => `{"object":"error","message":"${text}","type":"${text}","code":400}`,
    "no JSON": (text) => `<html>${text}</html>`,
  };
  for (const [member, toBody] of Object.entries(members)) {
    for (const [name, text] of Object.entries(words)) {
      it(`${member}, ${name}`, async () => {
        const body = toBody(text);
        for (const status of ["400 Bad Request", "200 OK"]) {
          await ask(...ways["a chat"], [respond(body, json, status)]);
          await ask(...ways["a streamed chat"], [respond(body, json, status)]);
        }
        await ask(...ways["messages, translated"], [respond(body, json, "400 Bad Request")]);
        await ask(...ways.sound, [respond(body, json, "400 Bad Request")]);
        const event = `data: ${body}\n\n`;
        await ask(...ways["a streamed chat"], [streamHead + event]);
        await ask(...ways["a streamed chat"], [streamHead + delta("a") + event]);
        await ask(...ways["streamed messages, translated"], [`${streamHead}${delta("a")}event: error\n${event}`]);
      });
    }
  }
});

describe("the key in a head", () => {
  const headers = [
    "content-type: application/json; note=",
    "x-request-id: ",
    "x-log-id: ",
    "content-disposition: attachment; filename=",
  ];
  for (const header of [...headers, "retry-after: ", "content-encoding: ", "location: ", "x-own: ", "set-cookie: "]) {
    for (const [name, text] of Object.entries({ plain: key, half: secret, "in base64": base64(key) })) {
      it(`${header}${name}`, async () => {
        for (const status of ["200 OK", "400 Bad Request", "302 Found"]) {
          const others = header.startsWith("content-type") ? "" : `${json}\r\n`;
          await ask(...ways["a chat"], [respond(completion("hi"), `${others}${header}${text}`, status)]);
          const type = header.startsWith("content-type") ? header.replace("application/json", "audio/wav") : header;
          await ask(...ways.sound, [respond("sound", `content-type: audio/wav\r\n${type}${text}`, status)]);
        }
      });
    }
  }

  it("a status line, hints and trailers", async () => {
    const chunked = `HTTP/1.1 200 OK\r\n${json}\r\ntransfer-encoding: chunked\r\ntrailer: x-own\r\n\r\n`;
    const body = completion("hi");
    for (const bytes of [
      respond(body, json, `200 ${key}`),
      `HTTP/1.1 103 ${key}\r\nlink: <${key}>\r\n\r\n${respond(body)}`,
      `${chunked}${body.length.toString(16)};note=${key}\r\n${body}\r\n0\r\nx-own: ${key}\r\n\r\n`,
      `HTTP/1.1 200 OK\r\nx-broken: ${key}\0\r\n\r\n`,
      `${key}\r\n\r\n`,
    ]) {
      await ask(...ways["a chat"], [bytes]);
    }
  });
});

describe("the key in a good answer ends the call, and tells the operator", () => {
  const texts = {
    plain: key,
    "its first half": id,
    "its second half": secret,
    escaped,
    "in base64": base64(key),
    "in a header in base64": base64(`Bearer ${key}`),
  };

  async function assertTold(requestId: unknown): Promise<void> {
    const told = gateway.logLines.filter((line) => line.includes(String(requestId)) && line.includes('"level":50'));
    assert.equal(told.length, 1, `the log has one error: ${told.join()}`);
    assert.match(told[0] as string, /upstream_exposed_key/);
  }

  async function assertEnded(sent: Sent): Promise<void> {
    assert.match(sent.text, /the gateway's own key|upstream_exposed_key/);
    await assertTold(sent.headers["x-request-id"]);
    if (!sent.headers["content-type"]?.includes("event-stream")) assert.equal(sent.status, 502, sent.text);
  }

  for (const [name, text] of Object.entries(texts)) {
    for (const [way, [path, body]] of Object.entries(ways)) {
      if (way === "sound") continue;
      it(`${way}, ${name}`, async () => {
        const bytes = isStreamed(way)
          ? streamHead + delta("a") + delta(text) + last
          : respond(way.includes("embeddings") ? `{"object":"list","data":[{"object":"${text}"}]}` : completion(text));
        // As one, and cut where it hurts.
        const at = bytes.indexOf(text) + (text.length >> 1);
        for (const answer of [[bytes], [bytes.slice(0, at), bytes.slice(at)]]) {
          await assertEnded(await ask(path, body, answer));
        }
      });
    }
  }

  for (const [name, text] of Object.entries(texts)) {
    it(`sound, ${name}: the connection is cut`, async () => {
      const bytes = respond(`RIFF\0\xff${text}\0\n`, "content-type: audio/wav");
      const at = bytes.indexOf(text) + (text.length >> 1);
      for (const answer of [[bytes], [bytes.slice(0, at), bytes.slice(at)]]) {
        pieces = answer;
        const [path, body] = ways.sound;
        const content = JSON.stringify(body);
        const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n${json}\r\n`;
        const received = await exchangeRaw(
          gateway.port,
          `${head}content-length: ${content.length}\r\nconnection: close\r\n\r\n${content}`,
          2_000,
        );
        assert.equal(findKey(received), undefined, `the client has it: ${received}`);
        const requestId = /x-request-id: (\S+)/i.exec(received)?.[1];
        await until("it is recorded", () => gateway.callLines().some(({ request_id }) => request_id === requestId));
        await assertTold(requestId);
      }
    });
  }

  const streams = ["a streamed chat", "streamed messages, translated"] as const;
  for (const [name, event] of Object.entries({
    "a comment": `: ${key}\n\n`,
    "an id": `id: ${key}\n${delta("b")}`,
    "an event's name": `event: ${key}\n${delta("b")}`,
    "a field of no meaning": `${key}: x\n${delta("b")}`,
    "the usage": `data: {"choices":[],"usage":{"note":"${key}"}}\n\n`,
    "a reason to end": `data: {"choices":[{"index":0,"delta":{},"finish_reason":"${key}"}]}\n\n`,
    "an event that does not end": `data: {"choices":[{"index":0,"delta":{"content":"${key}`,
  })) {
    it(`a stream, ${name}, first and in its middle`, async () => {
      for (const events of [event, delta("a") + event]) {
        for (const way of streams) {
          await assertEnded(await ask(ways[way][0], ways[way][1], [streamHead + events, last]));
        }
      }
    });
  }

  it("a compressed answer", async () => {
    const whole = gzipSync(completion(key));
    const head = `${json}\r\ncontent-encoding: gzip\r\ncontent-length: ${whole.length}\r\n\r\n`;
    await assertEnded(await ask(...ways["a chat"], [`HTTP/1.1 200 OK\r\n${head}`, whole]));
    const stream = gzipSync(delta("a") + delta(key) + last);
    const streamed = streamHead.replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    await assertEnded(await ask(...ways["a streamed chat"], [streamed, stream]));
  });

  it("is counted as an alert", async () => {
    const metrics = await gateway.app.metrics.render();
    assert.match(metrics, /glm_proxy_alerts_total\{what="upstream_exposed_key"\} [1-9]/);
    assert.equal(findKey(metrics), undefined);
  });

  it("but not of one that only looks like it", async () => {
    for (const text of [key.slice(2, 18), secret.slice(1), key.toUpperCase()]) {
      assert.equal((await ask(...ways["a chat"], [respond(completion(text))])).status, 200);
    }
  });
});

// What clients say reaches the upstream, and what the upstream says reaches clients, to the byte: compared by hash, over
// a corpus of what tends to get lost in between.

import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { Agent, request as openRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { startWireUpstream, type WireUpstream } from "../support/wire-upstream.ts";

const json = "application/json";
const events = "text/event-stream;charset=UTF-8";
const largeArguments = JSON.stringify({ text: `${'长文本 \\u0000 "quoted" '.repeat(40_000)}` });

/** Requests that say the same to a JSON parser may still differ; none of that is ours to change. */
const chats: readonly (readonly [name: string, body: string])[] = [
  ["unknown fields, nested", '{"model":"m","messages":[{"role":"user","content":"x"}],"x":{"y":[{"z":null}]},"_":0}'],
  ["numbers beyond a double", '{"model":"m","messages":[1],"seed":123456789012345678901234567890,"t":1e400,"e":-0.0}'],
  ["odd spacing and line ends", '\r\n{ "model"\t:\r\n"m" ,"messages" : [ 1 ] }\r\n\r\n'],
  [
    "escapes that could be written otherwise",
    '{"model":"m","messages":["\\u4f60\\/\\ud83d\\ude00 \\u007f"],"k\\u0065y":1}',
  ],
  ["a key that comes twice", '{"model":"m","messages":[1],"temperature":0,"temperature":1}'],
  ["many languages", '{"model":"m","messages":["你好 – здравствуй – 🏳️‍🌈 – \u2028 – עברית"]}'],
  ["a megabyte of a tool's arguments", `{"model":"m","messages":[{"arguments":${JSON.stringify(largeArguments)}}]}`],
];

const piece = (delta: string, end = "\n\n") => `data: {"choices":[{"index":0,"delta":${delta}}]}${end}`;
const last = (end = "\n\n") =>
  `data: {"choices":[{"index":0,"finish_reason":"stop","delta":{}}]}${end}data: [DONE]${end}`;
const streams: readonly (readonly [name: string, text: string])[] = [
  ["unknown fields and big integers", `${piece('{"content":"a","n":12345678901234567890}')}${last()}`],
  ["line ends of CR and LF", `${piece('{"content":"a"}', "\r\n\r\n")}${last("\r\n\r\n")}`],
  ["line ends of CR", `${piece('{"content":"a"}', "\r\r")}${last("\r\r")}`],
  ["comments, names, ids and retries", `: hi\nevent: x\nid: 7\nretry: 10\n${piece('{"content":"a"}')}:\n\n${last()}`],
  ["data over several lines", `data: {"choices":\ndata: [{"index":0,"delta":{"content":"你"}}]}\n\n${last()}`],
  ["no space after the colon, and odd spacing within", `data:{ "choices" :[ ] }\n\n${last()}`],
  [
    "a megabyte of a tool's arguments",
    `${piece(`{"tool_calls":[{"arguments":${JSON.stringify(largeArguments)}}]}`)}${last()}`,
  ],
  ["many languages", `${piece('{"content":"你好 – здравствуй – 🏳️‍🌈 – עברית"}')}${last()}`],
];
const wholes: readonly (readonly [name: string, text: string])[] = [
  ["odd spacing and unknown fields", ' {"choices" : [ { "message":{} , "x":[1e400,-0] } ]\r\n}\n'],
  ["numbers beyond a double", '{"choices":[],"created":123456789012345678901234567890}'],
  ["a megabyte of a tool's arguments", `{"choices":[{"message":{"tool_calls":[${JSON.stringify(largeArguments)}]}}]}`],
];

/** Cut every so many bytes, also within characters and line ends. */
function cut(text: string, size: number): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

describe("bytes on their way", () => {
  let upstream: WireUpstream;
  let gateway: TestGateway;
  let token: string;

  before(async () => {
    upstream = await startWireUpstream();
    const { origin } = upstream;
    const target = { name: "default", kind: "glm", apiKey: "k.s", baseUrl: `${origin}/api/paas/v4` } as const;
    gateway = await startGateway({
      server: { bodyBytesMax: 8 * 1024 * 1024 },
      glm: { upstreams: [{ ...target, anthropicBaseUrl: `${origin}/api/anthropic` }] },
    });
    token = await gateway.logIn();
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** Resolves with the hash of the answer's body. */
  function ask(path: string, body: Buffer, contentType = json): Promise<{ status: number; sha: string }> {
    const headers = { "content-type": contentType, authorization: `Bearer ${token}`, "content-length": body.length };
    return new Promise((resolve, reject) => {
      const request = openRequest(gateway.url + path, { method: "POST", headers, agent: new Agent() }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, sha: hash("sha256", Buffer.concat(chunks)) });
        });
      });
      request.on("error", reject).end(body);
    });
  }

  async function checkRequest(path: string, body: Buffer, contentType = json): Promise<void> {
    const { status } = await ask(path, body, contentType);
    assert.equal(status, 200);
    assert.equal(upstream.asked.at(-1), hash("sha256", body));
  }

  for (const [name, text] of chats) {
    it(`keep a request: ${name}`, async () => {
      upstream.say(json, [Buffer.from('{"choices":[]}')]);
      await checkRequest("/v1/chat/completions", Buffer.from(text));
      await checkRequest("/v1/messages?beta=true", Buffer.from(text));
      await checkRequest("/api/paas/v4/embeddings", Buffer.from(text));
    });
  }

  it("keep a form with a file, small or large", async () => {
    upstream.say(json, [Buffer.from('{"id":"f-1"}')]);
    for (const size of [10, 3 * 1024 * 1024]) {
      const head = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n';
      const file = Buffer.alloc(size, "\u0000\r\n--b-not\xff", "latin1");
      const form = Buffer.concat([Buffer.from(head), file, Buffer.from("\r\n--b--\r\n")]);
      await checkRequest("/api/paas/v4/files", form, "multipart/form-data; boundary=b");
    }
  });

  for (const [name, text] of streams) {
    it(`keep a stream: ${name}`, async () => {
      const body = Buffer.from('{"model":"m","messages":[1],"stream":true}');
      for (const size of [1, 7, 1_000, 1_000_000]) {
        // A write for each byte of a megabyte would take minutes.
        if (text.length / size > 20_000) continue;
        upstream.say(events, cut(text, size));
        const { status, sha } = await ask("/v1/chat/completions", body);
        assert.equal(status, 200);
        // A last line that ends in CR is over before it is known whether LF follows; who waits for it waits in vain.
        const same = [text, text.replace(/\r\n$/, "\r")].map((one) => hash("sha256", one));
        assert.ok(sha === same[0] || (size === 1 && sha === same[1]), `cut each ${size} bytes`);
      }
    });
  }

  for (const [name, text] of wholes) {
    it(`keep a whole answer: ${name}`, async () => {
      upstream.say(json, cut(text, 50_000));
      const { status, sha } = await ask("/v1/chat/completions", Buffer.from('{"model":"m","messages":[1]}'));
      assert.deepEqual([status, sha], [200, hash("sha256", text)]);
    });
  }

  it("keep sound and files", async () => {
    const sound = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 256));
    upstream.say("audio/wav", [sound.subarray(0, 1), sound.subarray(1, 5_000), sound.subarray(5_000)]);
    const { sha } = await ask("/v1/audio/speech", Buffer.from('{"model":"glm-tts","input":"x"}'));
    assert.equal(sha, hash("sha256", sound));
  });

  it("keep Anthropic's events", async () => {
    const text =
      'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}\n\n' +
      'event: ping\ndata: {"type":"ping"}\n\nevent: content_block_delta\ndata: {"delta":{"text":"你\\u2028"}}\n\n' +
      'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}\n\n' +
      'event: message_stop\ndata: {"type":"message_stop"}\n\n';
    for (const size of [1, 40]) {
      upstream.say(events, cut(text, size));
      const { sha } = await ask("/v1/messages", Buffer.from('{"model":"m","messages":[1],"stream":true}'));
      assert.equal(sha, hash("sha256", text));
    }
  });
});

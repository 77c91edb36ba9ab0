// Forms that two parsers may read in two ways are refused before anything is sent, and in the middle of their way when
// what is doubtful comes late: the upstream never has such a form whole. The grammar is in src/surfaces/form-reader.test.ts.

import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { Agent, request as openRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import { startWireUpstream, type WireUpstream } from "../support/wire-upstream.ts";
import { base } from "./scene.ts";

const type = "multipart/form-data; boundary=BND";
const field = (name: string, value: string) =>
  `--BND\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (bytes: string) =>
  `--BND\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n${bytes}\r\n`;
const small = field("model", "whisper-small");
const large = field("model", "whisper-large");
const end = "--BND--\r\n";

const ambiguous: Record<string, string> = {
  "two models": small + large + file("x") + end,
  "a preamble": `zz${large}${small}${file("x")}${end}`,
  "another name beside": small + large.replace('name="model"', `name="x"; name*=utf-8''model`) + file("x") + end,
  "another case": small + large.replace("model", "Model") + file("x") + end,
  "an epilogue": small + file("x") + end + large + end,
  "lines that end in LF": small + file("x") + large.replaceAll("\r\n", "\n") + end,
  "no end": small + file("x"),
};

describe("forms", () => {
  let upstream: WireUpstream;
  let gateway: TestGateway;
  let key: string;
  let token: string;

  before(async () => {
    upstream = await startWireUpstream();
    const baseUrl = `${upstream.origin}/v1`;
    gateway = await startGateway({
      glm: { upstreams: [{ name: "default", kind: "openai", apiKey: "k", baseUrl, anthropicBaseUrl: null }] },
    });
    token = await gateway.logIn();
    const made = await send(`${gateway.url}/me/keys`, { token, body: { name: "k", models: ["whisper-small"] } });
    key = (made.json as { secret: string }).secret;
    upstream.say("application/json", [Buffer.from('{"text":"x"}')]);
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** `isChunked`: its length is not said. */
  function post(
    form: Buffer,
    isChunked = false,
    as = key,
    path = "/v1/audio/transcriptions",
  ): Promise<{ status: number; text: string }> {
    const length = isChunked ? {} : { "content-length": String(form.length) };
    const headers = { authorization: `Bearer ${as}`, "content-type": type, ...length };
    return new Promise((resolve, reject) => {
      const request = openRequest(gateway.url + path, { method: "POST", headers, agent: new Agent() }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("error", reject).on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.on("error", reject);
      for (let at = 0; at < form.length; at += 64 * 1024) request.write(form.subarray(at, at + 64 * 1024));
      request.end();
    });
  }

  for (const [what, form] of Object.entries(ambiguous)) {
    it(`with ${what} are refused, and nothing is sent`, async () => {
      const before = upstream.asked.length;
      for (const as of [key, token]) {
        const sent = await post(Buffer.from(form), false, as);
        assert.equal(sent.status, 400, sent.text);
      }
      assert.equal(upstream.asked.length, before);
    });
  }

  const filler = randomBytes(1024 * 1024)
    .toString("latin1")
    .replaceAll("-", "+");
  const late: Record<string, string> = {
    "a second model": small + file(filler) + large + end,
    "a model": file(filler) + small + end,
    "another case": small + file(filler) + large.replace("model", "MODEL") + end,
    "an id": small + file(filler) + field("knowledge_id", "kb-1") + end,
    "a stream": small + file(filler) + field("stream", "true") + end,
    "an epilogue": small + file(filler) + end + large + end,
    "no end": small + file(filler),
    "a cut end": `${small}${file(filler)}--BND-`,
    "a delimiter in the file": small + file(`${filler}\n--BND\r\n${large.slice(7)}`) + end,
    "a wrong length":
      small +
      file(filler) +
      `--BND\r\nContent-Disposition: form-data; name="x"\r\nContent-Length: 2\r\n\r\nxyz\r\n${end}`,
  };
  for (const [what, form] of Object.entries(late)) {
    it(`with ${what} behind a megabyte never come whole to the upstream`, async () => {
      for (const isChunked of [false, true]) {
        const before = upstream.asked.length;
        const sent = await post(Buffer.from(form, "latin1"), isChunked);
        assert.equal(sent.status, 400, sent.text);
        assert.match(sent.text, /read in more than one way|Cannot accept/);
        await until("all is given back", () => gateway.app.snapshot().running === 0);
        assert.equal(upstream.asked.length, before);
      }
    });
  }

  it("that are plain pass to the byte, small and large, with and without a length", async () => {
    for (const bytes of ["x", filler]) {
      const form = Buffer.from(small + field("prompt", "model") + file(bytes) + end, "latin1");
      for (const isChunked of [false, true]) {
        const sent = await post(form, isChunked);
        assert.equal(sent.status, 200, sent.text);
        assert.equal(upstream.asked.at(-1), hash("sha256", form));
      }
      const refused = await post(Buffer.from(large + file(bytes) + end, "latin1"));
      assert.equal(refused.status, 403, refused.text);
    }
  });

  it("are taken where the table says so, and JSON alone elsewhere", async () => {
    for (const path of ["/v1/chat/completions", "/v1/embeddings", "/v1/images/generations", `${base}/batches`]) {
      const sent = await post(Buffer.from(small + end), false, token, path);
      assert.equal(sent.status, 415, path);
    }
  });
});

describe("JSON that two parsers may read in two ways", () => {
  it("is refused at every dialect, and nothing is sent", async () => {
    const upstream = await startWireUpstream();
    const target = { name: "default", kind: "openai", apiKey: "k", baseUrl: `${upstream.origin}/v1` } as const;
    const gateway = await startGateway({ glm: { upstreams: [{ ...target, anthropicBaseUrl: null }] } });
    try {
      const token = await gateway.logIn();
      const rest = '"messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":9';
      for (const path of [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/responses",
        "/v1/embeddings",
        `${base}/tokenizer`,
      ]) {
        for (const members of [
          '"model":"glm-4.5-flash","Model":"glm-4.6"',
          '"model":"glm-4.5-flash","model":"glm-4.6"',
          '"MODEL":"glm-4.6","model":"glm-4.5-flash"',
          '"model":"glm-4.5-flash","\\u006dodel":"glm-4.6"',
          '"model":"glm-4.5-flash","stream":false,"Stream":true',
          '"model":"glm-4.5-flash","tools":[],"Tools":[]',
        ]) {
          const sent = await send(gateway.url + path, { token, body: `{${members},${rest}}` });
          assert.equal(sent.status, 400, `${path} ${members}: ${sent.text}`);
        }
      }
      assert.deepEqual(upstream.asked, []);
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});

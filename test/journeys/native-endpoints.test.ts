// GLM's other endpoints from end to end: forms and sound streamed both ways, tasks that are handed in and fetched, files
// that belong to who made them, and lanes in which polls take nothing from chats.

import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { Agent, request as openRequest } from "node:http";
import { after, afterEach, before, describe, it } from "node:test";
import { chat, type Sent, send, startGateway, type TestGateway, until } from "../support/gateway.ts";

const base = "/api/paas/v4";

function toForm(fields: Record<string, string>, file: Buffer, filename = "a.bin"): { body: Buffer; type: string } {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = `${parts.join("")}--b\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n\r\n`;
  return {
    body: Buffer.concat([Buffer.from(head), file, Buffer.from("\r\n--b--\r\n")]),
    type: "multipart/form-data; boundary=b",
  };
}

describe("GLM's own endpoints", () => {
  let gateway: TestGateway;
  let token: string;
  let other: string;

  before(async () => {
    gateway = await startGateway({}, { taskMs: 30 });
    token = await gateway.logIn();
    other = await gateway.logIn("user2", "pass456");
  });
  afterEach(async () => {
    await until("every ticket is back", () => gateway.app.snapshot().running === 0);
    gateway.simulator.reset();
  });
  after(() => gateway.stop());

  const ask = (path: string, body?: object, as = token): Promise<Sent> =>
    send(gateway.url + path, { token: as, ...(body && { body }) });
  const idOf = ({ json }: Sent) => (json as { id: string }).id;

  async function upload(fields: Record<string, string>, file: Buffer, path = `${base}/files`): Promise<Sent> {
    const { body, type } = toForm(fields, file);
    return send(gateway.url + path, { token, body, method: "POST", headers: { "content-type": type } });
  }

  it("answer what GLM answers, each in its way", async () => {
    const posts: [string, object][] = [
      ["/embeddings", { model: "embedding-3", input: "x" }],
      ["/rerank", { model: "rerank", query: "x", documents: ["a", "b"] }],
      ["/tokenizer", { model: "glm-4.6", messages: [{ role: "user", content: "x" }] }],
      ["/moderations", { model: "moderation", input: "x" }],
      ["/images/generations", { model: "cogview-3-flash", prompt: "x" }],
      ["/web_search", { search_engine: "search_std", search_query: "x" }],
      ["/reader", { url: "https://example.org" }],
      ["/layout_parsing", { model: "glm-ocr", file: "https://example.org/x.png" }],
      ["/videos/generations", { model: "cogvideox-flash", prompt: "x" }],
    ];
    for (const [path, body] of posts) {
      for (const prefix of [base, "/api/coding/paas/v4"]) {
        const { status, text } = await ask(prefix + path, body);
        assert.equal(status, 200, `${prefix}${path}: ${text}`);
      }
    }
    assert.equal(
      (await ask("/api/v1/agents", { agent_id: "a", messages: [{ role: "user", content: "x" }] })).status,
      200,
    );
  });

  it("are unknown by any other name, with a hint what to ask for", async () => {
    for (const [path, hint] of [
      ["/v1/completions", /chat\/completions/],
      ["/v1/threads", /chat\/completions/],
      [`${base}/realtime`, /realtime/],
      [`${base}/nothing`, /\/docs/],
    ] as const) {
      const { status, text } = await ask(path, {});
      assert.equal(status, 404, path);
      assert.match(text, hint);
    }
    assert.equal((await ask(`${base}/embeddings`)).status, 405);
  });

  it("give sound as it comes, piece by piece, with its type", async () => {
    let pieces = 0;
    const body = { model: "glm-tts", input: "hello [frames=20] [delay=5]" };
    const sent = await send(`${gateway.url}/v1/audio/speech`, { token, body, onData: () => void pieces++ });
    assert.equal(sent.status, 200);
    assert.match(String(sent.headers["content-type"]), /^audio\//);
    assert.ok(pieces > 5, `${pieces} pieces`);
  });

  it("end the connection rather than the sound when it breaks off, so that nobody takes it for whole", async () => {
    gateway.simulator.script({ fault: "cutMidStream", after: 3, when: { path: "/audio/speech" } });
    const body = { model: "glm-tts", input: "hello [frames=20] [delay=2]" };
    await assert.rejects(send(`${gateway.url}/v1/audio/speech`, { token, body }), /aborted|hang up|ECONNRESET/);
  });

  it("take a form of many megabytes without keeping it, to the byte", async () => {
    const file = randomBytes(6 * 1024 * 1024);
    const { status, json, text } = await upload({ purpose: "batch" }, file);
    assert.equal(status, 200, text);
    const { body } = toForm({ purpose: "batch" }, file);
    assert.equal(gateway.simulator.report().arrivals.at(-1)?.bodySha256, hash("sha256", body));
    const content = await ask(`${base}/files/${(json as { id: string }).id}/content`);
    assert.ok(content.bytes.equals(file));
    const usage = await send(`${gateway.url}/me/usage?by=model`, { token });
    const rows = (usage.json as { data: { name: string; prompt_tokens: number; completion_tokens: number }[] }).data;
    const used = rows.find(({ name }) => name === "files");
    assert.deepEqual([used?.prompt_tokens, used?.completion_tokens], [0, 0], "a file's bytes are no tokens");
  });

  it("refuse a form beyond the bound, and give back everything when a client leaves in its middle", async () => {
    const large = await upload({ purpose: "batch" }, Buffer.alloc(9 * 1024 * 1024));
    assert.equal(large.status, 413);
    const headers = { authorization: `Bearer ${token}`, "content-type": "multipart/form-data; boundary=b" };
    const request = openRequest(`${gateway.url}${base}/files`, { method: "POST", headers, agent: new Agent() });
    request.on("error", () => {});
    request.write(toForm({ purpose: "batch" }, Buffer.alloc(512 * 1024)).body.subarray(0, 400 * 1024));
    await until("it is on its way up", () => gateway.app.snapshot().running === 1);
    request.destroy();
    await until("its place is free", () => gateway.app.snapshot().running === 0);
    await until("the upstream knows", () => gateway.simulator.report().openSockets <= 1);
  });

  it("transcribe, whole or streamed, by the model that the form says", async () => {
    const whole = await upload({ model: "glm-asr", stream: "false" }, Buffer.alloc(1_000), "/v1/audio/transcriptions");
    assert.equal(whole.status, 200, whole.text);
    assert.equal(gateway.simulator.report().arrivals.at(-1)?.model, "glm-asr");
    const streamed = await upload(
      { model: "glm-asr", stream: "true" },
      Buffer.alloc(1_000),
      "/v1/audio/transcriptions",
    );
    assert.match(String(streamed.headers["content-type"]), /^text\/event-stream/);
    const nameless = await upload({ stream: "false" }, Buffer.alloc(1_000), "/v1/audio/transcriptions");
    assert.equal(nameless.status, 400);
  });

  it("hand a task in and fetch its result, whose tokens count once", async () => {
    const task = await ask(`${base}/async/chat/completions`, chat("hello [frames=7] [task=40]"));
    assert.equal(task.status, 200, task.text);
    const fetch = () => ask(`${base}/async-result/${idOf(task)}`);
    let result = await fetch();
    await until("it is done", async () => {
      result = await fetch();
      return (result.json as { task_status: string }).task_status === "SUCCESS";
    });
    await fetch();
    await until("all is recorded", () => gateway.callLines().at(-1)?.outcome === "served");
    const { json } = await send(`${gateway.url}/me/usage?by=model`, { token });
    const rows = (json as { data: { name: string; completion_tokens: number; requests: number }[] }).data;
    const used = rows.find(({ name }) => name === "poll");
    assert.ok(used && used.completion_tokens >= 7 && used.completion_tokens < 14, JSON.stringify(rows));
    assert.equal(used.requests, 0, "asking how it stands is no request");
  });

  it("show files, tasks and batches to who made them alone", async () => {
    const file = idOf(await upload({ purpose: "batch" }, Buffer.from('{"custom_id":"1"}\n')));
    const task = idOf(await ask(`${base}/async/chat/completions`, chat()));
    for (const [path, method] of [
      [`/v1/files/${file}`, "GET"],
      [`${base}/files/${file}/content`, "GET"],
      [`/files/${file}`, "DELETE"],
      [`${base}/async-result/${task}`, "GET"],
    ] as const) {
      const { status, text } = await send(gateway.url + path, { token: other, method });
      assert.equal(status, 404, `${method} ${path}: ${text}`);
    }
    const stolen = await ask(
      "/v1/batches",
      { input_file_id: file, endpoint: "/v4/chat/completions", completion_window: "24h" },
      other,
    );
    assert.equal(stolen.status, 404);
    assert.deepEqual(((await ask("/v1/files", undefined, other)).json as { data: unknown[] }).data, []);
    const own = ((await ask("/v1/files")).json as { data: { id: string }[] }).data;
    assert.ok(own.some(({ id }) => id === file));
    const batch = await ask("/v1/batches", {
      input_file_id: file,
      endpoint: "/v4/chat/completions",
      completion_window: "24h",
    });
    assert.equal(batch.status, 200, batch.text);
    assert.equal((await ask(`/v1/batches/${idOf(batch)}/cancel`, {})).status, 200);
    assert.equal((await send(`${gateway.url}/v1/files/${file}`, { token, method: "DELETE" })).status, 200);
    assert.equal((await ask(`/v1/files/${file}`)).status, 404);
  });

  it("let nobody delete another's voice", async () => {
    const sound = idOf(await upload({ purpose: "voice-clone-input" }, Buffer.alloc(100)));
    const clone = { model: "glm-tts-clone", voice_name: "mine", input: "x", text: "x", file_id: sound };
    const made = await ask(`${base}/voice/clone`, clone);
    assert.equal(made.status, 200, made.text);
    const { voice } = made.json as { voice: string };
    assert.equal((await ask(`${base}/voice/delete`, { voice }, other)).status, 404);
    assert.ok(!(await ask(`${base}/voice/list`, undefined, other)).text.includes(voice));
    assert.ok((await ask(`${base}/voice/list`)).text.includes(voice));
    assert.equal((await ask(`${base}/voice/delete`, { voice })).status, 200);
  });

  it("need the caller's key to be for what they ask, by the name of what has no model", async () => {
    const { json } = await ask("/me/keys", { name: "small", models: ["glm-4.5-*"] });
    const key = (json as { secret: string }).secret;
    assert.equal((await ask(`${base}/web_search`, { search_query: "x" }, key)).status, 403);
    const models = (await ask("/v1/models", undefined, key)).json as { data: { id: string }[] };
    assert.ok(models.data.length > 0 && models.data.every(({ id }) => id.startsWith("glm-4.5-")));
    assert.equal((await ask("/v1/models/glm-4.5-flash", undefined, key)).status, 200);
    assert.equal((await ask("/v1/models/glm-5.3", undefined, key)).status, 404);
    assert.equal((await ask("/v1/models", undefined, "nobody")).status, 401);
  });
});

describe("polls beside chats", () => {
  let gateway: TestGateway;

  before(async () => {
    gateway = await startGateway(
      {
        rateLimit: {
          startsPerSecond: 2,
          sendGuardMs: 60,
          families: [{ family: "poll", startsPerSecond: 100, concurrencyMax: null }],
        },
      },
      { requestsPerSecond: 2, taskMs: 1 },
    );
  });
  after(() => gateway.stop());

  it("take nothing of the chats' pace, and do not wait for it", async () => {
    const token = await gateway.logIn();
    const task = await send(`${gateway.url}${base}/async/chat/completions`, { token, body: chat() });
    const { id } = task.json as { id: string };
    const startedAt = performance.now();
    const chats = [1, 2, 3].map((count) =>
      send(`${gateway.url}/v1/chat/completions`, { token, body: chat(`hi ${count}`) }),
    );
    const polls: number[] = [];
    for (let count = 0; count < 8; count++) {
      const { status, durationMs } = await send(`${gateway.url}${base}/async-result/${id}`, { token });
      assert.equal(status, 200);
      polls.push(durationMs);
    }
    assert.ok(performance.now() - startedAt < 1_500, "the polls are over before the third chat may start");
    for (const sent of await Promise.all(chats)) assert.equal(sent.status, 200);
    assert.equal(gateway.simulator.report().violationCount, 0);
  });
});

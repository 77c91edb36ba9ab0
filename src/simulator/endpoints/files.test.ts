// Files, batches and sound at the simulated GLM, over real sockets: what goes up as a form and comes down as bytes.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import { createManualClock, type ManualClock } from "../../../test/support/manual-clock.ts";
import { until } from "../../../test/support/until.ts";
import { chat, form, type SendOptions, type Sent, send, toEvents } from "../fixtures/client.ts";
import { fileBytesMax } from "../form.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "../simulator.ts";

let simulator: Simulator;
let clock: ManualClock;
type Json = Readonly<Record<string, unknown>>;

async function start(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock();
  const apiKeys = ["ada.secret", "bob.secret", "eve.secret"];
  const accounts = { ada: "acme", bob: "acme" };
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 0, apiKeys, accounts, clock, ...options });
}

afterEach(() => simulator.close());

const ask = (path: string, options: SendOptions = {}, keyId = "ada"): Promise<Sent> =>
  send(simulator.baseUrl + path, { token: `${keyId}.secret`, ...options });
const json = ({ json }: Sent) => json as Json;
const outcomeOf = ({ status, json }: Sent) => [status, (json as { error?: { code: string } }).error?.code];
const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const upload = (bytes: Buffer, fields: Record<string, string> = { purpose: "batch" }) =>
  ask("/files", form(fields, bytes, "a.jsonl"));

describe("files of the simulated GLM", () => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7) % 256));

  it("come back to the byte, by each key of their account and by no other", async () => {
    await start();
    const { id, ...rest } = json(await upload(bytes));
    const facts = { object: "file", bytes: bytes.length, filename: "a.jsonl", purpose: "batch" };
    assert.deepEqual(rest, { ...facts, created_at: Math.floor(clock.wallNow() / 1_000) });
    for (const keyId of ["ada", "bob"]) {
      const content = await ask(`/files/${id}/content`, {}, keyId);
      assert.equal(content.headers["content-type"], "application/octet-stream");
      assert.ok(content.bytes.equals(bytes));
      assert.equal(json(await ask(`/files/${id}`, {}, keyId)).id, id);
    }
    for (const path of [`/files/${id}`, `/files/${id}/content`]) {
      assert.deepEqual(outcomeOf(await ask(path, {}, "eve")), [404, "404"]);
    }
    assert.deepEqual(outcomeOf(await ask(`/files/${id}`, { method: "DELETE" }, "eve")), [404, "404"]);
    assert.deepEqual(json(await ask(`/files/${id}`, { method: "DELETE" })), { id, object: "file", deleted: true });
    assert.deepEqual(outcomeOf(await ask(`/files/${id}`)), [404, "404"]);
  });

  it("are listed in pages, by purpose", async () => {
    await start();
    const ids: unknown[] = [];
    for (const purpose of ["batch", "agent", "batch"]) ids.push(json(await upload(Buffer.from("x"), { purpose })).id);
    const list = async (query: string, keyId?: string) => {
      const { data, has_more } = json(await ask(`/files${query}`, {}, keyId)) as { data: Json[]; has_more: boolean };
      return [data.map(({ id }) => ids.indexOf(id)), has_more];
    };
    assert.deepEqual(await list(""), [[0, 1, 2], false]);
    assert.deepEqual(await list("?limit=2"), [[0, 1], true]);
    assert.deepEqual(await list(`?limit=2&after=${ids[1]}`), [[2], false]);
    assert.deepEqual(await list("?purpose=batch"), [[0, 2], false]);
    assert.deepEqual(await list("", "eve"), [[], false]);
  });

  it("need a purpose and a form, and the report has their hash", async () => {
    await start();
    assert.deepEqual(outcomeOf(await upload(bytes, {})), [400, "1213"]);
    assert.deepEqual(outcomeOf(await ask("/files", form({ purpose: "batch" }))), [400, "1213"]);
    assert.deepEqual(outcomeOf(await ask("/files", { body: { purpose: "batch" } })), [400, "1213"]);
    const broken = { body: "--b", headers: { "content-type": "multipart/form-data; boundary=b" } };
    assert.deepEqual(outcomeOf(await ask("/files", broken)), [400, "1210"]);
    const { body, headers } = form({ purpose: "batch" }, bytes);
    await ask("/files", { body: body as Buffer, headers: headers ?? {} });
    const arrival = simulator.report().arrivals.at(-1);
    assert.deepEqual([arrival?.bodyBytes, arrival?.bodySha256], [(body as Buffer).length, hashOf(body as Buffer)]);
    assert.deepEqual([arrival?.method, arrival?.key, arrival?.body], ["POST", "ada", ""]);
  });

  it("are hashed as well when their key is refused", async () => {
    await start();
    const { body, headers } = form({ purpose: "batch" }, bytes);
    const sent = await ask("/files", { body: body as Buffer, headers: headers ?? {} }, "nobody");
    assert.equal(sent.status, 401);
    assert.equal(simulator.report().arrivals.at(-1)?.bodySha256, hashOf(body as Buffer));
  });

  for (const connection of ["keep-alive", "close"]) {
    const when = connection === "close" ? "when all has come" : "while they come";
    it(`of more than 100 MB are refused and let pass, ${when} (${connection})`, async () => {
      await start();
      const { text, sentBytes, isEarly } = await uploadTooMuch(connection);
      assert.match(text, /^HTTP\/1\.1 435 .*"code":"435"/s);
      assert.equal(isEarly, connection !== "close");
      await until("the rest has passed", () => simulator.report().arrivals.at(-1)?.bodySha256 !== "");
      assert.equal(simulator.report().arrivals.at(-1)?.bodyBytes, sentBytes);
      assert.deepEqual(json(await ask("/files")).data, []);
    });
  }

  /** A file of twice as much as is allowed, on a bare socket: Node's client stops sending when the answer has come. */
  async function uploadTooMuch(connection: string) {
    const [head = "", tail = ""] = String(form({ purpose: "batch" }, Buffer.from("split")).body).split("split");
    const piece = Buffer.alloc(1024 * 1024);
    const pieceCount = (fileBytesMax / piece.length) * 2;
    const sentBytes = Buffer.byteLength(head) + pieceCount * piece.length + Buffer.byteLength(tail);
    const socket = connect(Number(new URL(simulator.origin).port), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.write(
      `POST /api/paas/v4/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ada.secret\r\n` +
        `connection: ${connection}\r\ncontent-length: ${sentBytes}\r\n` +
        `content-type: ${form({}).headers?.["content-type"]}\r\n\r\n${head}`,
    );
    for (let count = 0; count < pieceCount; count++) {
      if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
    }
    const isEarly = text !== "";
    socket.write(tail);
    await until("it is answered", () => text.includes("}}"));
    socket.destroy();
    return { text, sentBytes, isEarly };
  }

  it("are read: handwriting, documents at once and as tasks", async () => {
    await start();
    const page = form({ tool_type: "lite" }, bytes, "a.pdf");
    assert.equal(json(await ask("/files/ocr", page)).words_result_num, 1);
    const now = json(await ask("/files/parser/sync", page));
    assert.equal(now.status, "succeeded");
    const { task_id: id } = json(await ask("/files/parser/create", page));
    assert.equal(json(await ask(`/files/parser/result/${id}/text`)).status, "processing");
    await clock.advance(200);
    assert.equal(json(await ask(`/files/parser/result/${id}/text`)).content, now.content);
    const link = json(await ask(`/files/parser/result/${id}/download_link`)).parsing_result_url as string;
    assert.equal((await send(link)).status, 200);
    assert.deepEqual(outcomeOf(await ask(`/files/parser/result/${id}/text`, {}, "eve")), [404, "404"]);
    assert.deepEqual(outcomeOf(await ask("/files/parser/create", form({}))), [400, "1213"]);
  });

  it("may belong to a knowledge base", async () => {
    await start();
    const { id } = json(await ask("/knowledge", { body: { name: "mine" } }));
    const sent = await upload(bytes, { purpose: "retrieval", knowledge_id: String(id) });
    const [{ documentId }] = json(sent).successInfos as [{ documentId: string }];
    assert.equal(json(await ask(`/document/${documentId}`)).length, bytes.length);
    assert.equal((await ask(`/document/${documentId}`, { method: "DELETE" })).status, 200);
    const nowhere = await upload(bytes, { purpose: "retrieval", knowledge_id: "none" });
    assert.deepEqual(outcomeOf(nowhere), [404, "404"]);
  });
});

describe("batches of the simulated GLM", () => {
  const lines = [
    { custom_id: "1", method: "POST", url: "/v4/chat/completions", body: chat("hello") },
    { custom_id: "2", method: "POST", url: "/v4/chat/completions", body: { model: "gpt", messages: [] } },
  ];
  const input = () => upload(Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n")));
  const create = async (fileId: unknown) => ask("/batches", { body: { input_file_id: fileId } });

  it("answer a file of chats by a file of answers", async () => {
    await start();
    const { id: fileId } = json(await input());
    const { id, status } = json(await create(fileId));
    assert.equal(status, "in_progress");
    await clock.advance(200);
    const done = json(await ask(`/batches/${id}`, {}, "bob"));
    assert.deepEqual(done.request_counts, { total: 2, completed: 1, failed: 1 });
    const output = await ask(`/files/${done.output_file_id}/content`);
    const results = output.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Json);
    assert.deepEqual(
      results.map(({ custom_id, response }) => [custom_id, (response as Json).status_code]),
      [
        ["1", 200],
        ["2", 400],
      ],
    );
    const { data } = json(await ask("/batches")) as { data: Json[] };
    assert.deepEqual(
      data.map(({ output_file_id }) => output_file_id),
      [done.output_file_id],
    );
  });

  it("can be cancelled while they run, and belong to their account", async () => {
    await start();
    const { id } = json(await create(json(await input()).id));
    assert.deepEqual(outcomeOf(await ask(`/batches/${id}`, {}, "eve")), [404, "404"]);
    assert.equal(json(await ask(`/batches/${id}/cancel`, { method: "POST" })).status, "cancelled");
    await clock.advance(1_000);
    assert.equal(json(await ask(`/batches/${id}`)).status, "cancelled");
    assert.deepEqual(outcomeOf(await create("none")), [404, "404"]);
    assert.deepEqual(outcomeOf(await ask("/batches", { body: {} })), [400, "1213"]);
  });

  it("have jobs of fine-tuning as relatives", async () => {
    await start();
    const { id: fileId } = json(await input());
    const { id } = json(await ask("/fine_tuning/jobs", { body: { model: "glm-4", training_file: fileId } }));
    assert.equal(json(await ask(`/fine_tuning/jobs/${id}`)).training_file, fileId);
    assert.equal(json(await ask(`/fine_tuning/jobs/${id}/cancel`, { method: "POST" })).status, "cancelled");
    assert.equal((await ask(`/fine_tuning/jobs/${id}`, { method: "DELETE" })).status, 200);
    assert.deepEqual(outcomeOf(await ask(`/fine_tuning/jobs/${id}`)), [404, "404"]);
  });
});

describe("sound at the simulated GLM", () => {
  it("is written down, whole and as a stream, in the same words", async () => {
    await start();
    const sound = Buffer.from("RIFF");
    const whole = json(await ask("/audio/transcriptions", form({ model: "glm-asr" }, sound)));
    const streamed = await ask("/audio/transcriptions", form({ model: "glm-asr", stream: "true" }, sound));
    assert.match(streamed.headers["content-type"] ?? "", /^text\/event-stream/);
    const events = toEvents(streamed.text);
    assert.equal(events.pop()?.data, "[DONE]");
    const frames = events.map(({ data }) => JSON.parse(data) as Json);
    assert.equal(frames.map(({ delta }) => delta ?? "").join(""), whole.text);
    assert.equal(frames.at(-1)?.text, whole.text);
    const encoded = { body: { model: "glm-asr", file_base64: "UklGRg==" } };
    assert.ok(json(await ask("/audio/transcriptions", encoded)).text);
    assert.deepEqual(outcomeOf(await ask("/audio/transcriptions", form({ model: "glm-asr" }))), [400, "1213"]);
    assert.deepEqual(outcomeOf(await ask("/audio/transcriptions", form({}, sound))), [400, "1213"]);
  });

  it("is made as bytes in several pieces, the same for the same text", async () => {
    await start();
    const speak = (input: string, more: object = {}) =>
      ask("/audio/speech", { body: { model: "glm-tts", input, voice: "tongtong", ...more } });
    const [first, again, other] = [await speak("hello"), await speak("hello"), await speak("bye")];
    assert.deepEqual([first.headers["content-type"], first.headers["transfer-encoding"]], ["audio/wav", "chunked"]);
    assert.ok(first.bytes.equals(again.bytes) && !first.bytes.equals(other.bytes));
    assert.equal(first.bytes.length, 44 + 4 * 1_024);
    assert.equal(first.bytes.readUInt32LE(40), first.bytes.length - 44);
    const raw = await speak("[frames=9]", { response_format: "pcm" });
    assert.deepEqual([raw.headers["content-type"], raw.bytes.length], ["audio/pcm", 9 * 1_024]);
    const frames = toEvents((await speak("hello", { stream: true })).text).slice(0, -1);
    const joined = frames.map(({ data }) => {
      const { choices } = JSON.parse(data) as { choices: [{ delta: { content: string } }] };
      return Buffer.from(choices[0].delta.content, "base64");
    });
    assert.ok(Buffer.concat(joined).equals(first.bytes.subarray(44)));
    assert.deepEqual(outcomeOf(await speak("")), [400, "1213"]);
  });

  it("can be cut and stalled like any answer", async () => {
    await start();
    simulator.script({ fault: "cutMidStream", after: 2 });
    await assert.rejects(ask("/audio/speech", { body: { model: "glm-tts", input: "hello" } }), /aborted/);
  });

  it("is made in a voice of one's own", async () => {
    await start();
    const sample = Buffer.from("RIFF");
    const spoken = await ask("/audio/customization", form({ input: "hello", voice_text: "a" }, sample));
    assert.equal(spoken.headers["content-type"], "audio/wav");
    const { id } = json(await upload(sample, { purpose: "voice-clone-input" }));
    const clone = (fileId: unknown, keyId?: string) =>
      ask("/voice/clone", { body: { model: "glm-tts-clone", voice_name: "me", input: "a", file_id: fileId } }, keyId);
    const { voice } = json(await clone(id));
    assert.deepEqual(outcomeOf(await clone(id, "eve")), [404, "404"]);
    const list = async (keyId?: string) => json(await ask("/voice/list", {}, keyId)).voice_list as Json[];
    assert.deepEqual(
      (await list("bob")).map(({ voice_name }) => voice_name),
      ["me"],
    );
    assert.deepEqual(await list("eve"), []);
    assert.equal((await send((await list())[0]?.download_url as string)).status, 200);
    assert.equal(json(await ask("/voice/delete", { body: { voice } })).voice, voice);
    assert.deepEqual(outcomeOf(await ask("/voice/delete", { body: { voice } })), [404, "404"]);
  });
});

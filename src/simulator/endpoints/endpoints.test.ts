// Every endpoint of the simulated GLM beside chat, over real sockets.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createManualClock, type ManualClock } from "../../../test/support/manual-clock.ts";
import { chat, type SendOptions, type Sent, send, toEvents } from "../fixtures/client.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "../simulator.ts";

let simulator: Simulator;
let clock: ManualClock;
type Json = Readonly<Record<string, unknown>>;

async function start(options: SimulatorOptions = {}): Promise<void> {
  clock = createManualClock();
  const apiKeys = ["ada.secret", "bob.secret"];
  simulator = await startSimulator({ firstTokenMs: 0, tokenMs: 0, apiKeys, clock, ...options });
}

afterEach(() => simulator.close());

const ask = (path: string, options: SendOptions = {}, keyId = "ada"): Promise<Sent> =>
  send(simulator.baseUrl + path, { token: `${keyId}.secret`, ...options });
const post = (path: string, body: object): Promise<Sent> => ask(path, { body, method: "POST" });
const json = ({ json }: Sent) => json as Json;
const outcomeOf = ({ status, json }: Sent) => [status, (json as { error?: { code: string } }).error?.code];

describe("tasks of the simulated GLM", () => {
  const readTask = async (id: unknown, keyId?: string) => ask(`/async-result/${id}`, {}, keyId);

  it("are in process for a while, then hold the chat's answer", async () => {
    await start({ taskMs: 200 });
    const { id, ...opened } = json(await post("/async/chat/completions", chat("hello", { request_id: "mine" })));
    assert.deepEqual(opened, { request_id: "mine", model: "glm-4.5-flash", task_status: "PROCESSING" });
    await clock.advance(199);
    assert.equal(json(await readTask(id)).task_status, "PROCESSING");
    await clock.advance(1);
    const { task_status, choices, usage, ...rest } = json(await readTask(id));
    assert.deepEqual([task_status, rest.id, rest.request_id], ["SUCCESS", id, "mine"]);
    assert.ok((choices as Json[]).length === 1 && usage);
    assert.deepEqual(outcomeOf(await readTask(id, "bob")), [404, "404"]);
    assert.deepEqual(outcomeOf(await readTask("none")), [404, "404"]);
  });

  it("fail, and take their time, as the prompt says", async () => {
    await start();
    const { id } = json(await post("/videos/generations", { model: "cogvideox-3", prompt: "[fail] [task=5]" }));
    await clock.advance(4);
    assert.equal(json(await readTask(id)).task_status, "PROCESSING");
    await clock.advance(1);
    assert.deepEqual(json(await readTask(id)), { id, request_id: id, model: "cogvideox-3", task_status: "FAIL" });
  });

  it("object to a chat as chat completions do", async () => {
    await start();
    assert.deepEqual(outcomeOf(await post("/async/chat/completions", { model: "gpt" })), [400, "1213"]);
  });

  it("make pictures and films that can be fetched without a key", async () => {
    await start({ taskMs: 0 });
    const now = json(await post("/images/generations", { model: "cogview-4", prompt: "a cat" }));
    const later = json(await post("/async/images/generations", { model: "cogview-4", prompt: "a cat" }));
    const film = json(await post("/videos/generations", { model: "cogvideox-3", image_url: "http://a/b.png" }));
    const [{ url: picture }] = now.data as [{ url: string }];
    const [{ url: other }] = json(await readTask(later.id)).image_result as [{ url: string }];
    const [{ url: moving, cover_image_url: cover }] = json(await readTask(film.id)).video_result as [Json];
    for (const url of [picture, other, cover as string]) {
      const { status, headers, bytes } = await send(url);
      assert.deepEqual([status, headers["content-type"]], [200, "image/png"]);
      assert.equal(bytes.toString("latin1", 1, 4), "PNG");
    }
    assert.equal((await send(moving as string)).bytes.toString("latin1", 4, 8), "ftyp");
    assert.equal((await send(`${simulator.origin}/media/toString.png`)).status, 404);
    assert.deepEqual(outcomeOf(await post("/images/generations", { model: "cogview-4" })), [400, "1213"]);
    assert.deepEqual(outcomeOf(await post("/images/generations", { prompt: "a cat" })), [400, "1213"]);
  });
});

describe("texts at the simulated GLM", () => {
  it("are ranked by a query, the best first", async () => {
    await start();
    const documents = ["nothing", "the gateway is fair", "a fair gateway for the poor"];
    const body = { model: "rerank", query: "fair gateway", documents, top_n: 2, return_documents: true };
    const { results } = json(await post("/rerank", body)) as { results: { index: number; document: string }[] };
    assert.deepEqual(results.map(({ index }) => index).sort(), [1, 2]);
    assert.equal(results[0]?.document, documents[results[0]?.index ?? 0]);
    assert.deepEqual(outcomeOf(await post("/rerank", { query: "a" })), [400, "1213"]);
  });

  it("are embedded in as many dimensions as are asked for", async () => {
    await start();
    const sent = await post("/embeddings", { model: "embedding-3", input: "a", dimensions: 256 });
    const { data } = sent.json as { data: [{ embedding: number[] }] };
    assert.equal(data[0].embedding.length, 256);
  });

  it("are safe unless they say otherwise", async () => {
    await start();
    const levelOf = async (input: string) =>
      (json(await post("/moderations", { model: "moderation", input })).result_list as Json[])[0]?.risk_level;
    assert.deepEqual([await levelOf("hello"), await levelOf("[unsafe]")], ["PASS", "REJECT"]);
    assert.deepEqual(outcomeOf(await post("/moderations", {})), [400, "1213"]);
  });
});

describe("looking things up at the simulated GLM", () => {
  it("finds as many results as are asked for", async () => {
    await start();
    const body = { search_engine: "search_std", search_query: "glm", count: 3 };
    const found = json(await post("/web_search", body));
    assert.equal((found.search_result as Json[]).length, 3);
    assert.deepEqual(outcomeOf(await post("/web_search", { search_query: "glm" })), [400, "1213"]);
    const page = json(await post("/reader", { url: "http://example.com" })).reader_result as Json;
    assert.equal(page.url, "http://example.com");
    assert.deepEqual(outcomeOf(await post("/reader", {})), [400, "1213"]);
  });

  it("works by the older tool as well, whole and as a stream", async () => {
    await start();
    const body = { tool: "web-search-pro", messages: [{ role: "user", content: "glm" }] };
    const whole = json(await post("/tools", body)).choices as [{ message: { tool_calls: Json[] } }];
    const types = whole[0].message.tool_calls.map(({ type }) => type);
    assert.deepEqual(types, ["search_intent", "search_result"]);
    const streamed = await post("/tools", { ...body, stream: true });
    assert.match(streamed.headers["content-type"] ?? "", /^text\/event-stream/);
    assert.equal(toEvents(streamed.text).at(-1)?.data, "[DONE]");
    assert.equal(toEvents(streamed.text).length, 3);
    assert.deepEqual(outcomeOf(await post("/tools", { tool: "web-search-pro" })), [400, "1213"]);
  });

  it("reads the layout of a page", async () => {
    await start();
    const { md_results, usage } = json(await post("/layout_parsing", { model: "glm-ocr", file: "http://a/b.png" }));
    assert.ok(md_results && usage);
    assert.deepEqual(outcomeOf(await post("/layout_parsing", { model: "glm-ocr" })), [400, "1213"]);
  });
});

describe("agents of the simulated GLM", () => {
  const run = (body: object, path = "") =>
    send(`${simulator.origin}/api/v1/agents${path}`, { token: "ada.secret", body });
  const messages = (content: unknown) => [{ role: "user", content }];

  it("answer whole, as a stream, and keep the conversation", async () => {
    await start();
    const whole = json(await run({ agent_id: "translator", messages: messages([{ type: "text", text: "hello" }]) }));
    assert.deepEqual([whole.status, whole.agent_id], ["success", "translator"]);
    const streamed = await run({ agent_id: "translator", messages: messages("hello"), stream: true });
    const frames = toEvents(streamed.text);
    assert.equal(frames.pop()?.data, "[DONE]");
    assert.ok(frames.every(({ data }) => (JSON.parse(data) as Json).agent_id === "translator"));
    const { conversation_id } = whole;
    const kept = json(await run({ agent_id: "translator", conversation_id }, "/conversation"));
    assert.deepEqual(kept.choices, whole.choices);
    assert.equal((await run({ conversation_id: "none" }, "/conversation")).status, 404);
  });

  it("may take their time", async () => {
    await start();
    const { async_id, status } = json(await run({ agent_id: "film", messages: messages("[async]") }));
    assert.equal(status, "pending");
    const read = async () => json(await run({ agent_id: "film", async_id }, "/async-result")).status;
    assert.equal(await read(), "pending");
    await clock.advance(200);
    assert.equal(await read(), "success");
  });

  it("say in a way of their own what is wrong", async () => {
    await start();
    const sent = await run({ messages: messages("hello") });
    assert.equal(sent.status, 400);
    assert.deepEqual(Object.keys(json(sent)), ["status", "agent_id", "error"]);
    assert.deepEqual(outcomeOf(sent), [400, "1213"]);
  });

  it("have assistants as forerunners, whose time is in milliseconds", async () => {
    await start();
    const body = { assistant_id: "1", messages: messages([{ type: "text", text: "[frames=2]" }]) };
    const { created, status } = json(await post("/assistant", body));
    assert.deepEqual([created, status], [clock.wallNow(), "completed"]);
    const frames = toEvents((await post("/assistant", { ...body, stream: true })).text);
    const states = frames.slice(0, -1).map(({ data }) => (JSON.parse(data) as Json).status);
    assert.deepEqual(states, ["in_progress", "in_progress", "completed"]);
    assert.equal(json(await post("/assistant/list", {})).code, 200);
    assert.equal(json(await post("/assistant/conversation/list", { assistant_id: "1" })).code, 200);
  });
});

describe("the quota pages of the simulated GLM", () => {
  const look = (token?: string) =>
    send(`${simulator.origin}/api/monitor/usage/quota/limit`, token ? { headers: { authorization: token } } : {});

  it("take the key without Bearer as well", async () => {
    await start();
    const { code, success, data } = json(await look("ada.secret"));
    assert.deepEqual([code, success], [200, true]);
    const { limits } = data as { limits: Json[] };
    assert.deepEqual(
      limits.map(({ unit, number }) => [unit, number]),
      [
        [3, 5],
        [6, 1],
        [5, 1],
      ],
    );
    assert.equal(json(await send(`${simulator.origin}/api/biz/subscription/list`, { token: "ada.secret" })).code, 200);
  });

  it("say 200 whatever is wrong", async () => {
    await start();
    for (const sent of [await look(), await look("Bearer wrong.key")]) {
      assert.equal(sent.status, 200);
      const { code, success } = json(sent);
      assert.deepEqual([code, success], [1001, false]);
    }
  });
});

describe("the older parts of the simulated GLM", () => {
  it("have knowledge bases", async () => {
    await start();
    const { id } = json(await post("/knowledge", { name: "mine", embedding_id: 3 }));
    assert.equal((await ask(`/knowledge/${id}`, { method: "PUT", body: { name: "ours" } })).status, 200);
    const { list } = json(await ask("/knowledge")) as { list: Json[] };
    assert.deepEqual(
      list.map(({ name }) => name),
      ["ours"],
    );
    assert.deepEqual(outcomeOf(await ask(`/knowledge/${id}`, {}, "bob")), [404, "404"]);
    assert.ok(json(await ask("/knowledge/capacity")).total);
    assert.equal((await ask(`/knowledge/${id}`, { method: "DELETE" })).status, 200);
    assert.deepEqual(outcomeOf(await ask(`/knowledge/${id}`)), [404, "404"]);
  });

  it("have no jobs without a file", async () => {
    await start();
    assert.deepEqual(outcomeOf(await post("/fine_tuning/jobs", { model: "glm-4", training_file: "none" })), [
      404,
      "404",
    ]);
    assert.deepEqual(json(await ask("/fine_tuning/jobs")).data, []);
    assert.deepEqual(outcomeOf(await ask("/fine_tuning/jobs/none/events")), [404, "404"]);
    assert.deepEqual(outcomeOf(await ask("/document/none")), [404, "404"]);
  });
});

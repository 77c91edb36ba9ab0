import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal } from "../base/refusal.ts";
import { catalogue, findHint } from "./catalogue.ts";
import { type CallRequest, type Incoming, noObjectUse } from "./endpoint.ts";
import { toIncoming } from "./fixtures/incoming.ts";

const aliases = new Map([["small", "embedding-3"]]);

function parse(method: string, path: string, pattern: string, incoming: Incoming): CallRequest {
  const entry = catalogue.find((one) => one.method === method && one.path === pattern);
  assert.ok(entry, `${method} ${pattern} is served`);
  return entry.endpoint.parseRequest({ ...incoming, path }, aliases);
}

describe("GLM's own endpoints", () => {
  it("are below GLM's bases, and those that OpenAI has too below OpenAI's", () => {
    const paths = new Set(catalogue.map(({ method, path }) => `${method} ${path}`));
    for (const path of ["/api/paas/v4/embeddings", "/api/coding/paas/v4/embeddings", "/v1/embeddings", "/embeddings"]) {
      assert.ok(paths.has(`POST ${path}`), path);
    }
    assert.ok(paths.has("GET /v1/files/*/content"));
    assert.ok(paths.has("POST /api/v1/agents"));
    assert.ok(!paths.has("POST /v1/web_search"), "OpenAI has none");
    assert.equal(paths.size, catalogue.length, "none is there twice");
  });

  it("pass their body on to the byte, and put the upstream's name in an alias's place", () => {
    const body = Buffer.from('{ "input":"x",  "model":"embedding-3", "n":12345678901234567890 }');
    const request = parse("POST", "/v1/embeddings", "/v1/embeddings", toIncoming("", body));
    assert.equal(request.body, body);
    assert.deepEqual([request.model, request.family, request.path], ["embedding-3", "embeddings", "/embeddings"]);
    const renamed = parse("POST", "/embeddings", "/embeddings", toIncoming("", { model: "small", input: "x" }));
    assert.deepEqual([renamed.model, renamed.body.toString()], ["embedding-3", '{"model":"embedding-3","input":"x"}']);
  });

  it("take their path as it is below the base, with its query", () => {
    const asked = { ...toIncoming("", null), query: "?limit=3" };
    const list = parse("GET", "/api/coding/paas/v4/files", "/api/coding/paas/v4/files", asked);
    assert.deepEqual([list.path, list.object?.lists?.limit], ["/files?limit=100", 3], "the page is filtered here");
    const one = parse("GET", "/api/paas/v4/files/f-1/content", "/api/paas/v4/files/*/content", toIncoming("", null));
    assert.deepEqual([one.path, one.answers, one.object?.uses], ["/files/f-1/content", "bytes", ["f-1"]]);
    const agents = parse("POST", "/api/v1/agents", "/api/v1/agents", toIncoming("", { agent_id: "a" }));
    assert.deepEqual([agents.api, agents.path], ["root", "/v1/agents"]);
  });

  it("are called by what they are when they have no model, and need one where GLM does", () => {
    const search = parse("POST", "/x/web_search", "/api/paas/v4/web_search", toIncoming("", { search_query: "x" }));
    assert.deepEqual([search.model, search.family], ["web_search", "search"]);
    const poll = parse("GET", "/x/async-result/7", "/api/paas/v4/async-result/*", toIncoming("", null));
    assert.deepEqual([poll.model, poll.family, poll.object?.uses], ["poll", "poll", ["7"]]);
    assert.throws(
      () => parse("POST", "/embeddings", "/embeddings", toIncoming("", { input: "x" })),
      (error) => error instanceof Refusal && error.reason === "invalid_field" && error.facts.param === "model",
    );
  });

  it("say what they make and what they need of what is kept upstream", () => {
    const made = parse("POST", "/files", "/files", toIncoming("", { purpose: "batch" }));
    assert.deepEqual([made.object?.creates, made.object?.kind, made.forModel], [true, "file", null]);
    const batch = parse("POST", "/v1/batches", "/v1/batches", toIncoming("", { input_file_id: "f-1" }));
    const expected = { ...noObjectUse, kind: "batch", uses: ["f-1"], creates: true };
    assert.deepEqual(batch.object, expected);
  });

  it("read a form's model and leave the form alone", () => {
    const body = Buffer.from("a form");
    const form = new Map([
      ["model", "glm-asr"],
      ["stream", "true"],
    ]);
    const incoming = toIncoming("", body, { form, contentType: 'multipart/form-data; boundary="x"' });
    const request = parse("POST", "/v1/audio/transcriptions", "/v1/audio/transcriptions", incoming);
    assert.deepEqual([request.model, request.isStream, request.body], ["glm-asr", true, body]);
  });

  it("refuse a form that does not say its model where one is needed", () => {
    const incoming = toIncoming("", Buffer.from("a form"), { form: new Map() });
    assert.throws(() => parse("POST", "/v1/audio/transcriptions", "/v1/audio/transcriptions", incoming), Refusal);
  });

  it("send on the parameters that they know, and the ids among these have to be the caller's", () => {
    const query = "?purpose=retrieval&authorization=x&knowledge_id=kb%2F1&after=f-1&Limit=3&%61uth=y";
    const list = parse("GET", "/v1/files", "/v1/files", { ...toIncoming("", null), query });
    assert.equal(list.path, "/files?purpose=retrieval&knowledge_id=kb%2F1&after=f-1&limit=100");
    assert.deepEqual(list.object?.uses, ["kb/1", "f-1"]);
    const twice = { ...toIncoming("", null), query: "?after=f-1&%61fter=f-2" };
    assert.throws(() => parse("GET", "/v1/files", "/v1/files", twice), { reason: "bad_request" });
  });
});

describe("findHint()", () => {
  it("tells what to ask for instead", () => {
    assert.match(findHint("/v1/completions") ?? "", /chat\/completions/);
    assert.match(findHint("/v1/responses/resp_1") ?? "", /not kept/);
    assert.match(findHint("/v1/whatever") ?? "", /\/docs/);
    assert.equal(findHint("/favicon.ico"), undefined);
  });

  it("names the base URL to set where one has a part too many or too few", () => {
    const cases: [string, RegExp][] = [
      ["/v1/v1/chat/completions", /\/v1 twice/],
      ["/v4/chat/completions", /\/api\/paas\/v4/],
      ["/paas/v4/chat/completions", /\/api\/paas\/v4/],
      ["/api/paas/v4/v1/chat/completions", /part too many/],
      ["/api/paas/v4/api/paas/v4/chat/completions", /part too many/],
      ["/v1/chat/completions/chat/completions", /must not hold/],
    ];
    for (const [path, hint] of cases) assert.match(findHint(path) ?? "", hint, path);
  });
});

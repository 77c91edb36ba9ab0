import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal } from "../base/refusal.ts";
import { catalogue, findHint } from "./catalogue.ts";
import type { CallRequest, Incoming } from "./endpoint.ts";
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
    assert.equal(list.path, "/files?limit=3");
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
    assert.deepEqual(batch.object, { kind: "batch", uses: ["f-1"], creates: true, deletes: false, lists: false });
  });

  it("read a form's model and leave the form alone", () => {
    const form = Buffer.from(
      '--x\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\nmodel=no\r\n' +
        '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nglm-asr\r\n' +
        '--x\r\nContent-Disposition: form-data; name="stream"\r\n\r\ntrue\r\n--x--\r\n',
    );
    const incoming = toIncoming("", form, { contentType: 'multipart/form-data; boundary="x"' });
    const request = parse("POST", "/v1/audio/transcriptions", "/v1/audio/transcriptions", incoming);
    assert.deepEqual([request.model, request.isStream, request.body], ["glm-asr", true, form]);
  });

  it("refuse a form that does not say its model where one is needed", () => {
    const form = Buffer.from('--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ncut off in the mid');
    const incoming = toIncoming("", form, { contentType: "multipart/form-data; boundary=x" });
    assert.throws(() => parse("POST", "/v1/audio/transcriptions", "/v1/audio/transcriptions", incoming), Refusal);
  });
});

describe("findHint()", () => {
  it("tells what to ask for instead", () => {
    assert.match(findHint("/v1/completions") ?? "", /chat\/completions/);
    assert.match(findHint("/v1/responses/resp_1") ?? "", /not kept/);
    assert.match(findHint("/v1/whatever") ?? "", /\/docs/);
    assert.equal(findHint("/favicon.ico"), undefined);
  });
});

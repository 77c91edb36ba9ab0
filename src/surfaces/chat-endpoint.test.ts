import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal } from "../base/refusal.ts";
import { chatEndpoint } from "./chat-endpoint.ts";
import type { CallRequest } from "./endpoint.ts";
import { openAiSurface } from "./openai-surface.ts";

const none = new Map<string, string>();
const aliases = new Map([["gpt-4o-mini", "glm-4.5-flash"]]);

function parse(body: Buffer, names: ReadonlyMap<string, string> = none): CallRequest {
  const incoming = {
    path: "/chat/completions",
    query: "",
    body,
    upload: null,
    form: null,
    contentType: "application/json",
  };
  return chatEndpoint.parseRequest({ ...incoming, header: () => "" }, names);
}

describe("the chat endpoint", () => {
  it("leaves the body alone, to the byte and the very buffer", () => {
    const body = Buffer.from('{ "model":"m",\r\n"messages":[1],"seed":9007199254740993, "x":1e400 }');
    const request = parse(body, aliases);
    assert.equal(request.body, body);
    assert.deepEqual([request.model, request.isStream], ["m", false]);
  });

  it("puts the upstream's name in an alias's place and touches no other byte", () => {
    const body = Buffer.from(
      '{"messages":["gpt-4o-mini"], "model" : "gpt-4o-mini" ,"big":9007199254740993,"stream":true}',
    );
    const request = parse(body, aliases);
    assert.equal(
      request.body.toString(),
      '{"messages":["gpt-4o-mini"], "model" : "glm-4.5-flash" ,"big":9007199254740993,"stream":true}',
    );
    assert.deepEqual([request.model, request.isStream], ["glm-4.5-flash", true]);
  });

  it("refuses what may be read as two models", () => {
    const bodies = ['{"model":"other","messages":[1],"model":"m"}', '{"model":"m","messages":[1],"Model":"other"}'];
    for (const body of bodies) {
      assert.throws(() => parse(Buffer.from(body), aliases), { reason: "invalid_field" }, body);
    }
  });

  it("names the knowledge base that its tools read, and no field of its tools' schemas", () => {
    const retrieval = { type: "retrieval", retrieval: { knowledge_id: "kb-1" } };
    const schema = { type: "object", properties: { file_id: { type: "string" } } };
    const call = { type: "function", function: { name: "open", parameters: schema } };
    const read = (tools: object[]) => parse(Buffer.from(JSON.stringify({ model: "m", messages: [1], tools }))).object;
    assert.deepEqual(read([call, retrieval])?.uses, ["kb-1"]);
    assert.equal(read([call]), null);
  });
});

describe("the bound on the answer's tokens", () => {
  const read = (fields: object) =>
    parse(Buffer.from(JSON.stringify({ model: "m", messages: [1], ...fields }))).outputTokensMax;

  it("is the larger of max_tokens and max_completion_tokens, for each choice", () => {
    assert.equal(read({ max_tokens: 100 }), 100);
    assert.equal(read({ max_completion_tokens: 50 }), 50);
    assert.equal(read({ max_tokens: 100, max_completion_tokens: 50 }), 100);
    assert.equal(read({ max_tokens: 1, max_completion_tokens: 90_000 }), 90_000);
    assert.equal(read({ max_tokens: 100, n: 3 }), 300);
    assert.equal(read({ max_tokens: null, max_completion_tokens: 50 }), 50);
  });

  it("is unknown when it is no positive whole number; the upstream judges that", () => {
    for (const max_tokens of [undefined, 0, -1, 1.5, "9", null, [], 1e300])
      assert.equal(read({ max_tokens }), null, `${max_tokens}`);
  });
});

describe("openAiSurface.formatHeartbeat()", () => {
  it("is a comment of one line that ends in one newline", () => {
    const { formatHeartbeat } = openAiSurface;
    assert.equal(
      formatHeartbeat("comment", { position: 3, etaMs: 3_200 }, "id-1"),
      ": waiting, position 3, about 4 s\n",
    );
    assert.equal(formatHeartbeat("comment", null, "id-1"), ": waiting for the answer\n");
  });

  it("is an empty chunk for clients that know nothing but events", () => {
    for (const standing of [null, { position: 1, etaMs: 0 }]) {
      const event = openAiSurface.formatHeartbeat("chunk", standing, "id-1");
      assert.match(event, /^data: \{.*\}\n\n$/);
      const chunk = JSON.parse(event.slice(6)) as Record<string, unknown>;
      assert.equal(chunk.object, "chat.completion.chunk");
      assert.deepEqual(chunk.choices, [{ index: 0, delta: {}, finish_reason: null }]);
    }
  });
});

describe("openAiSurface.formatRefusal()", () => {
  it("says it as OpenAI's and GLM's clients read it, in the language asked for", () => {
    const refusal = new Refusal("invalid_field", { param: "model", detail: "it must be a model's name" });
    assert.deepEqual(JSON.parse(openAiSurface.formatRefusal(refusal, "id-1", "en")), {
      error: {
        message: 'Cannot accept "model": it must be a model\'s name.',
        type: "invalid_request_error",
        code: "invalid_field",
        param: "model",
        request_id: "id-1",
      },
    });
    assert.match(openAiSurface.formatRefusal(refusal, "id-1", "zh"), /字段/);
  });

  it("is one event in a stream", () => {
    const event = openAiSurface.formatStreamError(new Refusal("upstream_truncated"), "id-1", "en");
    assert.match(event, /^data: \{"error":\{.*\}\}\n\n$/);
    assert.throws(() => parse(Buffer.from("{}")), Refusal);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal } from "../base/refusal.ts";
import { chatCompletions } from "./chat-completions.ts";

const none = new Map<string, string>();
const aliases = new Map([["gpt-4o-mini", "glm-4.5-flash"]]);

describe("chatCompletions.parseRequest()", () => {
  it("leaves the body alone, to the byte and the very buffer", () => {
    const body = Buffer.from('{ "model":"m",\r\n"messages":[1],"seed":9007199254740993, "x":1e400 }');
    const request = chatCompletions.parseRequest(body, aliases);
    assert.equal(request.body, body);
    assert.deepEqual([request.model, request.isStream], ["m", false]);
  });

  it("puts the upstream's name in an alias's place and touches no other byte", () => {
    const body = Buffer.from(
      '{"messages":["gpt-4o-mini"], "model" : "gpt-4o-mini" ,"big":9007199254740993,"stream":true}',
    );
    const request = chatCompletions.parseRequest(body, aliases);
    assert.equal(
      request.body.toString(),
      '{"messages":["gpt-4o-mini"], "model" : "glm-4.5-flash" ,"big":9007199254740993,"stream":true}',
    );
    assert.deepEqual([request.model, request.isStream], ["glm-4.5-flash", true]);
  });

  it("leaves no doubt which model is meant when the key comes twice", () => {
    const body = Buffer.from('{"model":"other","messages":[1],"model":"gpt-4o-mini"}');
    const { body: sent } = chatCompletions.parseRequest(body, aliases);
    assert.equal(sent.toString(), '{"model":"glm-4.5-flash","messages":[1],"model":"glm-4.5-flash"}');
  });
});

describe("chatCompletions.formatRefusal()", () => {
  it("says it as OpenAI's and GLM's clients read it, in the language asked for", () => {
    const refusal = new Refusal("invalid_field", { param: "model", detail: "it must be a model's name" });
    assert.deepEqual(JSON.parse(chatCompletions.formatRefusal(refusal, "id-1", "en")), {
      error: {
        message: 'Cannot accept "model": it must be a model\'s name.',
        type: "invalid_request_error",
        code: "invalid_field",
        param: "model",
        request_id: "id-1",
      },
    });
    assert.match(chatCompletions.formatRefusal(refusal, "id-1", "zh"), /字段/);
  });

  it("is one event in a stream", () => {
    const event = chatCompletions.formatStreamError(new Refusal("upstream_truncated"), "id-1", "en");
    assert.match(event, /^data: \{"error":\{.*\}\}\n\n$/);
    assert.throws(() => chatCompletions.parseRequest(Buffer.from("{}"), none), Refusal);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AnswerFormat } from "./answer-format.ts";
import { createEventReader, createStreamFacts, type StreamFacts } from "./event-reader.ts";

/** What is known after the given events. */
function read(format: AnswerFormat, ...events: readonly object[]): StreamFacts {
  const reader = createEventReader(format);
  const facts = createStreamFacts();
  for (const event of events) reader.read(Buffer.from(`data: ${JSON.stringify(event)}\n\n`), facts);
  return facts;
}

const usage = (promptTokens: number, completionTokens: number, cachedTokens = 0) => {
  return { promptTokens, completionTokens, cachedTokens, reasoningTokens: 0 };
};

describe("a chat's events", () => {
  it("are not whole by a reason that is empty", () => {
    assert.equal(read("chat", { choices: [{ finish_reason: "" }] }).isWhole, false);
    assert.equal(read("chat", { choices: [{ finish_reason: null }, { finish_reason: "stop" }] }).isWhole, true);
  });

  it("may be an error, as an object or in words", () => {
    for (const error of [{ code: "1302" }, "overloaded"]) {
      assert.deepEqual(read("chat", { error }).error, { error });
      assert.deepEqual(read("plain", { error }).error, { error });
    }
    for (const error of [null, "", false]) assert.equal(read("chat", { error }).error, null);
  });

  it("tell the usage so far, and the last of it counts", () => {
    const events = [1, 2].map((completion_tokens) => ({
      choices: [{}],
      usage: { prompt_tokens: 3, completion_tokens },
    }));
    assert.deepEqual(read("chat", ...events, { choices: [], usage: null }).usage, usage(3, 2));
  });
});

describe("a message's events", () => {
  const start = (counts: object) => ({ type: "message_start", message: { usage: counts } });
  const delta = (counts?: object) => ({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: counts });

  it("report no usage before `message_delta`: what GLM says at the start are zeros", () => {
    assert.equal(read("messages", start({ input_tokens: 0, output_tokens: 0 })).usage, null);
    const { usage: reported } = read("messages", start({ input_tokens: 0, output_tokens: 0 }), delta());
    assert.equal(reported, null);
  });

  it("report what was counted last, and what was said at the start where that is not repeated", () => {
    const begun = start({ input_tokens: 10, cache_read_input_tokens: 90, output_tokens: 1 });
    assert.deepEqual(read("messages", begun, delta({ output_tokens: 7 })).usage, usage(100, 7, 90));
    const all = { input_tokens: 5, cache_read_input_tokens: null, output_tokens: 7 };
    assert.deepEqual(read("messages", begun, delta(all)).usage, usage(95, 7, 90));
    assert.deepEqual(read("messages", delta({ input_tokens: 2, output_tokens: 3 })).usage, usage(2, 3));
  });

  it("are whole with `message_stop`, and not before", () => {
    assert.equal(read("messages", delta({ output_tokens: 1 })).isWhole, false);
    const { isDone, isWhole, finishReason } = read("messages", delta(), { type: "message_stop" });
    assert.deepEqual({ isDone, isWhole, finishReason }, { isDone: true, isWhole: true, finishReason: "end_turn" });
  });

  it("may be an error, by type or by content", () => {
    const error = { type: "overloaded_error", message: "m" };
    assert.deepEqual(read("messages", { type: "error", error }).error, { type: "error", error });
    assert.notEqual(read("messages", { error: { code: "1302" } }).error, null);
  });
});

describe("a response's events", () => {
  it("are whole with its completion, cut short or not, and report its usage", () => {
    for (const status of ["completed", "incomplete"]) {
      const counts = { input_tokens: 4, output_tokens: 5, input_tokens_details: { cached_tokens: 3 } };
      const facts = read("responses", { type: `response.${status}`, response: { status, usage: counts } });
      assert.deepEqual(facts, {
        isDone: true,
        isWhole: true,
        finishReason: status,
        usage: usage(4, 5, 3),
        error: null,
        isTruncated: false,
        hasUnread: false,
      });
    }
  });

  it("may be an error, with its words where they stand", () => {
    const failure = { code: "server_error", message: "m" };
    const events = [
      { type: "error", ...failure, sequence_number: 3 },
      { type: "error", error: failure },
      { type: "response.failed", response: { status: "failed", error: failure } },
    ];
    for (const event of events) assert.deepEqual(read("responses", event).error, { error: failure });
  });
});

describe("createEventReader()", () => {
  it("does not look into events whose name says that they only add to an answer", () => {
    const huge = "x".repeat(1024 * 1024);
    const events: [AnswerFormat, string][] = [
      ["messages", `event: content_block_delta\ndata: {"type":"error","error":{"message":"${huge}"}}\n\n`],
      ["responses", `event: response.output_text.delta\r\ndata: {"type":"error","message":"${huge}"}\r\n\r\n`],
    ];
    for (const [format, event] of events) {
      const facts = createStreamFacts();
      createEventReader(format).read(Buffer.from(event), facts);
      assert.equal(facts.error, null, "only its name was read");
    }
  });
});

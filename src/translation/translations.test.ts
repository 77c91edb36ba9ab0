// What holds for any answer in any shape: the client that reads the stream has in the end what the client that asked for
// the whole has, and every event stands where its dialect wants it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { Refusal } from "../base/refusal.ts";
import { createSseScanner } from "../base/sse-scanner.ts";
import type { Translation } from "../base/translation.ts";
import type { TranslationContext } from "./context.ts";
import type { Fields } from "./fields.ts";
import { anySaid, anyShape, type Said, type Shape, toCompletion, toEvents } from "./fixtures/chat-answers.ts";
import { translateMessages } from "./messages/translate-messages.ts";
import { translateResponses } from "./responses/translate-responses.ts";

const context: TranslationContext = {
  requestId: "0199-a",
  model: "claude-x",
  upstreamModel: "glm-4.7",
  upstreamKind: "glm",
  nowSeconds: 1_700_000_000,
  inputTokensEstimate: 12,
};
const messageBody = { model: "claude-x", max_tokens: 9, messages: [{ role: "user", content: "hi" }] };
const responseBody = { model: "gpt-x", input: "hi" };

interface Event {
  readonly name: string | undefined;
  readonly data: Fields;
}

function run(translation: Translation, pushes: readonly Buffer[]): { events: Event[]; bytes: Buffer } {
  const stream = translation.openStream();
  const said = [...pushes.map((events) => stream.push(events)), stream.end()].filter((bytes) => bytes !== null);
  assert.equal(stream.end(), null, "its end is said once");
  const bytes = Buffer.concat(said);
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ name: event, data: JSON.parse(data) as Fields }),
    onError: (error) => assert.fail(error),
  });
  parser.feed(bytes.toString());
  for (const { name, data } of events) assert.equal(name, data.type);
  return { events, bytes };
}

/** As Anthropic's clients put a message together. */
function assembleMessage(events: readonly Event[]): Fields {
  const [start] = events;
  assert.equal(start?.name, "message_start");
  const message = { ...(start?.data.message as Fields) };
  const blocks: Record<string, unknown>[] = [];
  const texts: string[] = [];
  let open = -1;
  for (const { name, data } of events.slice(1)) {
    if (name === "content_block_start") {
      assert.equal(open, -1, "one block at a time");
      open = data.index as number;
      assert.equal(open, blocks.length);
      blocks.push({ ...(data.content_block as Fields) });
      texts.push("");
    } else if (name === "content_block_delta") {
      assert.equal(data.index, open);
      const { thinking, text, partial_json: json } = data.delta as Record<string, string | undefined>;
      texts[open] += thinking ?? text ?? json ?? "";
    } else if (name === "content_block_stop") {
      assert.equal(data.index, open);
      open = -1;
    } else if (name === "message_delta") {
      Object.assign(message, data.delta, { usage: data.usage });
    }
  }
  assert.equal(events.at(-1)?.name, "message_stop");
  assert.equal(open, -1, "every block has ended");
  for (const [index, block] of blocks.entries()) {
    if (block.type === "thinking") block.thinking = texts[index];
    else if (block.type === "text") block.text = texts[index];
    else block.input = JSON.parse(texts[index] || "{}") as unknown;
  }
  return { ...message, content: blocks };
}

/** As OpenAI's clients put a response together, by its events alone; the last one must say the same. */
function assembleResponse(events: readonly Event[]): Fields {
  assert.deepEqual(
    events.slice(0, 2).map(({ name }) => name),
    ["response.created", "response.in_progress"],
  );
  assert.deepEqual(
    events.map(({ data }) => data.sequence_number),
    events.map((_, index) => index),
  );
  const output: Fields[] = [];
  let text = "";
  for (const { name, data } of events.slice(2, -1)) {
    if (name === "response.output_item.added") {
      assert.equal(data.output_index, output.length);
      text = "";
    } else if (name?.endsWith(".delta")) text += data.delta as string;
    else if (name === "response.output_text.done" || name === "response.reasoning_summary_text.done") {
      assert.equal(data.text, text);
    } else if (name === "response.function_call_arguments.done") assert.equal(data.arguments, text);
    else if (name === "response.output_item.done") output.push(data.item as Fields);
  }
  const response = events.at(-1)?.data.response as Fields;
  assert.deepEqual(response.output, output);
  return response;
}

/** Anthropic's input is an object; what a model wrote beside that is judged elsewhere. */
function withObjects(said: Said): Said {
  return { ...said, toolCalls: said.toolCalls.map((call) => ({ ...call, arguments: `{"x":${call.arguments}}` })) };
}

/** Took tokens, ended well, and holds nothing: no client may take it for an answer. */
function isEmpty({ reasoning, content, toolCalls, finishReason, usage }: Said): boolean {
  const isNormalEnd = finishReason === "stop" || finishReason === "tool_calls";
  return isNormalEnd && usage.completion_tokens > 0 && reasoning + content === "" && toolCalls.length === 0;
}

function rejectsBoth(translation: Translation, said: Said, shape: Shape): void {
  assert.throws(() => run(translation, toEvents(said, shape)), { reason: "upstream_failed" });
  assert.throws(() => translation.translateWhole(toCompletion(said)), { reason: "upstream_failed" });
}

describe("a translated stream", () => {
  it("is the whole message in the end, whatever its pieces", () => {
    fc.assert(
      fc.property(anySaid, anyShape, (any, shape) => {
        const said = withObjects(any);
        const translation = translateMessages(messageBody, context);
        if (isEmpty(said)) return rejectsBoth(translation, said, shape);
        const { events, bytes } = run(translation, toEvents(said, shape));
        const whole = translation.translateWhole(toCompletion(said)) as Fields;
        assert.deepEqual(assembleMessage(events), JSON.parse(JSON.stringify(whole)));
        const scanner = createSseScanner({ format: "messages" });
        scanner.push(bytes);
        assert.ok(scanner.isDone && scanner.usage?.completionTokens === said.usage.completion_tokens);
      }),
      { numRuns: 400 },
    );
  });

  it("is the whole response in the end, whatever its pieces", () => {
    fc.assert(
      fc.property(anySaid, anyShape, (said, shape) => {
        const translation = translateResponses(responseBody, context);
        if (isEmpty(said)) return rejectsBoth(translation, said, shape);
        const { events, bytes } = run(translation, toEvents(said, shape));
        assert.deepEqual(assembleResponse(events), translation.translateWhole(toCompletion(said)));
        const scanner = createSseScanner({ format: "responses" });
        scanner.push(bytes);
        assert.ok(scanner.isDone && scanner.usage?.promptTokens === said.usage.prompt_tokens);
      }),
      { numRuns: 400 },
    );
  });

  it("says the same however its events come together", () => {
    fc.assert(
      fc.property(anySaid, anyShape, fc.infiniteStream(fc.nat(3)), (said, shape, sizes) => {
        const events = toEvents(said, shape);
        const joined: Buffer[] = [];
        for (const left = [...events]; left.length > 0; ) {
          joined.push(Buffer.concat(left.splice(0, 1 + (sizes.next().value as number))));
        }
        fc.pre(!isEmpty(said));
        for (const translate of [translateMessages, translateResponses]) {
          const body = { ...messageBody, ...responseBody };
          assert.ok(run(translate(body, context), events).bytes.equals(run(translate(body, context), joined).bytes));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("has a tool's arguments as the model wrote them, a megabyte and its numbers too", () => {
    const text = `{"n":123456789012345678901234567890,"t":"${"\\u4f60\\ud83d\\ude00 ".repeat(60_000)}"}`;
    const said: Said = {
      reasoning: "",
      content: "",
      toolCalls: [{ id: "c", name: "f", arguments: text }],
      finishReason: "tool_calls",
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    };
    const shape = {
      size: 999,
      tools: "pieces",
      indexes: "counted",
      usage: "last",
      lineEnd: "\n",
      hasDone: true,
    } as const;
    const pieces = toEvents(said, { ...shape, nulls: false, comments: false });
    const { events } = run(translateMessages(messageBody, context), pieces);
    const seen = events.flatMap(
      ({ data }) => (data.delta as { partial_json?: string } | undefined)?.partial_json ?? [],
    );
    assert.equal(seen.join(""), text);
    const response = assembleResponse(run(translateResponses(responseBody, context), pieces).events);
    assert.equal((response.output as { arguments: string }[])[0]?.arguments, text);
  });

  it("keeps mixed tool calls apart", () => {
    const delta = (index: number, more: object) => ({ choices: [{ delta: { tool_calls: [{ index, ...more }] } }] });
    const chunks = [
      delta(0, { id: "a", function: { name: "f", arguments: '{"x":' } }),
      delta(1, { id: "b", function: { name: "g", arguments: '{"y":' } }),
      delta(0, { function: { arguments: "1}" } }),
      delta(1, { function: { arguments: "2}" } }),
      { choices: [{ delta: {}, finish_reason: "tool_calls" }] },
    ];
    const events = chunks.map((chunk) => Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`));
    const { content } = assembleMessage(run(translateMessages(messageBody, context), events).events);
    assert.deepEqual(
      (content as Fields[]).map(({ name, input }) => [name, input]),
      [
        ["f", { x: 1 }],
        ["g", { y: 2 }],
      ],
    );
  });

  it("loses no piece of a call that the model spoke beside", () => {
    const call = (more: object) => ({ tool_calls: [{ index: 0, ...more }] });
    const deltas = [
      { content: "a" },
      call({ id: "c", function: { name: "f", arguments: '{"x":' } }),
      { content: "\n", reasoning_content: "hm" },
      call({ function: { arguments: "1}" } }),
      { content: "b" },
    ];
    const choices = [...deltas.map((delta) => ({ delta })), { delta: {}, finish_reason: "tool_calls" }];
    const events = choices.map((choice) => Buffer.from(`data: ${JSON.stringify({ choices: [choice] })}\n\n`));
    const message = assembleMessage(run(translateMessages(messageBody, context), events).events);
    assert.deepEqual(message.content, [
      { type: "text", text: "a" },
      { type: "tool_use", id: "c", name: "f", input: { x: 1 } },
      { type: "thinking", thinking: "hm", signature: "" },
      { type: "text", text: "\nb" },
    ]);
    const { output } = assembleResponse(run(translateResponses(responseBody, context), events).events);
    assert.deepEqual(
      (output as Fields[]).map(({ type, arguments: text }) => text ?? type),
      ["message", '{"x":1}', "reasoning", "message"],
    );
  });

  it("is over with [DONE], whatever follows", () => {
    const chunk = (content: string) =>
      `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: "stop" }] })}\n\n`;
    const events = Buffer.from(`${chunk("a")}data: [DONE]\n\n${chunk("late")}`);
    for (const translation of [translateMessages(messageBody, context), translateResponses(responseBody, context)]) {
      assert.ok(!run(translation, [events]).bytes.includes("late"));
    }
  });

  it("is rejected when the model could not finish, and without a reason for its end", () => {
    const cases = [
      ["network_error", "upstream_failed"],
      ["error", "upstream_failed"],
      ["abort", "upstream_failed"],
      [null, "upstream_truncated"],
      ["", "upstream_truncated"],
    ] as const;
    for (const [finish_reason, reason] of cases) {
      const chunk = { choices: [{ index: 0, delta: { content: "x" }, finish_reason }] };
      const events = [Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`)];
      for (const translation of [translateMessages(messageBody, context), translateResponses(responseBody, context)])
        assert.throws(() => run(translation, events), { reason }, String(finish_reason));
    }
  });
});

describe("a translated answer", () => {
  const answer = (message: object, finish_reason: string) => ({ choices: [{ index: 0, message, finish_reason }] });
  const calls = (...texts: readonly string[]) => {
    return { tool_calls: texts.map((text, index) => ({ index, function: { name: "f", arguments: text } })) };
  };
  const toMessage = (completion: object) =>
    translateMessages(messageBody, context).translateWhole(completion) as Fields;
  const toResponse = (completion: object) =>
    translateResponses(responseBody, context).translateWhole(completion) as Fields;

  it("says that it wants tools when it does, whatever its reason is called", () => {
    const reasons = [
      [calls("{}"), "tool_calls", "tool_use"],
      [calls("{}"), "stop", "tool_use"],
      [calls("{}"), "length", "max_tokens"],
      [{ content: "x" }, "tool_calls", "end_turn"],
      [{ content: "x" }, "content_filter", "refusal"],
      [{ refusal: "no" }, "stop", "refusal"],
      [{ content: "x" }, "model_context_window_exceeded", "model_context_window_exceeded"],
      [{ content: "x" }, "sensitive", "refusal"],
    ] as const;
    for (const [message, reason, expected] of reasons) {
      assert.equal(toMessage(answer(message, reason)).stop_reason, expected, reason);
    }
  });

  it("keeps numbers that JavaScript can't hold", () => {
    const text = '{"n":12345678901234567890,"m":-9007199254740993,"f":0.1}';
    assert.ok(JSON.stringify(toMessage(answer(calls(text), "tool_calls"))).includes(text));
  });

  it("is a failure when the model could not finish it", () => {
    const broken = answer({ content: "x" }, "network_error");
    for (const translate of [toMessage, toResponse])
      assert.throws(() => translate(broken), { reason: "upstream_failed" });
  });
});

describe("a request", () => {
  it("has short placeholders, however long what they stand for", () => {
    const long = "x".repeat(1_000_000);
    const item = {
      role: "user",
      content: [{ type: long }, { type: "document", title: long }, { type: "input_file", filename: long }],
    };
    const body = { ...messageBody, messages: [item], input: [item] };
    for (const translate of [translateMessages, translateResponses])
      assert.ok(translate(body, context).chatBody.length < 1_000);
  });

  it("is translated or refused by the name of a field, whatever it holds", () => {
    const names = ["messages", "system", "input", "instructions", "tools", "tool_choice", "thinking", "metadata"];
    const kinds = ["text", "image", "tool_use", "tool_result", "thinking", "message", "function_call", "reasoning"];
    const anyBlock = fc.record(
      {
        type: fc.oneof(fc.constantFrom(...kinds), fc.jsonValue({ maxDepth: 1 })),
        role: fc.constantFrom("user", "assistant", "developer", 7),
        text: fc.jsonValue({ maxDepth: 1 }),
        content: fc.oneof(fc.string(), fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 })),
        id: fc.oneof(fc.string(), fc.integer()),
        source: fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: [] },
    );
    const anyValue = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.array(anyBlock, { maxLength: 4 }));
    const anyBody = fc.dictionary(fc.constantFrom(...names), anyValue);
    fc.assert(
      fc.property(anyBody, (body) => {
        for (const translate of [translateMessages, translateResponses]) {
          try {
            const { chatBody } = translate(body, context);
            assert.equal((JSON.parse(chatBody.toString()) as Fields).model, "glm-4.7");
          } catch (error) {
            assert.ok(error instanceof Refusal && error.reason === "invalid_field", String(error));
            assert.ok((error.facts.param ?? "").length > 0);
          }
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

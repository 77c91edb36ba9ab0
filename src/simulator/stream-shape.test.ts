import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChatAnswer } from "./chat-answer.ts";
import { type StreamProfile, toFrames, toJsonBody } from "./stream-shape.ts";

const answer: ChatAnswer = {
  id: "2026112320150000",
  model: "glm-4.5-flash",
  createdSeconds: 1_700_000_000,
  reasoning: ["hm"],
  content: ["the", " gateway"],
  toolCall: null,
  finishReason: "stop",
  usage: {
    prompt_tokens: 4,
    completion_tokens: 3,
    total_tokens: 7,
    prompt_tokens_details: { cached_tokens: 1 },
    completion_tokens_details: { reasoning_tokens: 1 },
  },
};
const toolCall = { id: "call_1", name: "get_weather", arguments: '{"city":"Lisbon"}' };
const toolAnswer: ChatAnswer = { ...answer, reasoning: [], content: [], toolCall, finishReason: "tool_calls" };

interface Frame {
  readonly id: string;
  readonly object?: string;
  readonly usage?: object;
  readonly choices: readonly [{ delta: Record<string, unknown>; finish_reason?: string | null }];
}

function shape(profile: StreamProfile, hasToolStream = false, said = answer): Frame[] {
  return [...toFrames(said, profile, hasToolStream)] as Frame[];
}

const deltas = (frames: readonly Frame[]) => frames.map(({ choices: [{ delta }] }) => delta);

describe("a whole answer on the wire", () => {
  it("has a message, the reason of its end, usage and the client's request id, or its own", () => {
    assert.deepEqual(toJsonBody(answer, "mine"), {
      id: "2026112320150000",
      request_id: "mine",
      created: 1_700_000_000,
      model: "glm-4.5-flash",
      object: "chat.completion",
      choices: [
        {
          index: 0,
          finish_reason: "stop",
          message: { role: "assistant", content: "the gateway", reasoning_content: "hm" },
        },
      ],
      usage: answer.usage,
    });
    assert.equal((toJsonBody(answer, null) as { request_id: string }).request_id, answer.id);
  });

  it("has a tool's call in place of the content", () => {
    const body = toJsonBody(toolAnswer, null) as { choices: [{ message: Record<string, unknown> }] };
    const { message } = body.choices[0];
    assert.equal(message.content, null);
    assert.deepEqual(message.tool_calls, [
      { index: 0, id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Lisbon"}' } },
    ]);
  });
});

describe("a streamed answer on the wire", () => {
  for (const profile of ["docs", "wire2024", "wire2026"] as const) {
    it(`in the shape ${profile} has one piece a frame, and usage with the reason of its end in the last`, () => {
      const frames = shape(profile);
      assert.equal(frames.length, 4);
      const says = (name: string) =>
        deltas(frames)
          .map((delta) => delta[name] ?? "")
          .join("");
      assert.equal(says("content"), "the gateway");
      assert.equal(says("reasoning_content"), "hm");
      assert.deepEqual(
        frames.map(({ usage }) => usage),
        [undefined, undefined, undefined, answer.usage],
      );
      assert.deepEqual(
        frames.map(({ choices: [choice] }) => choice.finish_reason ?? null),
        [null, null, null, "stop"],
      );
    });
  }

  it("as documented has the role in the last frame only, and a null reason in the others", () => {
    const frames = shape("docs");
    assert.deepEqual(deltas(frames), [
      { reasoning_content: "hm" },
      { content: "the" },
      { content: " gateway" },
      { role: "assistant", content: "" },
    ]);
    assert.equal(frames[0]?.choices[0].finish_reason, null);
    assert.equal(frames[0]?.object, undefined);
  });

  it("as seen in 2024 has role and content in every frame, and no reason before the last", () => {
    const frames = shape("wire2024");
    assert.deepEqual(deltas(frames)[0], { role: "assistant", content: "", reasoning_content: "hm" });
    assert.ok(frames.every(({ choices: [{ delta }] }) => delta.role === "assistant" && delta.content !== undefined));
    assert.equal(frames.filter(({ choices: [choice] }) => "finish_reason" in choice).length, 1);
    assert.equal(frames[0]?.object, undefined);
  });

  it("as seen in 2026 names its object, and has the role in the first frame", () => {
    const frames = shape("wire2026");
    assert.ok(frames.every(({ object }) => object === "chat.completion.chunk"));
    assert.deepEqual(
      deltas(frames).map(({ role }) => role),
      ["assistant", undefined, undefined, "assistant"],
    );
  });

  it("has a tool's arguments whole in the last frame, or in pieces with tool_stream", () => {
    const collect = (hasToolStream: boolean) =>
      deltas(shape("wire2026", hasToolStream, toolAnswer)).flatMap(
        ({ tool_calls: calls }) => (calls ?? []) as { id: string; function: { name: string; arguments: string } }[],
      );
    assert.deepEqual(
      collect(false).map(({ function: called }) => called.arguments),
      [toolCall.arguments],
    );
    const pieces = collect(true);
    assert.deepEqual(
      pieces.map(({ function: called }) => called.arguments),
      ["", '{"city', '":"Lis', 'bon"}'],
    );
    assert.ok(pieces.every(({ id, function: { name } }) => id === "call_1" && name === "get_weather"));
  });
});

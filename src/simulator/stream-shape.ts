// How GLM writes an answer: one JSON object, or frames in one of the shapes that were seen over the years.
//   docs: role only in the last frame · wire2024: role and content in every one · wire2026: `object`, role in the first
// Usage comes in the last frame, with the finish_reason. Without tool_stream, arguments arrive whole, in that frame.

import type { ChatAnswer, ToolCall } from "./chat-answer.ts";

export type StreamProfile = "docs" | "wire2024" | "wire2026";

export function toJsonBody(answer: ChatAnswer, requestId: string | null): object {
  const { toolCall, reasoning } = answer;
  const message = {
    role: "assistant",
    content: toolCall ? null : answer.content.join(""),
    ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
    ...(toolCall && { tool_calls: [toToolDelta(toolCall, toolCall.arguments)] }),
  };
  return {
    id: answer.id,
    request_id: requestId ?? answer.id,
    created: answer.createdSeconds,
    model: answer.model,
    object: "chat.completion",
    choices: [{ index: 0, finish_reason: answer.finishReason, message }],
    usage: answer.usage,
  };
}

/** The frames' JSON objects in order, [DONE] not among them. */
export function* toFrames(answer: ChatAnswer, profile: StreamProfile, hasToolStream: boolean): Generator<object> {
  let isFirst = true;
  for (const delta of toDeltas(answer, hasToolStream)) {
    yield toFrame(answer, profile, dress(delta, profile, isFirst));
    isFirst = false;
  }
  const { toolCall } = answer;
  const wholeCall = toolCall && !hasToolStream ? { tool_calls: [toToolDelta(toolCall, toolCall.arguments)] } : {};
  yield toFrame(answer, profile, { role: "assistant", content: "", ...wholeCall }, answer.finishReason);
}

function* toDeltas({ reasoning, content, toolCall }: ChatAnswer, hasToolStream: boolean): Generator<object> {
  for (const text of reasoning) yield { reasoning_content: text };
  for (const text of content) yield { content: text };
  if (!toolCall || !hasToolStream) return;
  const fragments = toolCall.arguments.match(/.{1,6}/gsu) ?? [];
  for (const text of ["", ...fragments]) yield { content: null, tool_calls: [toToolDelta(toolCall, text)] };
}

function dress(delta: object, profile: StreamProfile, isFirst: boolean): object {
  switch (profile) {
    case "docs":
      return delta;
    case "wire2024":
      return { role: "assistant", content: "", ...delta };
    case "wire2026":
      return isFirst ? { role: "assistant", ...delta } : delta;
  }
}

function toFrame(answer: ChatAnswer, profile: StreamProfile, delta: object, finishReason?: string): object {
  const unfinished = profile === "docs" ? { finish_reason: null } : {};
  const finish = finishReason === undefined ? unfinished : { finish_reason: finishReason };
  return {
    id: answer.id,
    created: answer.createdSeconds,
    ...(profile === "wire2026" && { object: "chat.completion.chunk" }),
    model: answer.model,
    choices: [{ index: 0, ...finish, delta }],
    ...(finishReason !== undefined && { usage: answer.usage }),
  };
}

function toToolDelta(call: ToolCall, text: string): object {
  return { index: 0, id: call.id, type: "function", function: { name: call.name, arguments: text } };
}

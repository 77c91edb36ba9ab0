// How GLM writes an answer: one JSON object, or frames in one of the shapes that were seen over the years.
//   docs: role only in the last frame · wire2024: role in every one · wire2026: `object`, role in the first
// Usage comes in the last frame, with the finish_reason. Without tool_stream, arguments arrive whole.

import type { ChatAnswer } from "./chat-answer.ts";

export type StreamProfile = "docs" | "wire2024" | "wire2026";

export function toJsonBody(answer: ChatAnswer, requestId: string | null): string {
  const { toolCall } = answer;
  return JSON.stringify({
    id: answer.id,
    request_id: requestId ?? answer.id,
    created: answer.createdSeconds,
    model: answer.model,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        finish_reason: answer.finishReason,
        message: {
          role: "assistant",
          content: toolCall ? null : answer.content.join(""),
          ...(answer.reasoning.length > 0 && { reasoning_content: answer.reasoning.join("") }),
          ...(toolCall && { tool_calls: [toToolCall(toolCall, toolCall.arguments, 0)] }),
        },
      },
    ],
    usage: answer.usage,
  });
}

/** The frames' JSON objects in order, [DONE] not among them. */
export function toFrames(answer: ChatAnswer, profile: StreamProfile, hasToolStream: boolean): object[] {
  const deltas: object[] = [
    ...answer.reasoning.map((text) => ({ reasoning_content: text })),
    ...answer.content.map((text) => ({ content: text })),
    ...toToolDeltas(answer, hasToolStream),
  ];
  const frames = deltas.map((delta, index) => {
    const hasRole = profile === "wire2024" || (profile === "wire2026" && index === 0);
    return toFrame(answer, profile, { ...(hasRole && { role: "assistant" }), ...delta });
  });
  const isToolWhole = answer.toolCall !== null && !hasToolStream;
  const lastDelta = {
    role: "assistant",
    content: "",
    ...(isToolWhole && answer.toolCall && { tool_calls: [toToolCall(answer.toolCall, answer.toolCall.arguments, 0)] }),
  };
  return [...frames, toFrame(answer, profile, lastDelta, answer.finishReason)];
}

function toFrame(answer: ChatAnswer, profile: StreamProfile, delta: object, finishReason?: string): object {
  return {
    id: answer.id,
    created: answer.createdSeconds,
    ...(profile === "wire2026" && { object: "chat.completion.chunk" }),
    model: answer.model,
    choices: [
      {
        index: 0,
        ...(finishReason !== undefined
          ? { finish_reason: finishReason }
          : profile === "docs"
            ? { finish_reason: null }
            : {}),
        delta,
      },
    ],
    ...(finishReason !== undefined && { usage: answer.usage }),
  };
}

function toToolDeltas({ toolCall }: ChatAnswer, hasToolStream: boolean): object[] {
  if (!toolCall || !hasToolStream) return [];
  const pieces = toolCall.arguments.match(/.{1,6}/gsu) ?? [];
  return ["", ...pieces].map((piece) => ({ content: null, tool_calls: [toToolCall(toolCall, piece, 0)] }));
}

function toToolCall(call: { id: string; name: string }, text: string, index: number): object {
  return { index, id: call.id, type: "function", function: { name: call.name, arguments: text } };
}

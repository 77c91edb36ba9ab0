// How GLM writes an answer in Anthropic's dialect: one message, or events.
//   message_start (usage 0/0) ─▶ ping ─▶ for each block: start ─▶ deltas ─▶ stop ─▶ message_delta (usage) ─▶ message_stop

import type { ChatAnswer, ToolCall } from "./chat-answer.ts";

export interface MessageEvent {
  readonly type: string;
}

export function toMessage(answer: ChatAnswer): object {
  const { reasoning, content, toolCall } = answer;
  const blocks = [
    ...(reasoning.length > 0 ? [toThinking(reasoning.join(""))] : []),
    ...(content.length > 0 || (!toolCall && reasoning.length === 0) ? [{ type: "text", text: content.join("") }] : []),
    ...(toolCall ? [{ ...toToolUse(toolCall), input: parseInput(toolCall.arguments) }] : []),
  ];
  return { ...openMessage(answer), content: blocks, ...toEnd(answer), usage: toUsage(answer) };
}

export function* toMessageEvents(answer: ChatAnswer): Generator<MessageEvent> {
  const { reasoning, content, toolCall } = answer;
  const opening = { ...openMessage(answer), content: [], stop_reason: null, stop_sequence: null };
  yield event("message_start", { message: { ...opening, usage: { input_tokens: 0, output_tokens: 0 } } });
  yield event("ping", {});
  let index = 0;
  if (reasoning.length > 0) {
    yield* toBlock(index++, toThinking(""), reasoning, (thinking) => ({ type: "thinking_delta", thinking }));
  }
  if (content.length > 0) {
    yield* toBlock(index++, { type: "text", text: "" }, content, (text) => ({ type: "text_delta", text }));
  }
  if (toolCall) {
    const fragments = toolCall.arguments.match(/.{1,6}/gsu) ?? [];
    const toDelta = (text: string) => ({ type: "input_json_delta", partial_json: text });
    yield* toBlock(index++, { ...toToolUse(toolCall), input: {} }, fragments, toDelta);
  }
  yield event("message_delta", { delta: toEnd(answer), usage: toUsage(answer) });
  yield event("message_stop", {});
}

function* toBlock(
  index: number,
  block: object,
  texts: readonly string[],
  toDelta: (text: string) => object,
): Generator<MessageEvent> {
  yield event("content_block_start", { index, content_block: block });
  for (const text of texts) yield event("content_block_delta", { index, delta: toDelta(text) });
  yield event("content_block_stop", { index });
}

function event(type: string, more: object): MessageEvent {
  return { type, ...more };
}

function openMessage({ id, model }: ChatAnswer): object {
  return { id: `msg_${id}`, type: "message", role: "assistant", model };
}

function toThinking(thinking: string): object {
  return { type: "thinking", thinking, signature: "" };
}

function toToolUse({ id, name }: ToolCall): object {
  return { type: "tool_use", id, name };
}

const stopReasons = { stop: "end_turn", tool_calls: "tool_use", length: "max_tokens" } as const;

function toEnd({ finishReason }: ChatAnswer): object {
  return { stop_reason: stopReasons[finishReason], stop_sequence: null };
}

/** Here, what was cached does not count as input. */
function toUsage({ usage }: ChatAnswer): object {
  const { cached_tokens: cached } = usage.prompt_tokens_details;
  return {
    input_tokens: usage.prompt_tokens - cached,
    cache_read_input_tokens: cached,
    output_tokens: usage.completion_tokens,
  };
}

/** Arguments that were cut are none. */
function parseInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

// A chat completion as a message.

import type { Usage } from "../../base/answer.ts";
import { type EndReason, readCompletion, readEnd } from "../chat-answer.ts";
import type { TranslationContext } from "../context.ts";
import { parseExactJson } from "../exact-json.ts";
import type { Fields } from "../fields.ts";
import { toArguments } from "../tool-calls.ts";

/** Throws what `readEnd` throws. */
export function toMessage(completion: unknown, context: TranslationContext): Fields {
  const { reasoning, content, refusal, toolCalls, finishReason, usage } = readCompletion(completion);
  const blocks: Fields[] = [];
  if (reasoning !== "") blocks.push({ type: "thinking", thinking: reasoning, signature: "" });
  if (content + refusal !== "") blocks.push({ type: "text", text: content + refusal });
  const named = toolCalls.filter(({ name }) => name !== "");
  const usedIds = new Set<string>();
  for (const [ordinal, { id: own, name, arguments: text }] of named.entries()) {
    const id = own === "" || usedIds.has(own) ? toToolId(context, ordinal) : own;
    usedIds.add(id);
    blocks.push({ type: "tool_use", id, name, input: parseInput(text) });
  }
  const end = readEnd({ finishReason, usage, hasContent: blocks.length > 0 });
  return {
    ...toHead(context),
    content: blocks,
    stop_reason: toStopReason(end, { usesTools: named.length > 0, hasRefused: refusal !== "" }),
    usage: toUsage(usage),
  };
}

export function toHead({ requestId, model }: TranslationContext): Fields {
  return { id: `msg_${requestId.replaceAll("-", "")}`, type: "message", role: "assistant", model, stop_sequence: null };
}

export function toToolId({ requestId }: TranslationContext, ordinal: number): string {
  return `toolu_${requestId.replaceAll("-", "")}_${ordinal}`;
}

/** Anthropic counts what came out of the cache beside the input. */
export function toUsage(usage: Usage | null): Fields {
  const { promptTokens, completionTokens, cachedTokens } = usage ?? {
    promptTokens: 0,
    completionTokens: 0,
    cachedTokens: 0,
  };
  return {
    input_tokens: Math.max(0, promptTokens - cachedTokens),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
  };
}

/** Clients run tools for `tool_use` only, while some upstreams end with "stop" after their calls. */
export function toStopReason(end: EndReason, said: { usesTools: boolean; hasRefused: boolean }): string {
  switch (end) {
    case "length":
      return "max_tokens";
    case "filtered":
      return "refusal";
    case "context_full":
      return "model_context_window_exceeded";
    case "stop":
      if (said.usesTools) return "tool_use";
      return said.hasRefused ? "refusal" : "end_turn";
  }
}

/** A model may write JSON that is none; its client then sees what it wrote. */
function parseInput(text: string): unknown {
  try {
    const input = parseExactJson(toArguments(text));
    return typeof input === "object" && input !== null ? input : { value: input };
  } catch {
    return { invalid_json: text };
  }
}

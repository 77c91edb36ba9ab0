// A chat completion as a message.

import type { Usage } from "../../base/answer.ts";
import { Refusal } from "../../base/refusal.ts";
import { readCompletion } from "../chat-answer.ts";
import type { TranslationContext } from "../context.ts";
import { parseExactJson } from "../exact-json.ts";
import type { Fields } from "../fields.ts";

/** Throws `upstream_failed` for an answer that its model could not finish. */
export function toMessage(completion: unknown, context: TranslationContext): Fields {
  const { reasoning, content, toolCalls, finishReason, usage } = readCompletion(completion);
  const blocks: Fields[] = [];
  if (reasoning !== "") blocks.push({ type: "thinking", thinking: reasoning, signature: "" });
  if (content !== "") blocks.push({ type: "text", text: content });
  // Its client would take a piece for the whole.
  if (finishReason === "network_error")
    throw new Refusal("upstream_failed", {}, "the model could not finish its answer");
  const named = toolCalls.filter(({ name }) => name !== "");
  for (const [ordinal, { id, name, arguments: text }] of named.entries()) {
    blocks.push({ type: "tool_use", id: id || toToolId(context, ordinal), name, input: parseInput(text) });
  }
  return {
    ...toHead(context),
    content: blocks,
    stop_reason: toStopReason(finishReason, named.length > 0),
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

/** Clients run tools for `tool_use` only, while some upstreams say "stop" beside their calls. */
export function toStopReason(finishReason: string | null, usesTools: boolean): string {
  switch (finishReason) {
    case "length":
      return "max_tokens";
    case "sensitive":
      return "refusal";
    case "model_context_window_exceeded":
      return "model_context_window_exceeded";
    default:
      return usesTools ? "tool_use" : "end_turn";
  }
}

/** A model may write JSON that is none; its client then sees what it wrote. */
function parseInput(text: string): unknown {
  try {
    const input = parseExactJson(text === "" ? "{}" : text);
    return typeof input === "object" && input !== null ? input : { value: input };
  } catch {
    return { invalid_json: text };
  }
}

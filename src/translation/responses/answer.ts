// A chat completion as a response: its head, its items, its end.

import type { Usage } from "../../base/answer.ts";
import { type ChatPiece, readCompletion } from "../chat-answer.ts";
import type { TranslationContext } from "../context.ts";
import type { Fields } from "../fields.ts";

/** What a client said is said back to it, since its types want it. */
export function toHead(body: Fields, { requestId, model, nowSeconds }: TranslationContext): Fields {
  return {
    id: `resp_${requestId.replaceAll("-", "")}`,
    object: "response",
    created_at: nowSeconds,
    model,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? null,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: body.top_p ?? null,
    truncation: "disabled",
    user: body.user ?? null,
  };
}

export function toResponse(completion: unknown, body: Fields, context: TranslationContext): Fields {
  const piece = readCompletion(completion);
  return { ...toHead(body, context), ...toEnd(piece, toItems(piece, context)) };
}

function toItems({ reasoning, content, toolCalls }: ChatPiece, context: TranslationContext): Fields[] {
  const items: Fields[] = [];
  const nextId = (kind: string) => toItemId(context, kind, items.length);
  if (reasoning !== "") items.push(toReasoningItem(nextId("rs"), reasoning));
  if (content !== "") items.push(toMessageItem(nextId("msg"), content, "completed"));
  const named = toolCalls.filter(({ name }) => name !== "");
  for (const [ordinal, { id, name, arguments: text }] of named.entries()) {
    const call = { id: id || toItemId(context, "call", ordinal), name };
    items.push(toCallItem(nextId("fc"), call, text, "completed"));
  }
  return items;
}

export function toItemId({ requestId }: TranslationContext, kind: string, index: number): string {
  return `${kind}_${requestId.replaceAll("-", "")}_${index}`;
}

export function toReasoningItem(id: string, text: string): Fields {
  return { id, type: "reasoning", summary: text === "" ? [] : [{ type: "summary_text", text }] };
}

export function toMessageItem(id: string, text: string, status: string): Fields {
  return { id, type: "message", role: "assistant", status, content: status === "completed" ? [toTextPart(text)] : [] };
}

export function toTextPart(text: string): Fields {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

export function toCallItem(id: string, call: { id: string; name: string }, text: string, status: string): Fields {
  return { id, type: "function_call", call_id: call.id, name: call.name, arguments: text, status };
}

/** The members that are known when all was said. */
export function toEnd(
  { finishReason, usage }: Pick<ChatPiece, "finishReason" | "usage">,
  output: readonly Fields[],
): Fields {
  const reason = toIncompleteReason(finishReason);
  const hasFailed = finishReason === "network_error";
  return {
    status: hasFailed ? "failed" : reason === null ? "completed" : "incomplete",
    error: hasFailed ? { code: "server_error", message: "The model could not finish its answer." } : null,
    incomplete_details: reason === null ? null : { reason },
    output,
    usage: toUsage(usage),
  };
}

function toIncompleteReason(finishReason: string | null): string | null {
  if (finishReason === "length" || finishReason === "model_context_window_exceeded") return "max_output_tokens";
  return finishReason === "sensitive" ? "content_filter" : null;
}

function toUsage(usage: Usage | null): Fields | null {
  if (usage === null) return null;
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = usage;
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  };
}

// A chat completion as a response: its head, its items, its end.

import type { Usage } from "../../base/answer.ts";
import { type ChatEnd, type ChatPiece, type EndReason, readCompletion, readEnd } from "../chat-answer.ts";
import type { TranslationContext } from "../context.ts";
import { type Fields, isFields } from "../fields.ts";
import { toArguments } from "../tool-calls.ts";
import type { ToolNames } from "../tool-names.ts";

/** What an answer is made for. */
export interface ResponseRequest {
  readonly body: Fields;
  readonly context: TranslationContext;
  readonly names: ToolNames;
}

/** Repeats what the client asked for, as its types want it, as far as it was applied. */
export function toHead({ body, context }: ResponseRequest): Fields {
  const { requestId, model, nowSeconds, upstreamKind } = context;
  return {
    id: `resp_${requestId.replaceAll("-", "")}`,
    object: "response",
    created_at: nowSeconds,
    model,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: upstreamKind === "glm" ? true : (body.parallel_tool_calls ?? true),
    previous_response_id: null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? null,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: toAppliedTools(body.tools),
    top_p: body.top_p ?? null,
    truncation: "disabled",
    user: body.user ?? null,
  };
}

function toAppliedTools(tools: unknown): unknown[] {
  if (!Array.isArray(tools)) return [];
  return tools.filter((tool) => isFields(tool) && (tool.type === "function" || tool.type === "namespace"));
}

/** Throws what `readEnd` throws. */
export function toResponse(completion: unknown, request: ResponseRequest): Fields {
  const piece = readCompletion(completion);
  const output = toItems(piece, request);
  return { ...toHead(request), ...toEnd({ ...piece, hasContent: output.length > 0 }, output) };
}

function toItems({ reasoning, content, refusal, toolCalls }: ChatPiece, request: ResponseRequest): Fields[] {
  const { context, names } = request;
  const items: Fields[] = [];
  const nextId = (kind: string) => toItemId(context, kind, items.length);
  if (reasoning !== "") items.push(toReasoningItem(nextId("rs"), reasoning));
  if (content !== "") items.push(toMessageItem(nextId("msg"), toTextPart(content)));
  if (refusal !== "") items.push(toMessageItem(nextId("msg"), toRefusalPart(refusal)));
  const named = toolCalls.filter(({ name }) => name !== "");
  const usedIds = new Set<string>();
  for (const [ordinal, { id: own, name, arguments: text }] of named.entries()) {
    const id = own === "" || usedIds.has(own) ? toItemId(context, "call", ordinal) : own;
    usedIds.add(id);
    items.push(toCallItem(nextId("fc"), { id, name }, toArguments(text), "completed", names));
  }
  return items;
}

export function toItemId({ requestId }: TranslationContext, kind: string, index: number): string {
  return `${kind}_${requestId.replaceAll("-", "")}_${index}`;
}

export function toReasoningItem(id: string, text: string): Fields {
  return { id, type: "reasoning", summary: text === "" ? [] : [{ type: "summary_text", text }] };
}

/** `part`: its whole text or refusal; null while it is still being written. */
export function toMessageItem(id: string, part: Fields | null): Fields {
  const status = part === null ? "in_progress" : "completed";
  return { id, type: "message", role: "assistant", status, content: part === null ? [] : [part] };
}

export function toTextPart(text: string): Fields {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

export function toRefusalPart(refusal: string): Fields {
  return { type: "refusal", refusal };
}

export function toCallItem(
  id: string,
  call: { readonly id: string; readonly name: string },
  text: string,
  status: string,
  names: ToolNames,
): Fields {
  const tool = names.find(call.name) ?? { name: call.name };
  return { id, type: "function_call", call_id: call.id, ...tool, arguments: text, status };
}

/** The members that are known at the end. Throws what `readEnd` throws. */
export function toEnd(end: ChatEnd, output: readonly Fields[]): Fields {
  const reason = incompleteReasons[readEnd(end)];
  return {
    status: reason === null ? "completed" : "incomplete",
    error: null,
    incomplete_details: reason === null ? null : { reason },
    output,
    usage: toUsage(end.usage),
  };
}

const incompleteReasons: Readonly<Record<EndReason, string | null>> = {
  stop: null,
  length: "max_output_tokens",
  context_full: "max_output_tokens",
  filtered: "content_filter",
};

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

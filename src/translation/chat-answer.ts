// Reads chat completions, whole and in chunks, in every form that GLM and compatible servers write: text as a string or
// as a list of parts, reasoning under several names, refusals, tool calls whole or in pieces, with or without their id,
// usage in the last chunk or in a chunk of its own.

import type { Usage } from "../base/answer.ts";
import { Refusal } from "../base/refusal.ts";
import { parseUsage } from "../base/usage.ts";
import { type Fields, isFields } from "./fields.ts";

/** What one chunk adds, or all that a whole answer holds. */
export interface ChatPiece {
  readonly reasoning: string;
  readonly content: string;
  /** The model's words when it declines to answer. */
  readonly refusal: string;
  readonly toolCalls: readonly ToolCallPiece[];
  readonly finishReason: string | null;
  readonly usage: Usage | null;
}

export interface ToolCallPiece {
  /** Which of several; pieces of one call share it. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** JSON, or a piece of it, as the model wrote it. */
  readonly arguments: string;
}

/** Why a model stopped, in the terms of both dialects. */
export type EndReason = "stop" | "length" | "context_full" | "filtered";

export function readCompletion(completion: unknown): ChatPiece {
  return readPiece(completion, "message");
}

export function readChunk(chunk: unknown): ChatPiece {
  return readPiece(chunk, "delta");
}

/** What is known of an answer at its end. */
export interface ChatEnd {
  readonly finishReason: string | null;
  readonly usage: Usage | null;
  /** Text, reasoning, a refusal or a tool call. */
  readonly hasContent: boolean;
}

/**
 * Why the answer ended. Throws `upstream_truncated` without a finish reason, and `upstream_failed` for an answer that the
 * model could not finish, or that took tokens and holds nothing: a client would take it for a whole one.
 */
export function readEnd({ finishReason, usage, hasContent }: ChatEnd): EndReason {
  const reason = toEndReason(finishReason);
  if (reason === "stop" && !hasContent && (usage?.completionTokens ?? 0) > 0)
    throw new Refusal("upstream_failed", {}, "the answer took tokens and holds neither text nor tool calls");
  return reason;
}

/** OpenAI's, GLM's and common servers' reasons; one that is not known is taken for a normal end. */
function toEndReason(finishReason: string | null): EndReason {
  switch (finishReason) {
    case null:
      throw new Refusal("upstream_truncated");
    case "network_error": // GLM
    case "error": // OpenRouter
    case "abort": // vLLM, SGLang
    case "insufficient_system_resource": // DeepSeek
      throw new Refusal("upstream_failed", {}, `the model could not finish its answer (${finishReason})`);
    case "length":
    case "max_tokens":
      return "length";
    case "model_context_window_exceeded":
      return "context_full";
    case "sensitive": // GLM
    case "content_filter":
      return "filtered";
    default:
      return "stop";
  }
}

/** The usage of a stream so far. Some servers end with zeros, or repeat their report. */
export function toLater(known: Usage | null, reported: Usage | null): Usage | null {
  const isReport = reported !== null && (known === null || reported.promptTokens + reported.completionTokens > 0);
  return isReport ? reported : known;
}

function readPiece(value: unknown, part: "message" | "delta"): ChatPiece {
  const { choices, usage } = isFields(value) ? value : ({} as Fields);
  const choice: unknown = Array.isArray(choices) ? choices[0] : null;
  const said = isFields(choice) && isFields(choice[part]) ? choice[part] : ({} as Fields);
  const finishReason = isFields(choice) ? choice.finish_reason : null;
  const content = readContent(said.content);
  return {
    reasoning: readReasoning(said) || content.reasoning,
    content: content.text || toText(isFields(said.audio) ? said.audio.transcript : ""),
    refusal: toText(said.refusal) || content.refusal,
    toolCalls: readToolCalls(said),
    // Some servers write "" until there is one.
    finishReason: toText(finishReason) || null,
    usage: parseUsage(usage),
  };
}

/** DeepSeek and GLM write `reasoning_content`, vLLM and OpenRouter `reasoning` or `reasoning_details`. */
function readReasoning({
  reasoning_content: content,
  reasoning,
  reasoning_details: details,
  thinking,
}: Fields): string {
  const first = toText(content) || toText(reasoning) || toText(thinking);
  if (first !== "" || !Array.isArray(details)) return first;
  return details.map((part) => (isFields(part) ? toText(part.text) || toText(part.summary) : "")).join("");
}

/** Text, or a list of parts with text, reasoning (Mistral) and refusals. */
function readContent(content: unknown): { text: string; reasoning: string; refusal: string } {
  const read = { text: "", reasoning: "", refusal: "" };
  if (!Array.isArray(content)) return { ...read, text: toText(content) };
  for (const part of content) {
    if (typeof part === "string") read.text += part;
    if (!isFields(part)) continue;
    read.refusal += toText(part.refusal);
    if (part.type === "thinking" || part.type === "reasoning")
      read.reasoning += toText(part.text) || readContent(part.thinking ?? part.reasoning).text;
    else read.text += toText(part.text);
  }
  return read;
}

/** `function_call` is the older form of a single call. */
function readToolCalls({ tool_calls: calls, function_call: called }: Fields): ToolCallPiece[] {
  if (Array.isArray(calls)) return calls.flatMap(readToolCall);
  return isFields(called) ? readToolCall({ function: called }, 0) : [];
}

function readToolCall(call: unknown, position: number): ToolCallPiece[] {
  if (!isFields(call)) return [];
  const { index, id, function: called } = call;
  const { name, arguments: args } = isFields(called) ? called : ({} as Fields);
  return [
    {
      index: Number.isSafeInteger(index) ? (index as number) : position,
      id: toText(id),
      name: toText(name),
      // GLM's reference says object, its wire says text.
      arguments: isFields(args) ? JSON.stringify(args) : toText(args),
    },
  ];
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

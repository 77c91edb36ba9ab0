// Token counts as upstreams report them, each API in its own shape. Never guessed, and none rather than a wrong one.

import type { Usage } from "./answer.ts";
import type { AnswerFormat } from "./answer-format.ts";

type Fields = Record<string, unknown>;

/** Null when `value` is no usage object of that shape with sensible counts. */
export function parseUsage(value: unknown, format: AnswerFormat = "chat"): Usage | null {
  if (!isFields(value)) return null;
  return format === "messages" || format === "responses"
    ? parseInputOutput(value, format)
    : parsePromptCompletion(value);
}

/** Of a whole answer as parsed JSON: wherever its API has them. */
export function findUsage(body: unknown, format: AnswerFormat): Usage | null {
  return isFields(body) ? parseUsage(body.usage, format) : null;
}

/** Chat completions; embeddings and the like, which have no answer to count. */
function parsePromptCompletion(usage: Fields): Usage | null {
  const promptTokens = toCount(usage.prompt_tokens) ?? toCount(usage.total_tokens);
  // What is said, but is no count, is not to be believed.
  const completionTokens = usage.completion_tokens === undefined ? 0 : toCount(usage.completion_tokens);
  if (promptTokens === null || completionTokens === null) return null;
  return {
    promptTokens,
    completionTokens,
    cachedTokens: countIn(usage.prompt_tokens_details, "cached_tokens"),
    reasoningTokens: countIn(usage.completion_tokens_details, "reasoning_tokens"),
  };
}

/** Anthropic counts what came out of the cache, and what went into it, beside the input; OpenAI within it. */
function parseInputOutput(usage: Fields, format: "messages" | "responses"): Usage | null {
  const inputTokens = toCount(usage.input_tokens);
  const completionTokens = toCount(usage.output_tokens);
  if (inputTokens === null || completionTokens === null) return null;
  if (format === "responses") {
    return {
      promptTokens: inputTokens,
      completionTokens,
      cachedTokens: countIn(usage.input_tokens_details, "cached_tokens"),
      reasoningTokens: countIn(usage.output_tokens_details, "reasoning_tokens"),
    };
  }
  const cachedTokens = toCount(usage.cache_read_input_tokens) ?? 0;
  const cachingTokens = toCount(usage.cache_creation_input_tokens) ?? 0;
  return {
    promptTokens: inputTokens + cachedTokens + cachingTokens,
    completionTokens,
    cachedTokens,
    reasoningTokens: 0,
  };
}

function countIn(details: unknown, name: string): number {
  return (isFields(details) ? toCount(details[name]) : null) ?? 0;
}

function toCount(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

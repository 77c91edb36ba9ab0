// Token counts as GLM reports them (`usage` of chat completions).

import type { Usage } from "./answer.ts";

/** Null when `value` is no usage object with sensible counts: a wrong count is worse than none. */
export function parseUsage(value: unknown): Usage | null {
  if (typeof value !== "object" || value === null) return null;
  const usage = value as Record<string, unknown>;
  const promptTokens = toCount(usage.prompt_tokens);
  const completionTokens = toCount(usage.completion_tokens);
  if (promptTokens === null || completionTokens === null) return null;
  const cached = (usage.prompt_tokens_details as Record<string, unknown> | null | undefined)?.cached_tokens;
  const reasoning = (usage.completion_tokens_details as Record<string, unknown> | null | undefined)?.reasoning_tokens;
  return {
    promptTokens,
    completionTokens,
    cachedTokens: toCount(cached) ?? 0,
    reasoningTokens: toCount(reasoning) ?? 0,
  };
}

function toCount(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}

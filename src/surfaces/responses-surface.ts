// The dialect of OpenAI's Responses. Refusals with a status look as in chat completions. In a stream, its clients know one
// failure only: the event `response.failed`. Source: OpenAI's reference of streaming events; Codex ignores other forms.

import type { Refusal, RefusalReason } from "../base/refusal.ts";
import { describeRefusal, type Language } from "../base/refusal-words.ts";
import { openAiSurface } from "./openai-surface.ts";
import type { Surface } from "./surface.ts";

/** Default: `server_error`. Codex tries again after the time that the words of `rate_limit_exceeded` name. */
const codes: Partial<Record<RefusalReason, string>> = {
  queue_full: "rate_limit_exceeded",
  user_queue_full: "rate_limit_exceeded",
  wait_too_long: "rate_limit_exceeded",
  queue_timeout: "rate_limit_exceeded",
  concurrency_exceeded: "rate_limit_exceeded",
  upstream_rate_limited: "rate_limit_exceeded",
  upstream_busy: "server_is_overloaded",
  insufficient_quota: "insufficient_quota",
  upstream_quota: "insufficient_quota",
  upstream_rejected: "invalid_prompt",
};

export const responsesSurface: Surface = {
  ...openAiSurface,
  formatStreamError(refusal, requestId, language) {
    const response = {
      id: `resp_${requestId.replaceAll("-", "")}`,
      object: "response",
      status: "failed",
      output: [],
      error: toError(refusal, requestId, language),
    };
    return `event: response.failed\ndata: ${JSON.stringify({ type: "response.failed", response })}\n\n`;
  },
};

function toError(refusal: Refusal, requestId: string, language: Language) {
  const code = codes[refusal.reason] ?? "server_error";
  const { retryAfterMs } = refusal.facts;
  const wait =
    code === "rate_limit_exceeded" && retryAfterMs !== undefined
      ? ` Please try again in ${Math.ceil(retryAfterMs / 1_000)}s.`
      : "";
  return { code, message: describeRefusal(refusal, language) + wait, request_id: requestId };
}

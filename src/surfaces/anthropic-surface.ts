// The dialect of Anthropic's clients, Claude Code among them: errors as `{"type":"error",…}`, named events, pings.

import type { Refusal } from "../base/refusal.ts";
import { describeRefusal, type Language } from "../base/refusal-words.ts";
import type { Surface } from "./surface.ts";

const ping = 'event: ping\ndata: {"type":"ping"}\n\n';

export const anthropicSurface: Surface = {
  formatRefusal: (refusal, requestId, language) => JSON.stringify(toErrorBody(refusal, requestId, language)),
  formatStreamError: (refusal, requestId, language) =>
    `event: error\ndata: ${JSON.stringify(toErrorBody(refusal, requestId, language))}\n\n`,
  // A ping is the dialect's own sign of life: its clients read it as what it is, whatever style others want.
  formatHeartbeat: () => ping,
  adviseHeaders,
  requestIdHeader: "request-id",
};

/** Claude Code gives up for the time being only when it is told so; any other 429 it tries again (litellm#37754). */
function adviseHeaders({ reason, facts }: Refusal): Readonly<Record<string, string>> {
  if (reason !== "insufficient_quota" && reason !== "upstream_quota") return {};
  const resetsAt =
    facts.resetsAt === undefined ? {} : { "anthropic-ratelimit-unified-reset": toSeconds(facts.resetsAt) };
  return { "anthropic-ratelimit-unified-status": "rejected", ...resetsAt };
}

function toSeconds(time: string): string {
  return String(Math.ceil(Date.parse(time) / 1_000));
}

function toErrorBody(refusal: Refusal, requestId: string, language: Language) {
  const message = describeRefusal(refusal, language);
  // The code is ours and beside what the dialect knows: clients show the message, programs may read the code.
  return {
    type: "error",
    error: { type: toErrorType(refusal), message, code: refusal.code },
    request_id: requestId,
  };
}

function toErrorType({ status }: Refusal): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status < 500 && status !== 408 ? "invalid_request_error" : "api_error";
  }
}

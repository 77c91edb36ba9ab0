// The other dialects of the simulator: Anthropic's as GLM speaks it, OpenAI's as servers of one's own models do, that
// of GLM's agents, and that of its quota pages. Source: bodies that clients have reported.

import type { IncomingHttpHeaders } from "node:http";
import { chatFrames, type Dialect, glmDialect } from "./dialect.ts";
import { type GlmError, hasReset, isAboutKey, resetAheadMs } from "./glm-errors.ts";
import { toJsonPlan } from "./plan.ts";

/** What an error may repeat of the call that it answers. */
export interface Asked {
  readonly headers: IncomingHttpHeaders;
  createId(): string;
}

export type OpenDialect = (asked: Asked) => Dialect;

export const openGlmDialect: OpenDialect = () => glmDialect;

const messageStop = Buffer.from('event: message_stop\ndata: {"type":"message_stop"}\n\n');

/** Sent to Claude Code alone, which names itself by its list of betas. */
const rejectedHeaders = {
  "anthropic-ratelimit-unified-status": "rejected",
  "retry-after": String(resetAheadMs / 1_000),
};

export const openAnthropicDialect: OpenDialect = ({ headers, createId }) => {
  function toBody({ code, message }: GlmError, status: number): object {
    const type = code === "1305" ? "overloaded_error" : (anthropicTypes.get(status) ?? "api_error");
    return { type: "error", error: { type, code, message: `[${code}][${message}][${createId()}]` } };
  }
  return {
    toErrorPlan(error, given) {
      const status = given ?? (error.code === "1305" ? 529 : error.status);
      const body = toBody(error, status < 400 ? error.status : status);
      const plan = toJsonPlan(body, status, error.code);
      const isToldApart = hasReset(error.code) && String(headers["anthropic-beta"] ?? "").includes("claude-code");
      return isToldApart ? { ...plan, headers: { ...plan.headers, ...rejectedHeaders } } : plan;
    },
    toErrorFrame: (error) => `event: error\ndata: ${JSON.stringify(toBody(error, error.status))}\n\n`,
    lastFrame: messageStop,
    malformedFrame: 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"del\n\n',
    emptyFrame: 'event: content_block_delta\ndata: {"type":"","index":null,"delta":null}\n\n',
    lateFrame: 'event: late\ndata: {"type":"late"}\n\n',
    toIdleFrame: (bytes) => `event: ping\ndata: {"type":"ping"${bytes > 0 ? `,"x":"${"x".repeat(bytes)}"` : ""}}\n\n`,
    toMoreContent(text, pieces) {
      const at = Math.max(
        0,
        pieces.findIndex((piece) => piece.includes('"text_delta"')),
      );
      return { at, frame: String(pieces[at] ?? "").replace(/"text":"[^"]*"/, () => `"text":"${text}"`) };
    },
  };
};

const anthropicTypes: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [429, "rate_limit_error"],
  [529, "overloaded_error"],
]);

/** No business codes: the status says it all. */
export const openAiDialect: OpenDialect = () => ({
  ...chatFrames,
  toErrorPlan(error, given) {
    const status = given ?? toOpenAiStatus(error);
    return toJsonPlan(toOpenAiBody(error, status), status);
  },
  toErrorFrame: (error) => `data: ${JSON.stringify(toOpenAiBody(error, toOpenAiStatus(error)))}\n\n`,
});

const openAiTypes: ReadonlyMap<number, string> = new Map([
  [400, "BadRequestError"],
  [401, "AuthenticationError"],
  [403, "PermissionDeniedError"],
  [404, "NotFoundError"],
  [429, "RateLimitError"],
  [500, "InternalServerError"],
  [503, "ServiceUnavailableError"],
]);

/** Overload is 503 here, and what is not there is 404. */
function toOpenAiStatus({ code, status }: GlmError): number {
  if (code === "1305") return 503;
  return code === "1211" || code === "1222" ? 404 : status;
}

function toOpenAiBody({ message }: GlmError, status: number): object {
  return { error: { message, type: openAiTypes.get(status) ?? "APIError", param: null, code: status } };
}

export const openAgentsDialect: OpenDialect = () => ({
  ...glmDialect,
  toErrorPlan: ({ code, message, status }, given = status) =>
    toJsonPlan({ status: "failed", agent_id: "", error: { code, message } }, given, code),
});

/** Status 200 whatever happens; a number says what did. */
export const openMonitorDialect: OpenDialect = () => ({
  ...glmDialect,
  toErrorPlan({ code, message }, status = 200) {
    return toJsonPlan({ code: isAboutKey(code) ? 1_001 : Number(code), msg: message, success: false }, status, code);
  },
});

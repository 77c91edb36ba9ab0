// Refusals as the control plane says them: RFC 9457, with the same stable codes and words as everywhere else.

import { STATUS_CODES } from "node:http";
import type { Refusal } from "../base/refusal.ts";
import { describeRefusal } from "../base/refusal-words.ts";
import type { ControlFacts } from "../http/control.ts";
import { retryAfterMsOf } from "../http/reply.ts";

export const problemType = "application/problem+json; charset=utf-8";

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly request_id: string;
  /** The field at fault. */
  readonly param?: string;
}

export function toProblem(refusal: Refusal, { requestId, language }: ControlFacts): Problem {
  const { status, code, facts } = refusal;
  return {
    type: `urn:glm-proxy:${code}`,
    title: STATUS_CODES[status] ?? "Refused",
    status,
    detail: describeRefusal(refusal, language),
    code,
    request_id: requestId,
    ...(facts.param !== undefined && { param: facts.param }),
  };
}

/** What a client should do about it, in headers. */
export function problemHeaders(refusal: Refusal): Record<string, string> {
  const retryAfterMs = retryAfterMsOf(refusal);
  return {
    "content-type": problemType,
    ...(retryAfterMs !== null && { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) }),
    ...(refusal.status === 401 && { "www-authenticate": 'Bearer realm="glm-proxy", error="invalid_token"' }),
    ...(refusal.facts.allow !== undefined && { allow: refusal.facts.allow }),
  };
}

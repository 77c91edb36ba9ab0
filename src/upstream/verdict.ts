// What an upstream answer that is not a success means. Decided by GLM's business code, never by the HTTP status:
// 429 alone has fifteen meanings, and errors come as 200 and 529 too. Source: docs.bigmodel.cn, api-code and FAQ.

import { Refusal, type RefusalReason } from "../base/refusal.ts";
import type { Verdict, VerdictKind } from "../base/verdict.ts";

export interface UpstreamError {
  /** HTTP status it came with. */
  readonly status: number;
  /** GLM's business code, or null when the body has none. */
  readonly code: string | null;
  /** The upstream's own words, safe to show; empty when there are none. */
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/**
 * Codes that are words, as upstreams with OpenAI's API send them. No other word is taken for a code: what an upstream
 * puts there goes to clients, logs and metrics.
 */
const knownCodes: ReadonlySet<string> = new Set([
  "account_deactivated",
  "billing_hard_limit_reached",
  "billing_not_active",
  "content_filter",
  "content_policy_violation",
  "context_length_exceeded",
  "exceeded_current_quota_error",
  "insufficient_balance",
  "insufficient_credits",
  "insufficient_quota",
  "integer_above_max_value",
  "integer_below_min_value",
  "invalid_api_key",
  "invalid_image_format",
  "invalid_prompt",
  "invalid_type",
  "invalid_value",
  "missing_required_parameter",
  "model_not_found",
  "rate_limit_exceeded",
  "server_error",
  "string_above_max_length",
  "unknown_parameter",
  "unknown_url",
  "unsupported_parameter",
  "unsupported_value",
]);

const dayMs = 24 * 3_600_000;
const beijingOffsetMs = 8 * 3_600_000;
const messageCharactersMax = 1_000;

/** What a code means for the call, and for the key that it was sent with. */
interface Meaning {
  readonly reason: RefusalReason;
  readonly kind: VerdictKind;
}

const meanings = new Map<string, Meaning>([
  ...codes("upstream_account", "account", ["401", "1000", "1001", "1002", "1003", "1004", "1005", "1110", "1111"]),
  ...codes("upstream_account", "account", ["1112", "1121", "1309", "1314", "1315"]),
  ...codes("upstream_account", "model_barred", ["1311"]),
  ...codes("upstream_account", "restricted", ["1313"]),
  ...codes("upstream_account", "failed", ["1100", "1120"]),
  ...codes("upstream_quota", "quota", ["1113", "1304", "1308", "1310", "1316", "1317", "1318", "1319", "1320", "1321"]),
  ...codes("upstream_rate_limited", "over_limit", ["1302"]),
  ...codes("upstream_rate_limited", "too_fast", ["1303"]),
  ...codes("upstream_busy", "overloaded", ["1305", "1312"]),
  ...codes("upstream_failed", "failed", ["-1", "500", "1200", "1230", "1234"]),
  ...codes("upstream_rejected", "rejected", ["1210", "1211", "1212", "1213", "1214", "1215", "1220", "1221", "1222"]),
  ...codes("upstream_rejected", "rejected", ["1231", "1261", "1300", "1301"]),
  // Of OpenAI and servers like it: DeepSeek, Moonshot, OpenRouter. Their other words say less than the status.
  ...codes("upstream_quota", "quota", ["insufficient_quota", "billing_not_active", "billing_hard_limit_reached"]),
  ...codes("upstream_quota", "quota", ["exceeded_current_quota_error", "insufficient_balance", "insufficient_credits"]),
  ...codes("upstream_account", "account", ["invalid_api_key", "account_deactivated"]),
]);

function codes(reason: RefusalReason, kind: VerdictKind, list: readonly string[]): [string, Meaning][] {
  return list.map((code) => [code, { reason, kind }]);
}

/** What an upstream error means, for the call as a refusal and for the limits as a verdict. */
export function judgeError(error: UpstreamError, wallNowMs: number): { refusal: Refusal; verdict: Verdict } {
  const { code } = error;
  const status = toStatus(error);
  const { reason, kind } = (code === null ? undefined : meanings.get(code)) ?? meaningOfStatus(status, code);
  const waitMs = kind === "quota" ? findQuotaWaitMs(error, wallNowMs) : error.retryAfterMs;
  // An error of a gateway on the way does not say what became of the request; GLM's own codes do.
  const mayHaveRun = kind === "failed" && code === null;
  const verdict = { kind, code, waitMs, ...(mayHaveRun && { mayHaveRun }) };
  return { refusal: toRefusal(reason, { ...error, status }, waitMs), verdict };
}

/** An error within a stream, or in an answer of status 200: servers like vLLM write the status as its code. */
function toStatus({ status, code }: UpstreamError): number {
  return status < 400 && code !== null && /^[45]\d\d$/.test(code) ? Number(code) : status;
}

function toRefusal(reason: RefusalReason, { status, code, message }: UpstreamError, waitMs: number | null): Refusal {
  const facts = { ...(code !== null && { upstreamCode: code }), ...(waitMs !== null && { retryAfterMs: waitMs }) };
  const evidence = `upstream said ${status}${code === null ? "" : ` ${code}`}: ${message}`;
  if (reason !== "upstream_rejected") return new Refusal(reason, facts, evidence);
  const upstreamStatus = isClientStatus(status) ? status : 400;
  return new Refusal(reason, { ...facts, upstreamStatus, ...(message && { upstreamMessage: message }) }, evidence);
}

/** For codes that are not known, and for none at all. */
function meaningOfStatus(status: number, code: string | null): Meaning {
  if (status === 401) return { reason: "upstream_account", kind: "account" };
  if (status === 402) return { reason: "upstream_quota", kind: "quota" };
  if (status === 403) return { reason: "upstream_account", kind: "model_barred" };
  if (status === 429) return { reason: "upstream_rate_limited", kind: "over_limit" };
  if (status === 503 || status === 529) return { reason: "upstream_busy", kind: "overloaded" };
  if (isClientStatus(status)) return { reason: "upstream_rejected", kind: "rejected" };
  if (status >= 500 || code !== null) return { reason: "upstream_failed", kind: "failed" };
  return { reason: "upstream_unexpected", kind: "rejected" };
}

/** Client errors that may be passed on: never those by which our own credentials are meant. */
function isClientStatus(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 402, 403, 407, 408, 429].includes(status);
}

/** Until the quota is there again; null: unknown. */
function findQuotaWaitMs({ code, message, retryAfterMs }: UpstreamError, wallNowMs: number): number | null {
  if (retryAfterMs !== null) return retryAfterMs;
  return code === "1304" ? untilMidnightMs(wallNowMs) : findResetMs(message, wallNowMs);
}

/** GLM's days begin in Beijing. */
function untilMidnightMs(wallNowMs: number): number {
  return dayMs - ((wallNowMs + beijingOffsetMs) % dayMs);
}

/** Milliseconds until the reset time that quota messages name, in Beijing's time. Null without one. */
function findResetMs(message: string, wallNowMs: number): number | null {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/.exec(message);
  if (!match) return null;
  const resetAt = Date.parse(`${match[1]}T${match[2]}+08:00`);
  return Number.isNaN(resetAt) ? null : Math.max(1_000, resetAt - wallNowMs);
}

/**
 * Reads an error in the shapes of GLM, OpenAI, Azure, vLLM, SGLang, Ollama and FastAPI: `{"error":{code,message,type}}`,
 * `{"error":"…"}`, `{"object":"error",message,code}`, `{"code","msg"}`, `{"message"}`, `{"detail":"…"}`,
 * `{"detail":[{loc,msg}]}`. Null when it is JSON without an error in it. `mask` hides what must not be shown, before
 * anything is cut. `isFailure`: it is known to be one, so that words alone are an error's.
 */
export function readErrorBody(
  parsed: unknown,
  mask: (text: string) => string = (text) => text,
  isFailure = false,
): { code: string | null; message: string } | null {
  if (typeof parsed !== "object" || parsed === null) return null;
  const { error, object, code, type, msg, message, detail, success } = parsed as Record<string, unknown>;
  if (typeof error === "string" && error !== "") return { code: null, message: clean(mask, error) };
  if (object === "error") return { code: toCode(code) ?? toCode(type), message: clean(mask, message) };
  if (typeof error === "object" && error !== null) {
    const { code: inner, type, message, msg, detail } = error as Record<string, unknown>;
    const words = clean(mask, toWords(message) || toWords(msg) || toWords(detail));
    // GLM's Anthropic surface has the code in the words, "[1305][…][request id]", or in place of the type.
    const inWords = /^\[(-?\d+)\]/.exec(words)?.[1];
    return { code: toCode(inner) ?? toCode(type) ?? toCode(inWords), message: words };
  }
  // Where success has a code, as in the answers of assistants, it is HTTP's.
  const isSuccess = success === true || (success === undefined && String(code) === "200");
  if (success === false || (!isSuccess && code !== undefined && msg !== undefined))
    return { code: toCode(code), message: clean(mask, msg ?? message) };
  const words = isFailure && !isSuccess ? toWords(message) || toWords(detail) || toWords(msg) : "";
  return words === "" ? null : { code: toCode(code), message: clean(mask, words) };
}

/** FastAPI lists what is wrong, each with its place. */
function toWords(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return "";
  const problems = value.slice(0, 20).flatMap((problem: unknown) => {
    const { loc, msg } = (problem ?? {}) as { loc?: unknown; msg?: unknown };
    if (typeof msg !== "string") return [];
    return [Array.isArray(loc) ? `${loc.join(".")}: ${msg}` : msg];
  });
  return problems.join("; ");
}

function toCode(value: unknown): string | null {
  const code = typeof value === "string" || typeof value === "number" ? String(value) : "";
  return /^-?\d{1,10}$/.test(code) || knownCodes.has(code) ? code : null;
}

function clean(mask: (text: string) => string, message: unknown): string {
  if (typeof message !== "string") return "";
  // Control characters would let an upstream draw on a terminal or break a log line.
  return mask(message)
    .replace(/[\p{Cc}\p{Cf}]/gu, " ")
    .slice(0, messageCharactersMax);
}

/** `Retry-After` in seconds or as a date, `retry-after-ms`; at most ten minutes. Null without one. */
export function readRetryAfter(seconds: string | null, ms: string | null, wallNowMs: number): number | null {
  const fromMs = ms === null ? Number.NaN : Number(ms);
  const fromSeconds = seconds === null ? Number.NaN : Number(seconds) * 1_000;
  const fromDate = seconds === null ? Number.NaN : Date.parse(seconds) - wallNowMs;
  const wait = [fromMs, fromSeconds, fromDate].find((value) => Number.isFinite(value) && value > 0);
  return wait === undefined ? null : Math.min(wait, 600_000);
}

// What an upstream answer that is not a success means. Decided by GLM's business code, never by the HTTP status:
// 429 alone has fifteen meanings, and errors come as 200 and 529 too. Source: docs.bigmodel.cn, api-code and FAQ.

import { Refusal, type RefusalReason } from "../base/refusal.ts";

export interface UpstreamError {
  /** HTTP status it came with. */
  readonly status: number;
  /** GLM's business code, or null when the body has none. */
  readonly code: string | null;
  /** The upstream's own words, safe to show; empty when there are none. */
  readonly message: string;
  readonly retryAfterMs: number | null;
}

/** Default pause before the next start after "you are over your limit" and after "we are overloaded". */
const limitedHoldMs = 1_500;
const busyHoldMs = 2_000;
const messageCharactersMax = 1_000;

const reasonByCode = new Map<string, RefusalReason>([
  ...pairs("upstream_account", ["401", "1000", "1001", "1002", "1003", "1004", "1005", "1100", "1110", "1111"]),
  ...pairs("upstream_account", ["1112", "1120", "1121", "1309", "1311", "1313", "1314", "1315"]),
  ...pairs("upstream_quota", ["1113", "1304", "1308", "1310", "1316", "1317", "1318", "1319", "1320", "1321"]),
  ...pairs("upstream_rate_limited", ["1302", "1303"]),
  ...pairs("upstream_busy", ["1305", "1312"]),
  ...pairs("upstream_failed", ["-1", "500", "1200", "1230", "1234"]),
  ...pairs("upstream_rejected", ["1210", "1211", "1212", "1213", "1214", "1215", "1220", "1221", "1222", "1231"]),
  ...pairs("upstream_rejected", ["1261", "1300", "1301"]),
]);

function pairs(reason: RefusalReason, codes: readonly string[]): [string, RefusalReason][] {
  return codes.map((code) => [code, reason]);
}

/** The refusal that stands for an upstream error. `wallNowMs` is for reset times in messages. */
export function judgeError(error: UpstreamError, wallNowMs: number): Refusal {
  const { status, code, message } = error;
  const reason = (code === null ? undefined : reasonByCode.get(code)) ?? reasonByStatus(status, code);
  const facts = code === null ? {} : { upstreamCode: code };
  const evidence = `upstream said ${status}${code === null ? "" : ` ${code}`}: ${message}`;
  switch (reason) {
    case "upstream_rejected":
      return new Refusal(
        reason,
        {
          ...facts,
          upstreamStatus: isClientStatus(status) ? status : 400,
          ...(message && { upstreamMessage: message }),
        },
        evidence,
      );
    case "upstream_rate_limited":
      return new Refusal(reason, { ...facts, retryAfterMs: error.retryAfterMs ?? limitedHoldMs }, evidence);
    case "upstream_busy":
      return new Refusal(reason, { ...facts, retryAfterMs: error.retryAfterMs ?? busyHoldMs }, evidence);
    case "upstream_quota": {
      const retryAfterMs = error.retryAfterMs ?? findResetMs(message, wallNowMs);
      return new Refusal(reason, retryAfterMs === null ? facts : { ...facts, retryAfterMs }, evidence);
    }
    default:
      return new Refusal(reason, facts, evidence);
  }
}

/** For codes that are not known, and for none at all. */
function reasonByStatus(status: number, code: string | null): RefusalReason {
  if (status === 401 || status === 403) return "upstream_account";
  if (status === 429) return "upstream_rate_limited";
  if (status === 503 || status === 529) return "upstream_busy";
  if (status === 404 && code === null) return "upstream_rejected";
  if (isClientStatus(status)) return "upstream_rejected";
  if (status >= 500) return "upstream_failed";
  return code === null ? "upstream_unexpected" : "upstream_failed";
}

/** Client errors that may be passed on: never those by which our own credentials are meant. */
function isClientStatus(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 407, 408, 429].includes(status);
}

/** Milliseconds until the reset time that quota messages name, in Beijing's time. Null without one. */
function findResetMs(message: string, wallNowMs: number): number | null {
  const match = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/.exec(message);
  if (!match) return null;
  const resetAt = Date.parse(`${match[1]}T${match[2]}+08:00`);
  return Number.isNaN(resetAt) ? null : Math.max(1_000, resetAt - wallNowMs);
}

/**
 * Reads an error body: `{"error":{code,message}}`, `{"error":{"type":…}}`, `{"code","msg"}`, or anything else.
 * Null when it is JSON without an error in it.
 */
export function readErrorBody(parsed: unknown): { code: string | null; message: string } | null {
  if (typeof parsed !== "object" || parsed === null) return null;
  const { error, code, msg, success } = parsed as Record<string, unknown>;
  if (typeof error === "string") return { code: null, message: clean(error) };
  if (typeof error === "object" && error !== null) {
    const { code: inner, message } = error as Record<string, unknown>;
    return { code: toCode(inner), message: clean(message) };
  }
  if (success === false || (code !== undefined && msg !== undefined))
    return { code: toCode(code), message: clean(msg) };
  return null;
}

function toCode(value: unknown): string | null {
  return (typeof value === "string" && /^-?\w{1,40}$/.test(value)) || typeof value === "number" ? String(value) : null;
}

function clean(message: unknown): string {
  if (typeof message !== "string") return "";
  // Control characters would let an upstream draw on a terminal or break a log line.
  return message.replace(/[\p{Cc}\p{Cf}]/gu, " ").slice(0, messageCharactersMax);
}

/** `Retry-After` in seconds or as a date, `retry-after-ms`; at most ten minutes. Null without one. */
export function readRetryAfter(seconds: string | null, ms: string | null, wallNowMs: number): number | null {
  const fromMs = ms === null ? Number.NaN : Number(ms);
  const fromSeconds = seconds === null ? Number.NaN : Number(seconds) * 1_000;
  const fromDate = seconds === null ? Number.NaN : Date.parse(seconds) - wallNowMs;
  const wait = [fromMs, fromSeconds, fromDate].find((value) => Number.isFinite(value) && value > 0);
  return wait === undefined ? null : Math.min(wait, 600_000);
}

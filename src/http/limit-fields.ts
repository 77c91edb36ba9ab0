// What is left of the caller's limits, as header fields: OpenAI's, which its clients read, and those of the IETF's
// draft (draft-ietf-httpapi-ratelimit-headers-11).

import type { RemainingLimit } from "../base/queue-facts.ts";
import type { HeaderFields } from "./reply.ts";

/** `x-ratelimit-*`: the user's own limit when there is one, else the upstream's. Durations as OpenAI writes them. */
export function toOpenAiFields(limits: readonly RemainingLimit[]): HeaderFields {
  const fields: string[] = [];
  pushOpenAiGroup(fields, "requests", find(limits, "user") ?? find(limits, "upstream"));
  pushOpenAiGroup(fields, "tokens", find(limits, "user-tokens") ?? find(limits, "upstream-tokens"));
  return fields;
}

function find(limits: readonly RemainingLimit[], name: RemainingLimit["name"]): RemainingLimit | undefined {
  return limits.find((limit) => limit.name === name);
}

function pushOpenAiGroup(fields: string[], unit: string, limit: RemainingLimit | undefined): void {
  if (!limit) return;
  fields.push(`x-ratelimit-limit-${unit}`, String(toCount(limit.limit)));
  fields.push(`x-ratelimit-remaining-${unit}`, String(toCount(limit.remaining)));
  if (limit.resetMs !== null) fields.push(`x-ratelimit-reset-${unit}`, formatDuration(limit.resetMs));
}

/**
 * `RateLimit-Policy` names the limits, `RateLimit` the scarcest of them; `limits` has the scarcest first. Tokens have
 * no unit in the draft, and a window that is not whole seconds can't be written.
 * `retryAfterMs`: what `Retry-After` says, or null; a reset later than that is left out, since the draft does not
 * allow it beside the other.
 */
export function toIetfFields(limits: readonly RemainingLimit[], retryAfterMs: number | null): HeaderFields {
  let policies = "";
  let scarcest: RemainingLimit | null = null;
  for (const limit of limits) {
    const { name, windowMs } = limit;
    if (name.endsWith("-tokens") || (windowMs ?? 0) % 1_000 !== 0) continue;
    scarcest ??= limit;
    const unit = windowMs === null ? ';qu="concurrent-requests"' : `;w=${windowMs / 1_000}`;
    policies += `${policies && ", "}"${name}";q=${toCount(limit.limit)}${unit}`;
  }
  if (scarcest === null) return [];
  const resetSeconds = scarcest.resetMs === null ? null : Math.ceil(scarcest.resetMs / 1_000);
  const isTold = resetSeconds !== null && resetSeconds <= Math.ceil((retryAfterMs ?? Number.POSITIVE_INFINITY) / 1_000);
  const left = `"${scarcest.name}";r=${toCount(scarcest.remaining)}${isTold ? `;t=${resetSeconds}` : ""}`;
  return ["ratelimit-policy", policies, "ratelimit", left];
}

/** `0s`, `12ms`, `1.5s`, `1m3s`, `2h0m0s`. */
export function formatDuration(ms: number): string {
  const wholeMs = Math.max(0, Math.ceil(ms));
  if (wholeMs === 0) return "0s";
  if (wholeMs < 1_000) return `${wholeMs}ms`;
  const minutes = Math.floor(wholeMs / 60_000);
  const seconds = `${(wholeMs - minutes * 60_000) / 1_000}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}

/** Structured fields hold whole numbers of at most 15 digits. */
function toCount(value: number): number {
  return Math.min(Math.max(0, Math.floor(value)), 999_999_999_999_999);
}

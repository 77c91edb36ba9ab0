// What is left of the caller's limits, as header fields: OpenAI's, which its clients read, and those of the IETF's
// draft (draft-ietf-httpapi-ratelimit-headers-11).

import type { RemainingLimit } from "../base/queue-facts.ts";

/** `x-ratelimit-*`: the user's own limit when there is one, else the upstream's. Durations as OpenAI writes them. */
export function toOpenAiFields(limits: readonly RemainingLimit[]): Record<string, string> {
  const find = (name: RemainingLimit["name"]) => limits.find((limit) => limit.name === name);
  return {
    ...toOpenAiGroup("requests", find("user") ?? find("upstream")),
    ...toOpenAiGroup("tokens", find("user-tokens") ?? find("upstream-tokens")),
  };
}

function toOpenAiGroup(unit: string, limit: RemainingLimit | undefined): Record<string, string> {
  if (!limit) return {};
  return {
    [`x-ratelimit-limit-${unit}`]: String(toCount(limit.limit)),
    [`x-ratelimit-remaining-${unit}`]: String(toCount(limit.remaining)),
    ...(limit.resetMs !== null && { [`x-ratelimit-reset-${unit}`]: formatDuration(limit.resetMs) }),
  };
}

/**
 * `RateLimit-Policy` names the limits, `RateLimit` the scarcest of them; `limits` has the scarcest first. Tokens have
 * no unit in the draft, and a window that is not whole seconds can't be written.
 * `retryAfterMs`: what `Retry-After` says, or null; a reset later than that is left out, since the draft does not
 * allow it beside the other.
 */
export function toIetfFields(limits: readonly RemainingLimit[], retryAfterMs: number | null): Record<string, string> {
  const told = limits.filter(({ name, windowMs }) => !name.endsWith("-tokens") && (windowMs ?? 0) % 1_000 === 0);
  const [scarcest] = told;
  if (!scarcest) return {};
  const policies = told.map(
    ({ name, limit, windowMs }) =>
      `"${name}";q=${toCount(limit)}${windowMs === null ? ';qu="concurrent-requests"' : `;w=${windowMs / 1_000}`}`,
  );
  const resetSeconds = scarcest.resetMs === null ? null : Math.ceil(scarcest.resetMs / 1_000);
  const isTold = resetSeconds !== null && resetSeconds <= Math.ceil((retryAfterMs ?? Number.POSITIVE_INFINITY) / 1_000);
  return {
    "ratelimit-policy": policies.join(", "),
    ratelimit: `"${scarcest.name}";r=${toCount(scarcest.remaining)}${isTold ? `;t=${resetSeconds}` : ""}`,
  };
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

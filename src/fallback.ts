// Another model in the place of the one that was asked for: only as configured, only while the client has heard nothing,
// only for what another model may not suffer from.

import type { Caller } from "./base/principal.ts";
import { Refusal, type RefusalReason } from "./base/refusal.ts";
import type { Call } from "./call.ts";
import { type CallRecord, forgetTry } from "./ledger/record.ts";
import type { CallRules } from "./rules.ts";
import type { CallRequest } from "./surfaces/endpoint.ts";

/** What is about the model or its keys, not about the request or the caller. */
const reasons: ReadonlySet<RefusalReason> = new Set([
  "upstream_account",
  "upstream_quota",
  "upstream_busy",
  "upstream_rate_limited",
  "upstream_failed",
  "upstream_dns",
  "upstream_refused",
  "upstream_tls",
  "upstream_reset",
  "upstream_protocol",
  "upstream_connect_timeout",
  "upstream_first_byte_timeout",
]);

/** What a fallback depends on beside the error. */
export interface FallbackParts {
  readonly call: Call;
  readonly caller: Caller;
  readonly record: CallRecord;
  readonly rules: CallRules;
}

/** Asks, and asks again for the next model of the chain as long as that may help. Rejects as the last try does. */
export async function askWithFallbacks(
  wanted: CallRequest,
  parts: FallbackParts,
  ask: (request: CallRequest) => Promise<void>,
): Promise<void> {
  for (let next: CallRequest | null = wanted; next !== null; ) {
    const asked: CallRequest = next;
    next = await ask(asked).then(
      () => null,
      (error: unknown) => fallBackOrThrow(error, asked, parts),
    );
  }
}

function fallBackOrThrow(
  error: unknown,
  asked: CallRequest,
  { call, caller, record, rules }: FallbackParts,
): CallRequest {
  const isCurable = error instanceof Refusal && reasons.has(error.reason) && !call.signal.aborted;
  // Another model would do work that this one may have done. A key that keeps silent is an exception by configuration:
  // `first_byte_timeout_seconds` exists to ask elsewhere then.
  const isSpent = record.mayHaveRun && record.upstreamVerdict !== "silent";
  if (!isCurable || isSpent || record.bytesOut > 0 || asked.forModel === null) throw error;
  record.fallbacks.push(asked.model);
  const next = rules
    .fallbacksOf(record.fallbacks[0] as string)
    .find((model) => !record.fallbacks.includes(model) && rules.allowsModel(caller, model));
  if (next === undefined) throw error;
  forgetTry(record);
  record.model = next;
  call.noteFallback(next, error.reason);
  return asked.forModel(next);
}

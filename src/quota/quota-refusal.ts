// How a call is told that a limit is reached: which, how much of it is taken, and when trying again makes sense.

import { Refusal } from "../base/refusal.ts";
import type { QuotaStanding } from "./quotas.ts";
import type { Hit } from "./standings.ts";

/** A place is free when one of the caller's own calls ends, which nobody knows. */
const concurrencyRetryMs = 1_000;

/** Of several limits the one that renews last: coming back before would be in vain. At least one. */
export function toQuotaRefusal(hits: readonly Hit[], wallNow: number, formatTime: (wallMs: number) => string): Refusal {
  const { standing, needed } = hits.reduce((last, hit) => (endOf(hit.standing) > endOf(last.standing) ? hit : last));
  const { scope, id, name, limit, used, reserved, resetsAt } = standing;
  const facts = { quota: `${name} of the ${scope} ${id}`, limit, used: toShown(used + reserved) };
  if (renewsWithACall(standing)) {
    return new Refusal("concurrency_exceeded", { ...facts, retryAfterMs: concurrencyRetryMs });
  }
  return new Refusal("insufficient_quota", {
    ...facts,
    ...(used + reserved < limit && { needed: toShown(needed) }),
    ...(resetsAt !== null && {
      resetsAt: formatTime(resetsAt),
      retryAfterMs: Math.max(1, resetsAt - wallNow),
    }),
  });
}

/** Not so where no call at all is allowed: waiting for one to end would be in vain. */
function renewsWithACall({ name, limit }: QuotaStanding): boolean {
  return name === "concurrency" && limit > 0;
}

function endOf(standing: QuotaStanding): number {
  if (renewsWithACall(standing)) return Number.NEGATIVE_INFINITY;
  return standing.resetsAt ?? Number.POSITIVE_INFINITY;
}

function toShown(amount: number): number {
  return Math.round(amount * 1e4) / 1e4;
}

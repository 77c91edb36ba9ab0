// The header that warns of quotas that are nearly used up, the fullest first:
//
//   x-quota-warning: user ada requests/day; used=84%; resets=2026-11-24T00:00:00Z

import type { QuotaStanding } from "../quota/quotas.ts";

const toldMax = 3;

/** Names are percent-encoded, since a header takes no other letters than ASCII's. */
export function formatQuotaWarnings(warnings: readonly QuotaStanding[]): string {
  return warnings.slice(0, toldMax).map(formatWarning).join(", ");
}

function formatWarning({ scope, id, name, limit, used, reserved, resetsAt }: QuotaStanding): string {
  const percent = limit === 0 ? 100 : Math.floor(((used + reserved) / limit) * 100);
  const resets = resetsAt === null ? "" : `; resets=${new Date(resetsAt).toISOString().replace(".000Z", "Z")}`;
  return `${scope} ${encodeURIComponent(id.toWellFormed())} ${name}; used=${percent}%${resets}`;
}

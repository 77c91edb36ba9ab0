// placeholder
import type { QuotaStanding } from "../quota/quotas.ts";
export function formatQuotaWarnings(warnings: readonly QuotaStanding[]): string {
  return String(warnings.length);
}

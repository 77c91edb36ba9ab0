// What a call takes from quotas and costs. The same figures are in the live counters and in the ledger, so that the
// counters can be rebuilt from the records.

import type { Limits } from "./limits.ts";

/** All whole numbers. Money is in millionths of the price list's currency, so that sums stay exact. */
export interface Charge {
  /** 1: it counts as a request. 0: it was never sent, or the upstream refused it. */
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costMicros: number;
  /** reported: by the upstream · estimated: by us, since the upstream did not say · none: nothing was used */
  readonly source: "reported" | "estimated" | "none";
}

export const noCharge: Charge = Object.freeze({
  requests: 0,
  promptTokens: 0,
  completionTokens: 0,
  costMicros: 0,
  source: "none",
});

/** What a principal's calls count against: every scope that has limits, its own first. */
export interface QuotaScope {
  /** user: one person, the limits that its group gives each member included · group: all its members together */
  readonly kind: "user" | "group" | "key";
  /** The user's or the group's name, or the key's id. */
  readonly id: string;
  readonly limits: Limits;
}

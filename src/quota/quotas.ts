// The quota port: may this call be afforded? What it may take is reserved when it arrives and charged at its end for
// what it really took, so that calls in parallel can't overrun a limit. Counters are in memory, exact for this process,
// and rebuilt from the ledger's records at the start.

import type { Charge, QuotaScope } from "../base/charge.ts";
import type { LimitName } from "../base/limits.ts";
import type { Caller } from "../base/principal.ts";

export interface Quotas {
  /** Throws `insufficient_quota`, or `concurrency_exceeded`. The reservation must be settled exactly once. */
  reserve(caller: Caller, wish: QuotaWish): Reservation;
  /** What stands to the credit of these scopes now. */
  look(scopes: readonly QuotaScope[]): readonly QuotaStanding[];
}

export interface QuotaWish {
  /** As the upstream is asked for. */
  readonly model: string;
  readonly inputBytes: number;
  /** Of pictures, sound and files. Default: 0. */
  readonly binaryTokens?: number;
  /** The most tokens that the answer may have, or null when the client does not say. */
  readonly outputTokensMax: number | null;
  /** When the call arrived (`Clock.now`): it counts in the windows of that moment. Left out: now. */
  readonly arrivedAt?: number;
  /** It asks for nothing that quotas count. */
  readonly isFree?: boolean;
}

export interface Reservation {
  /** What was reserved: what the call is charged if its end never comes to be known. */
  readonly estimate: Charge;
  /** Limits of which at least 80 % are taken, this call included; the fullest first. */
  readonly warnings: readonly QuotaStanding[];
  /** The first settling counts. */
  settle(charge: Charge): void;
}

export interface QuotaStanding {
  readonly scope: QuotaScope["kind"];
  readonly id: string;
  readonly name: LimitName;
  /** In the limit's own unit: requests, tokens, calls at once, or the currency. */
  readonly limit: number;
  readonly used: number;
  /** By calls that have not ended. */
  readonly reserved: number;
  /** Unix milliseconds when the window ends; null for `total` and `concurrency`. */
  readonly resetsAt: number | null;
}

// The ledger port: one record for each call of a known caller, durable before the call is sent, settled once.
//
//   arrive ── begin ── (waits in the queue) ── durable ── sent ── markSent ── end ── settle
//                └ written by group commit ────┘             written soon after, idempotent by id

import type { Charge } from "../base/charge.ts";
import type { CallRecord } from "./record.ts";

export interface Ledger {
  /**
   * Notes that the call is about to be made, charged by `estimate` should it be sent and its end never come
   * to be known. Await the
   * result before anything is sent: it resolves when the intent is durable, or lenience has it. Rejects with
   * `ledger_unavailable`. Waits for nothing when called.
   */
  begin(record: CallRecord, estimate: Charge): Promise<void>;
  /**
   * Its bytes leave for the upstream, as the record says; again for another try. Written with the next commit, without
   * one of its own: what is not written when the process dies counts as not sent. Never throws.
   */
  markSent(record: CallRecord): void;
  /** The call has ended. A record that never began is written as a whole. Never throws; the first settling counts. */
  settle(record: CallRecord): void;
  gauges(): LedgerGauges;
  /** Writes what waits, within `timeoutMs`, and takes no more. */
  close(timeoutMs: number): Promise<void>;
}

export interface LedgerGauges {
  /** Changes that wait to be written. */
  readonly waiting: number;
  /** Changes that lenience gave up since the start, for lack of room. */
  readonly lost: number;
  /** Changes in the local spool that wait for PostgreSQL; 0 without. */
  readonly spooled: number;
  readonly isFailing: boolean;
}

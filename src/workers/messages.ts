// What goes between the main thread and a worker. Of each call that a worker serves, the stages that have to be the same
// for all are the main thread's: who calls, quotas, the queue, the ledger.
//
//   worker                          main thread
//   identify ──────────────────────▶ identity
//   reserve, begin ────────────────▶ quotas, ledger          reserved, noted ◀──
//   admit ─────────────────────────▶ scheduler       queued, queued …, granted ◀──
//   sent, bytes, report, release ──▶ its ticket                       reported ◀──
//   end ───────────────────────────▶ quotas, ledger, log, metrics, live views

import type { AdmissionWish, Place, Standing, Ticket } from "../admission/scheduler.ts";
import type { Usage } from "../base/answer.ts";
import type { SharedBytes } from "../base/byte-budget.ts";
import type { Charge } from "../base/charge.ts";
import type { Caller } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import { Refusal, type RefusalFacts, type RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { Settings } from "../config/settings.ts";
import type { ForwardTarget } from "../http/forward.ts";
import type { ListenAddress } from "../http/server.ts";
import type { Content } from "../ledger/change.ts";
import type { CallRecord } from "../ledger/record.ts";
import type { QuotaStanding, QuotaWish } from "../quota/quotas.ts";

/** What of the configuration a worker has to know. Nothing in it says who may do what. */
export type WorkerSettings = Pick<Settings, "server" | "glm" | "rateLimit" | "cache" | "proxy"> & {
  readonly ledger: Pick<Settings["ledger"], "storesContent">;
};

export interface WorkerOptions {
  readonly settings: WorkerSettings;
  readonly version: string;
  readonly listen: ListenAddress;
  readonly connectionsMax: number;
  /** 1 and up; 0 is the main thread. */
  readonly thread: number;
  readonly memory: SharedMemory;
  readonly forwardTo: ForwardTarget;
}

/** Bytes that all threads count together. */
export interface SharedMemory {
  readonly bodies: SharedBytes;
  readonly collected: SharedBytes;
  readonly unsent: SharedBytes;
}

/** All of one turn go in one piece. */
export type ToMain = WorkerNews | CallQuestion;
export type ToWorker = Order | CallAnswer;

export type WorkerNews =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "drained" }
  | { readonly kind: "failure"; readonly requestId: string; readonly error: WireError };

export type Order =
  | { readonly kind: "apply"; readonly settings: WorkerSettings }
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "abort_all" }
  | { readonly kind: "close" };

/** `call`: its number in its worker. */
export type CallQuestion = { readonly call: number } & (
  | { readonly kind: "identify"; readonly credential: string | null }
  | { readonly kind: "reserve"; readonly wish: QuotaWish }
  | { readonly kind: "begin"; readonly record: WireRecord }
  | { readonly kind: "admit"; readonly wish: WireWish }
  | { readonly kind: "abort"; readonly refusal: WireRefusal }
  | { readonly kind: "sent" }
  | { readonly kind: "bytes"; readonly count: number }
  | { readonly kind: "report"; readonly verdict: Verdict }
  | { readonly kind: "release"; readonly how: "ended" | "aborted" }
  | { readonly kind: "settle"; readonly usage: Usage | null }
  | { readonly kind: "end"; readonly record: WireRecord; readonly content: Content | null }
);

export type CallAnswer = { readonly call: number } & (
  | { readonly kind: "identified"; readonly caller: Caller }
  | { readonly kind: "reserved"; readonly estimate: Charge; readonly warnings: readonly QuotaStanding[] }
  | { readonly kind: "noted"; readonly refusal: WireRefusal | null }
  | { readonly kind: "queued"; readonly standing: Standing; readonly allowances: readonly RemainingLimit[] }
  | { readonly kind: "granted"; readonly ticket: WireTicket; readonly allowances: readonly RemainingLimit[] }
  | { readonly kind: "reported"; readonly isWorthAnotherTry: boolean; readonly place: Place }
  | { readonly kind: "refused"; readonly refusal: WireRefusal; readonly allowances: readonly RemainingLimit[] }
);

/** Of a message about a call, what is said. */
export type Said<Message extends { readonly call: number }> = Message extends unknown ? Omit<Message, "call"> : never;

export type WireWish = Omit<AdmissionWish, "onQueued">;
export type WireTicket = Pick<Ticket, "upstreamKey" | "queuePosition" | "etaMs" | "waitedMs" | "place">;
export type WireRecord = Omit<CallRecord, "reservation" | "refusal"> & { readonly refusal: WireRefusal | null };

/** What a Refusal and an Error lose on the way is their kind. */
export interface WireRefusal {
  readonly reason: RefusalReason;
  readonly facts: RefusalFacts;
  readonly cause: WireError | string | null;
}

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
}

export function packRefusal({ reason, facts, cause }: Refusal): WireRefusal {
  const isSaid = cause !== undefined && cause !== null;
  return { reason, facts, cause: cause instanceof Error ? packError(cause) : isSaid ? String(cause) : null };
}

export function unpackRefusal({ reason, facts, cause }: WireRefusal): Refusal {
  if (cause === null) return new Refusal(reason, facts);
  return new Refusal(reason, facts, typeof cause === "string" ? cause : unpackError(cause));
}

export function packError(error: unknown): WireError {
  const { name, message, stack, code }: NodeJS.ErrnoException =
    error instanceof Error ? error : new Error(String(error));
  return { name, message, stack, code: code === undefined ? undefined : String(code) };
}

export function unpackError({ name, message, stack, code }: WireError): Error {
  const error = Object.assign(new Error(message), { name, ...(code !== undefined && { code }) });
  if (stack !== undefined) error.stack = stack;
  return error;
}

export function packRecord({ reservation: _kept, refusal, ...facts }: CallRecord): WireRecord {
  return { ...facts, refusal: refusal === null ? null : packRefusal(refusal) };
}

export function unpackRecord({ refusal, ...facts }: WireRecord, reservation: CallRecord["reservation"]): CallRecord {
  return { ...facts, reservation, refusal: refusal === null ? null : unpackRefusal(refusal) };
}

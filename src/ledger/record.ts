// What is remembered of one call: filled while it lives, settled exactly once when it ends. Times are monotonic
// milliseconds of the injected clock; null means that the call never came so far.

import type { Usage } from "../base/answer.ts";
import { type Charge, noCharge } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import { type InputSize, noInput } from "../base/input-size.ts";
import type { Refusal } from "../base/refusal.ts";
import { createUuid7 } from "../base/uuid7.ts";
import type { VerdictKind } from "../base/verdict.ts";

export interface CallRecord {
  /** Ours: unique, sorts by time of arrival. */
  readonly id: string;
  /** What client, log and error share. The client may choose it, so it may come twice. */
  readonly callId: string;
  /** The front door it came through, such as "openai". */
  readonly surface: string;
  readonly startedAtWallMs: number;
  readonly arrivedAt: number;
  grantedAt: number | null;
  sentAt: number | null;
  /** First byte of the answer's body. */
  firstByteAt: number | null;
  endedAt: number;

  userId: string | null;
  groupId: string | null;
  /** The id of the API key that it came with, or null for a session. */
  keyId: string | null;
  /** As the upstream was asked for, aliases resolved. */
  model: string | null;
  isStream: boolean;
  upstreamKey: string | null;
  queuePosition: number | null;
  /** The wait that was foreseen when it arrived. */
  queueEtaMs: number | null;
  /** Tries upstream before the last one, of which the client saw nothing. */
  tryCount: number;
  /** Models that were asked for before the last one, in order. */
  readonly fallbacks: string[];
  billing: Billing;
  bytesIn: number;
  /** What its model had to read: the measure of estimates. */
  input: InputSize;
  bytesOut: number;
  eventCount: number;
  upstreamStatus: number | null;
  upstreamRequestId: string | null;
  usage: Usage | null;
  /** What the upstream said of its key and model; null: it was not asked, or did not say. */
  upstreamVerdict: VerdictKind | null;
  /** It was fully sent and no answer came: the upstream may have executed it, so no other try follows. */
  mayHaveRun: boolean;
  /** An earlier try was fully sent and never answered: it may have run, whatever became of the last one. */
  hasLostTry: boolean;
  /** The upstream's answer has begun, and is none that says no. */
  hasBegun: boolean;
  finishReason: string | null;
  /** What its caller's quotas keep for it until it is settled, or null. */
  reservation: { settle(charge: Charge): void } | null;
  /** What it takes from quotas and costs. Known when it has ended. */
  charge: Charge;
  outcome: Outcome;
  refusal: Refusal | null;
}

/**
 * call: a request and its tokens, guessed where none are reported · request: a request, and tokens only as reported:
 * pictures and sound have none, a task's are known when its result is fetched · poll: no request, but the tokens that a
 * result reports
 */
export type Billing = "call" | "request" | "poll";

/**
 * served: the client has a whole answer · refused: a status said no · cut: an answer broke after it had begun ·
 * cancelled: the client left
 */
export type Outcome = "served" | "refused" | "cut" | "cancelled";

/** Takes each record once, when its call has ended. Must not throw. */
export type Settle = (record: CallRecord) => void;

export function openRecord(callId: string, surface: string, clock: Clock): CallRecord {
  const arrivedAt = clock.now();
  const startedAtWallMs = clock.wallNow();
  return {
    id: createUuid7(startedAtWallMs),
    callId,
    surface,
    startedAtWallMs,
    arrivedAt,
    grantedAt: null,
    sentAt: null,
    firstByteAt: null,
    endedAt: arrivedAt,
    userId: null,
    groupId: null,
    keyId: null,
    model: null,
    isStream: false,
    upstreamKey: null,
    queuePosition: null,
    queueEtaMs: null,
    tryCount: 0,
    fallbacks: [],
    billing: "call",
    bytesIn: 0,
    input: noInput,
    bytesOut: 0,
    eventCount: 0,
    upstreamStatus: null,
    upstreamRequestId: null,
    usage: null,
    upstreamVerdict: null,
    mayHaveRun: false,
    hasLostTry: false,
    hasBegun: false,
    finishReason: null,
    reservation: null,
    charge: noCharge,
    outcome: "refused",
    refusal: null,
  };
}

export function noteCaller(record: CallRecord, { userId, groupId, keyId }: KnownCaller): void {
  record.userId = userId;
  record.groupId = groupId;
  record.keyId = keyId;
}

interface KnownCaller {
  readonly userId: string;
  readonly groupId: string | null;
  readonly keyId: string | null;
}

export function noteRequest(record: CallRecord, request: KnownRequest): void {
  const { model, isStream, body, upload, input, isText, family, object } = request;
  record.model = model;
  record.isStream = isStream;
  record.bytesIn = upload?.byteCount ?? body.length;
  record.input = input;
  if (family === "poll") record.billing = "poll";
  else if (!isText || (object?.creates && object.kind === "task")) record.billing = "request";
}

interface KnownRequest {
  readonly model: string;
  readonly isStream: boolean;
  readonly body: Buffer;
  readonly upload: { readonly byteCount: number | null } | null;
  readonly input: InputSize;
  /** Whether a model reads or writes text for it. */
  readonly isText: boolean;
  readonly family: string;
  readonly object: { readonly creates: boolean; readonly kind: string } | null;
}

/** What its caller's quotas keep for it until it is settled. */
export function noteReservation<Kept extends NonNullable<CallRecord["reservation"]>>(
  record: CallRecord,
  reservation: Kept,
): Kept {
  record.reservation = reservation;
  return reservation;
}

/** An answer that the model did not finish, or that was withdrawn, is not to be given again. */
export function isWorthKeeping({ finishReason }: CallRecord): boolean {
  return finishReason !== "network_error" && finishReason !== "sensitive";
}

/** The upstream did not serve it, and it is tried again: what it is charged for in the end must not be of this try. */
export function forgetTry(record: CallRecord): void {
  record.tryCount++;
  record.hasLostTry ||= record.mayHaveRun;
  record.sentAt = null;
  record.firstByteAt = null;
  record.upstreamStatus = null;
  record.upstreamVerdict = null;
  record.mayHaveRun = false;
}

/** It may be sent. After another try, the last grant counts. */
export function noteGrant(record: CallRecord, grant: Granted, clock: Clock): void {
  record.grantedAt = clock.now();
  record.upstreamKey = grant.upstreamKey;
  record.queuePosition = grant.queuePosition;
  record.queueEtaMs = grant.etaMs;
}

interface Granted {
  readonly upstreamKey: string;
  readonly queuePosition: number;
  readonly etaMs: number;
}

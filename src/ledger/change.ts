// What is written of one call, as values in the order of the columns: its intent before it is sent, that it was sent,
// its end, or all at once when it ended before the intent was written. Texts that others chose are bounded here.

import type { Charge } from "../base/charge.ts";
import type { CallRecord } from "./record.ts";

export type Change =
  | { readonly kind: "intent" | "sent"; readonly id: string; readonly values: readonly Value[] }
  | {
      readonly kind: "final";
      readonly id: string;
      readonly values: readonly Value[];
      readonly content: Content | null;
    };

export type Value = string | number | null;

/** What was said, where it is stored at all. */
export interface Content {
  readonly prompt: string;
  readonly answer: string;
  /** Unix milliseconds. */
  readonly storedAt: number;
}

/** Of an open record. What is not here is null or zero until the call's end. */
export const intentColumns = [
  "id",
  "request_id",
  "instance",
  "state",
  "user_name",
  "group_name",
  "key_id",
  "surface",
  "model",
  "is_stream",
  "arrived_at",
  "bytes_in",
  "bytes_out",
  "events",
  "tries",
  "requests",
  "prompt_tokens",
  "completion_tokens",
  "tokens_source",
  "cost_micros",
] as const;

/** Of an open record that was sent. */
export const sentColumns = [...intentColumns, "upstream_key", "granted_at", "sent_at"] as const;

export const finalColumns = [
  ...sentColumns,
  "first_byte_at",
  "ended_at",
  "queue_position",
  "status",
  "reason",
  "upstream_status",
  "upstream_code",
  "upstream_request_id",
  "finish_reason",
] as const;

export const contentColumns = ["call_id", "prompt", "answer", "stored_at"] as const;

const textCharactersMax = 256;

export function toIntent(record: CallRecord, estimate: Charge, instance: string): Change {
  return { kind: "intent", id: record.id, values: toFirstValues(record, "open", estimate, instance) };
}

/** Says all that its intent says: it stands for one that was never written. */
export function toSent(record: CallRecord, estimate: Charge, instance: string): Change {
  return { kind: "sent", id: record.id, values: toSentValues(record, "open", estimate, instance) };
}

/** The record must not change any more. */
export function toFinal(record: CallRecord, instance: string, content: Content | null): Change {
  const { refusal } = record;
  const values = [
    ...toSentValues(record, record.outcome, record.charge, instance),
    toWall(record, record.firstByteAt),
    toWall(record, record.endedAt),
    record.queuePosition,
    refusal?.status ?? 200,
    refusal?.reason ?? null,
    record.upstreamStatus,
    shorten(refusal?.facts.upstreamCode ?? null),
    shorten(record.upstreamRequestId),
    shorten(record.finishReason),
  ];
  return { kind: "final", id: record.id, values, content };
}

function toSentValues(record: CallRecord, state: string, charge: Charge, instance: string): Value[] {
  return [
    ...toFirstValues(record, state, charge, instance),
    shorten(record.upstreamKey),
    toWall(record, record.grantedAt),
    toWall(record, record.sentAt),
  ];
}

function toWall({ arrivedAt, startedAtWallMs }: CallRecord, at: number | null): number | null {
  return at === null ? null : Math.round(startedAtWallMs + (at - arrivedAt));
}

function toFirstValues(record: CallRecord, state: string, charge: Charge, instance: string): Value[] {
  return [
    record.id,
    shorten(record.callId),
    instance,
    state,
    shorten(record.userId),
    shorten(record.groupId),
    record.keyId,
    record.surface,
    shorten(record.model),
    record.isStream ? 1 : 0,
    Math.round(record.startedAtWallMs),
    record.bytesIn,
    state === "open" ? 0 : record.bytesOut,
    state === "open" ? 0 : record.eventCount,
    record.tryCount,
    charge.requests,
    charge.promptTokens,
    charge.completionTokens,
    charge.source,
    charge.costMicros,
  ];
}

/** At most `textCharactersMax` of it, and never half of a character. */
export function shorten(text: string): string;
export function shorten(text: string | null): string | null;
export function shorten(text: string | null): string | null {
  if (text === null || text.length <= textCharactersMax) return text;
  const last = text.charCodeAt(textCharactersMax - 1);
  const isFirstHalf = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isFirstHalf ? textCharactersMax - 1 : textCharactersMax);
}

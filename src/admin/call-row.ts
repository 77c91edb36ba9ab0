// A call that has just ended as the call log will have it: made of the very values that are written.

import type { CallRow } from "../ledger/call-log.ts";
import { finalColumns, toFinal } from "../ledger/change.ts";
import type { CallRecord } from "../ledger/record.ts";

type Column = (typeof finalColumns)[number];

/** The record must have ended, and be of a known caller. */
export function toCallRow(record: CallRecord): CallRow {
  const { values } = toFinal(record, "", null);
  const row = Object.fromEntries(finalColumns.map((column, index) => [column, values[index] ?? null])) as Row;
  return {
    id: row.id,
    requestId: row.request_id,
    state: row.state,
    user: row.user_name,
    group: row.group_name,
    keyId: row.key_id,
    surface: row.surface,
    model: row.model,
    upstreamKey: row.upstream_key,
    isStream: row.is_stream === 1,
    arrivedAt: row.arrived_at,
    grantedAt: row.granted_at,
    sentAt: row.sent_at,
    firstByteAt: row.first_byte_at,
    endedAt: row.ended_at,
    bytesIn: row.bytes_in,
    bytesOut: row.bytes_out,
    events: row.events,
    tries: row.tries,
    queuePosition: row.queue_position,
    requests: row.requests,
    promptTokens: row.prompt_tokens,
    completionTokens: row.completion_tokens,
    tokensSource: row.tokens_source,
    costMicros: row.cost_micros,
    status: row.status,
    reason: row.reason,
    upstreamStatus: row.upstream_status,
    upstreamCode: row.upstream_code,
    upstreamRequestId: row.upstream_request_id,
    finishReason: row.finish_reason,
  };
}

type Nullable =
  | "group_name"
  | "key_id"
  | "model"
  | "upstream_key"
  | "reason"
  | "upstream_code"
  | "upstream_request_id"
  | "finish_reason";
type NullableNumber =
  | "granted_at"
  | "sent_at"
  | "first_byte_at"
  | "ended_at"
  | "queue_position"
  | "status"
  | "upstream_status";
type Text = "id" | "request_id" | "user_name" | "surface" | "instance";
type Row = Readonly<
  Record<Text, string> &
    Record<Nullable, string | null> &
    Record<NullableNumber, number | null> &
    Record<Exclude<Column, Text | Nullable | NullableNumber | "state" | "tokens_source">, number>
> & { readonly state: CallRow["state"]; readonly tokens_source: CallRow["tokensSource"] };

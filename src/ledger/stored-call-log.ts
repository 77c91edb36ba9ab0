// The call log as the store has it. Long reads go beside the writer.

import type { Store } from "../store/store.ts";
import { createCalendar } from "./calendar-day.ts";
import type { CallFilter, CallLog, CallRow } from "./call-log.ts";
import { sumUsage } from "./usage-sums.ts";

/** `timeZone` is the one in which days begin. */
export function createCallLog(store: Store, timeZone: string): CallLog {
  const { reads } = store;
  const calendar = createCalendar(timeZone);

  async function list(filter: CallFilter): Promise<readonly CallRow[]> {
    let query = reads.selectFrom("calls").select(columns).orderBy("id", "desc").limit(filter.limit);
    const { beforeId, user, group, key, model, state, requestId, from, to } = filter;
    if (beforeId !== undefined) query = query.where("id", "<", beforeId);
    if (user !== undefined) query = query.where("user_name", "=", user);
    if (group !== undefined) query = query.where("group_name", "=", group);
    if (key !== undefined) query = query.where("key_id", "=", key);
    if (model !== undefined) query = query.where("model", "=", model);
    if (state !== undefined) query = query.where("state", "=", state);
    if (requestId !== undefined) query = query.where("request_id", "=", requestId);
    if (from !== undefined) query = query.where("arrived_at", ">=", from);
    if (to !== undefined) query = query.where("arrived_at", "<", to);
    return (await query.execute()).map(toCallRow);
  }

  return {
    list,
    async find(id) {
      const row = await reads.selectFrom("calls").select(columns).where("id", "=", id).executeTakeFirst();
      return row && toCallRow(row);
    },
    sumUsage: (query) => sumUsage(reads, calendar, query),
  };
}

const columns = [
  "id",
  "request_id as requestId",
  "state",
  "user_name as user",
  "group_name as group",
  "key_id as keyId",
  "surface",
  "model",
  "upstream_key as upstreamKey",
  "is_stream",
  "arrived_at as arrivedAt",
  "granted_at as grantedAt",
  "sent_at as sentAt",
  "first_byte_at as firstByteAt",
  "ended_at as endedAt",
  "bytes_in as bytesIn",
  "bytes_out as bytesOut",
  "events",
  "tries",
  "queue_position as queuePosition",
  "requests",
  "prompt_tokens as promptTokens",
  "completion_tokens as completionTokens",
  "tokens_source as tokensSource",
  "cost_micros as costMicros",
  "status",
  "reason",
  "upstream_status as upstreamStatus",
  "upstream_code as upstreamCode",
  "upstream_request_id as upstreamRequestId",
  "finish_reason as finishReason",
] as const;

interface SelectedCall extends Omit<CallRow, "isStream" | "state" | "tokensSource"> {
  readonly is_stream: number;
  readonly state: string;
  readonly tokensSource: string;
}

function toCallRow({ is_stream, state, tokensSource, ...row }: SelectedCall): CallRow {
  return {
    ...row,
    isStream: is_stream === 1,
    state: state as CallRow["state"],
    tokensSource: tokensSource as CallRow["tokensSource"],
  };
}

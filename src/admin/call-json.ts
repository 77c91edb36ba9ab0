// Finished and open calls, and sums of them, as they go out. Apart from their schemas, which take long to load: the live
// feed needs none.

import type { z } from "@hono/zod-openapi";
import type { CallRow, UsageRow } from "../ledger/call-log.ts";
import type { callSchema, usageSchema } from "./call-model.ts";
import { toMoney, toTime, toTimeOrNull } from "./wire-values.ts";

export function toCallJson(call: CallRow, currency: string): z.input<typeof callSchema> {
  return {
    id: call.id,
    request_id: call.requestId,
    state: call.state,
    user: call.user,
    group: call.group,
    key_id: call.keyId,
    surface: call.surface,
    model: call.model,
    upstream_key: call.upstreamKey,
    is_stream: call.isStream,
    arrived_at: toTime(call.arrivedAt),
    granted_at: toTimeOrNull(call.grantedAt),
    sent_at: toTimeOrNull(call.sentAt),
    first_byte_at: toTimeOrNull(call.firstByteAt),
    ended_at: toTimeOrNull(call.endedAt),
    bytes_in: call.bytesIn,
    bytes_out: call.bytesOut,
    events: call.events,
    tries: call.tries,
    queue_position: call.queuePosition,
    requests: call.requests,
    prompt_tokens: call.promptTokens,
    completion_tokens: call.completionTokens,
    tokens_source: call.tokensSource,
    cost: toMoney(call.costMicros),
    currency,
    status: call.status,
    reason: call.reason,
    upstream_status: call.upstreamStatus,
    upstream_code: call.upstreamCode,
    upstream_request_id: call.upstreamRequestId,
    finish_reason: call.finishReason,
  };
}

export function toUsageJson(row: UsageRow): z.input<typeof usageSchema> {
  return {
    name: row.name,
    calls: row.calls,
    served: row.served,
    requests: row.requests,
    prompt_tokens: row.promptTokens,
    completion_tokens: row.completionTokens,
    cost: toMoney(row.costMicros),
  };
}

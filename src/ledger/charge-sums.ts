// What calls were charged, for quotas to begin with: one query over the records, one over the days of pruned ones.

import type { QuotaScope } from "../base/charge.ts";
import type { Store } from "../store/store.ts";
import { createCalendar } from "./calendar-day.ts";
import { firstDayFrom } from "./usage-sums.ts";

export interface ChargeSum {
  readonly user: string;
  readonly group: string | null;
  readonly keyId: string | null;
  readonly requests: number;
  readonly tokens: number;
  readonly costMicros: number;
}

/**
 * Of calls that arrived at `fromMs` or later; null: of all there ever were. Pruned days count when they begin within.
 * By user, group and key: the same three come more than once when some of their calls were pruned. `only`: of calls of
 * this user or group.
 */
export async function sumChargesSince(
  { reads }: Pick<Store, "reads">,
  fromMs: number | null,
  timeZone: string,
  only?: Pick<QuotaScope, "kind" | "id">,
): Promise<readonly ChargeSum[]> {
  let calls = reads.selectFrom("calls");
  let days = reads.selectFrom("usage_days");
  if (fromMs !== null) {
    calls = calls.where("arrived_at", ">=", fromMs);
    days = days.where("day", ">=", firstDayFrom(createCalendar(timeZone), fromMs));
  }
  if (only && only.kind !== "key") {
    const column = only.kind === "user" ? "user_name" : "group_name";
    calls = calls.where(column, "=", only.id);
    days = days.where(column, "=", only.id);
  }
  const kept = await calls
    .select(["user_name as user", "group_name as group", "key_id as keyId"])
    .select(({ fn }) => [
      fn.sum<number>("requests").as("requests"),
      fn.sum<number>("prompt_tokens").as("promptTokens"),
      fn.sum<number>("completion_tokens").as("completionTokens"),
      fn.sum<number>("cost_micros").as("costMicros"),
    ])
    .groupBy(["user_name", "group_name", "key_id"])
    .execute();
  const pruned = await days
    .select(["user_name as user", "group_name as group", "key_id as keyId"])
    .select(({ fn }) => [
      fn.sum<number>("requests").as("requests"),
      fn.sum<number>("prompt_tokens").as("promptTokens"),
      fn.sum<number>("completion_tokens").as("completionTokens"),
      fn.sum<number>("cost_micros").as("costMicros"),
    ])
    .groupBy(["user_name", "group_name", "key_id"])
    .execute();
  return [...kept, ...pruned].map(({ user, group, keyId, requests, promptTokens, completionTokens, costMicros }) => ({
    user,
    group: group || null,
    keyId: keyId || null,
    requests,
    tokens: promptTokens + completionTokens,
    costMicros,
  }));
}

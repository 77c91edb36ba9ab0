// Sums over calls by one thing: of the records that are still there, and of the days that are left of pruned ones.
// Days are those of the configured time zone; each is summed by its own range of time, so that a day whose clocks were
// changed is as exact as any other.

import type { Db } from "../store/store.ts";
import type { Calendar } from "./calendar-day.ts";
import type { UsageKey, UsageQuery, UsageRow } from "./call-log.ts";

const rowsMax = 10_000;

const callColumns = { user: "user_name", group: "group_name", key: "key_id", model: "model" } as const;

export async function sumUsage(db: Db, calendar: Calendar, query: UsageQuery): Promise<readonly UsageRow[]> {
  const pruned = await sumDays(db, calendar, query);
  const kept = query.by === "day" ? await sumCallsByDay(db, calendar, query) : await sumCalls(db, query, query.by);
  return mergeRows([...pruned, ...kept]).slice(0, rowsMax);
}

function sumCalls(db: Db, query: UsageQuery, by: Exclude<UsageKey, "day">): Promise<readonly UsageRow[]> {
  const column = callColumns[by];
  return selectSums(db, query)
    .select(({ fn, val }) => fn.coalesce(column, val("")).as("name"))
    .groupBy(column)
    .orderBy("name")
    .limit(rowsMax)
    .execute();
}

async function sumCallsByDay(db: Db, calendar: Calendar, query: UsageQuery): Promise<readonly UsageRow[]> {
  const ends = await filterCalls(db, query)
    .select(({ fn }) => [fn.min("arrived_at").as("first"), fn.max("arrived_at").as("last")])
    .executeTakeFirst();
  if (!ends || ends.first === null) return [];
  const rows: UsageRow[] = [];
  const last = calendar.dayOf(ends.last);
  for (let day = calendar.dayOf(ends.first); day <= last && rows.length < rowsMax; day = calendar.next(day)) {
    const row = await selectSums(db, query)
      .where("arrived_at", ">=", calendar.startOf(day))
      .where("arrived_at", "<", calendar.startOf(calendar.next(day)))
      .executeTakeFirst();
    if (row && row.calls > 0) rows.push({ ...row, name: day });
  }
  return rows;
}

function selectSums(db: Db, query: UsageQuery) {
  return filterCalls(db, query).select((select) => [
    select.fn.countAll<number>().as("calls"),
    select.fn
      .sum<number>(select.case().when("state", "=", "served").then(select.lit(1)).else(select.lit(0)).end())
      .as("served"),
    select.fn.sum<number>("requests").as("requests"),
    select.fn.sum<number>("prompt_tokens").as("promptTokens"),
    select.fn.sum<number>("completion_tokens").as("completionTokens"),
    select.fn.sum<number>("cost_micros").as("costMicros"),
  ]);
}

function filterCalls(db: Db, { from, to, user, group, key, model }: UsageQuery) {
  let calls = db.selectFrom("calls");
  if (from !== null) calls = calls.where("arrived_at", ">=", from);
  if (to !== null) calls = calls.where("arrived_at", "<", to);
  if (user !== undefined) calls = calls.where("user_name", "=", user);
  if (group !== undefined) calls = calls.where("group_name", "=", group);
  if (key !== undefined) calls = calls.where("key_id", "=", key);
  if (model !== undefined) calls = calls.where("model", "=", model);
  return calls;
}

function sumDays(db: Db, calendar: Calendar, query: UsageQuery): Promise<readonly UsageRow[]> {
  const column = query.by === "day" ? "day" : callColumns[query.by];
  let days = db.selectFrom("usage_days");
  if (query.from !== null) days = days.where("day", ">=", firstDayFrom(calendar, query.from));
  if (query.to !== null) days = days.where("day", "<", firstDayFrom(calendar, query.to));
  if (query.user !== undefined) days = days.where("user_name", "=", query.user);
  if (query.group !== undefined) days = days.where("group_name", "=", query.group);
  if (query.key !== undefined) days = days.where("key_id", "=", query.key);
  if (query.model !== undefined) days = days.where("model", "=", query.model);
  return days
    .select(`${column} as name`)
    .select(({ fn }) => [
      fn.sum<number>("calls").as("calls"),
      fn.sum<number>("served").as("served"),
      fn.sum<number>("requests").as("requests"),
      fn.sum<number>("prompt_tokens").as("promptTokens"),
      fn.sum<number>("completion_tokens").as("completionTokens"),
      fn.sum<number>("cost_micros").as("costMicros"),
    ])
    .groupBy(column)
    .orderBy(column)
    .limit(rowsMax)
    .execute();
}

/** The first day that begins at this time or later. */
export function firstDayFrom(calendar: Calendar, wallMs: number): string {
  const day = calendar.dayOf(wallMs);
  return calendar.startOf(day) >= wallMs ? day : calendar.next(day);
}

function mergeRows(rows: readonly UsageRow[]): UsageRow[] {
  const merged = new Map<string, UsageRow>();
  for (const row of rows) {
    const known = merged.get(row.name);
    merged.set(row.name, known ? addRows(known, row) : row);
  }
  return Array.from(merged.values()).sort((one, other) => (one.name < other.name ? -1 : 1));
}

function addRows(one: UsageRow, other: UsageRow): UsageRow {
  return {
    name: one.name,
    calls: one.calls + other.calls,
    served: one.served + other.served,
    requests: one.requests + other.requests,
    promptTokens: one.promptTokens + other.promptTokens,
    completionTokens: one.completionTokens + other.completionTokens,
    costMicros: one.costMicros + other.costMicros,
  };
}

// Makes sums of old calls: whole days, in steps so small that no record waits long for the writer. A step takes records
// out and adds them to their day's sums in one transaction, so that the sums are right wherever it ends.

import type { Db, Store } from "../store/store.ts";
import type { Calendar } from "./calendar-day.ts";

export interface Pruned {
  readonly calls: number;
  readonly contents: number;
}

export interface PruneBounds {
  /** Calls of days that ended by then become sums. Open ones stay. */
  readonly callsBefore: number;
  /** Prompts and answers stored earlier are deleted. */
  readonly contentsBefore: number;
  /** Asked between two steps: false ends it early. */
  isWanted(): boolean;
}

const callsPerStep = 500;
const contentsPerStep = 100;

/** Rejects with StoreError; what was done until then stays done. */
export async function prune(store: Store, calendar: Calendar, bounds: PruneBounds): Promise<Pruned> {
  const contents = await pruneContents(store, bounds);
  const before = calendar.startOf(calendar.dayOf(bounds.callsBefore));
  let calls = 0;
  while (bounds.isWanted()) {
    const arrivedAt = await findOldest(store, before);
    if (arrivedAt === null) break;
    calls += await pruneDay(store, calendar, calendar.dayOf(arrivedAt), bounds);
  }
  return { calls, contents };
}

async function findOldest({ reads }: Store, before: number): Promise<number | null> {
  const oldest = await reads
    .selectFrom("calls")
    .select("arrived_at")
    .where("arrived_at", "<", before)
    .where("state", "!=", "open")
    .orderBy("arrived_at")
    .limit(1)
    .executeTakeFirst();
  return oldest?.arrived_at ?? null;
}

async function pruneDay(store: Store, calendar: Calendar, day: string, { isWanted }: PruneBounds): Promise<number> {
  let count = 0;
  while (isWanted()) {
    const found = await store.reads
      .selectFrom("calls")
      .select("id")
      .where("arrived_at", ">=", calendar.startOf(day))
      .where("arrived_at", "<", calendar.startOf(calendar.next(day)))
      .where("state", "!=", "open")
      .limit(callsPerStep)
      .execute();
    if (found.length === 0) break;
    const ids = found.map(({ id }) => id);
    count += await store.db.transaction().execute((transaction) => pruneStep(transaction, day, ids));
  }
  return count;
}

/** What another process has pruned meanwhile is not counted again: only what this one deletes is added. */
async function pruneStep(db: Db, day: string, ids: readonly string[]): Promise<number> {
  await db.deleteFrom("call_contents").where("call_id", "in", ids).execute();
  const deleted = await db
    .deleteFrom("calls")
    .where("id", "in", ids)
    .returning(["user_name", "group_name", "key_id", "model", "state", "requests"])
    .returning(["prompt_tokens", "completion_tokens", "cost_micros"])
    .execute();
  for (const sum of toSums(day, deleted)) {
    await db
      .insertInto("usage_days")
      .values(sum)
      .onConflict((conflict) =>
        conflict.columns(["day", "user_name", "group_name", "key_id", "model"]).doUpdateSet((set) => ({
          calls: set("usage_days.calls", "+", set.ref("excluded.calls")),
          served: set("usage_days.served", "+", set.ref("excluded.served")),
          requests: set("usage_days.requests", "+", set.ref("excluded.requests")),
          prompt_tokens: set("usage_days.prompt_tokens", "+", set.ref("excluded.prompt_tokens")),
          completion_tokens: set("usage_days.completion_tokens", "+", set.ref("excluded.completion_tokens")),
          cost_micros: set("usage_days.cost_micros", "+", set.ref("excluded.cost_micros")),
        })),
      )
      .execute();
  }
  return deleted.length;
}

interface DeletedCall {
  readonly user_name: string;
  readonly group_name: string | null;
  readonly key_id: string | null;
  readonly model: string | null;
  readonly state: string;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost_micros: number;
}

/** In one order always, so that two processes that prune never wait for each other in a circle. */
function toSums(day: string, deleted: readonly DeletedCall[]) {
  const sums = new Map<string, ReturnType<typeof toEmptySum>>();
  for (const call of deleted) {
    const name = JSON.stringify([call.user_name, call.group_name, call.key_id, call.model]);
    const sum = sums.get(name) ?? toEmptySum(day, call);
    sum.calls++;
    if (call.state === "served") sum.served++;
    sum.requests += call.requests;
    sum.prompt_tokens += call.prompt_tokens;
    sum.completion_tokens += call.completion_tokens;
    sum.cost_micros += call.cost_micros;
    sums.set(name, sum);
  }
  return Array.from(sums)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, sum]) => sum);
}

function toEmptySum(day: string, { user_name, group_name, key_id, model }: DeletedCall) {
  return {
    day,
    user_name,
    group_name: group_name ?? "",
    key_id: key_id ?? "",
    model: model ?? "",
    calls: 0,
    served: 0,
    requests: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    cost_micros: 0,
  };
}

async function pruneContents(store: Store, { contentsBefore, isWanted }: PruneBounds): Promise<number> {
  let count = 0;
  while (isWanted()) {
    const found = await store.reads
      .selectFrom("call_contents")
      .select("call_id")
      .where("stored_at", "<", contentsBefore)
      .limit(contentsPerStep)
      .execute();
    if (found.length === 0) break;
    const ids = found.map(({ call_id }) => call_id);
    const { numDeletedRows } = await store.db
      .deleteFrom("call_contents")
      .where("call_id", "in", ids)
      .executeTakeFirstOrThrow();
    count += Number(numDeletedRows);
  }
  return count;
}

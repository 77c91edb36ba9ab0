// What was sent before this process began, for limits that the upstream has and no restart ends: from the newest records,
// as far as their times can be compared with those of now.
//
// Records have times of the wall clock, which somebody may have put forward or back since, or which is another machine's.
// So each start notes how far the wall clock was from the machine's monotonic one. Where that is the same as at the start
// before, nobody moved the clock and the machine has not booted: the times are good. Else nothing is known of when
// anything was sent, but that it was before this start.

import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";

/** Times are of the clock that was given, monotonic, and never earlier than they were. */
export interface SendHistory {
  readonly calls: readonly SentCall[];
  /** Until then more may have been sent than `calls` say; null: that is all. */
  readonly unknownUntil: number | null;
}

export interface SentCall {
  readonly surface: string;
  readonly model: string | null;
  /** Null: nobody knows which. */
  readonly upstreamKey: string | null;
  readonly sentAt: number;
  /** What it used, counted when it ended. */
  readonly tokens: number;
  readonly endedAt: number;
  /** The upstream may not have noticed its end by then. */
  readonly wasCut: boolean;
}

export interface SendHistoryOptions {
  readonly store: Store;
  /** Whose records. */
  readonly instance: string;
  readonly clock: Clock;
  /** How long what was sent counts. */
  readonly windowMs: number;
  /** The longest that a call can take, from its arrival to its end: of older ones, nothing is looked at. */
  readonly callMsMax: number;
}

/** What a start knows of the clocks. Both are Unix milliseconds. */
interface ClockNote {
  /** What the wall clock shows when the monotonic one shows 0. */
  readonly origin: number;
  readonly unknownUntil: number | null;
}

/** By so much the two clocks may differ from one start to the next: readings are not made in one moment. */
const driftMsMax = 50;
/** Records have whole milliseconds. */
const roundingMs = 2;

/** After the records that a dead process left open were closed. Rejects with StoreError. */
export async function readSendHistory(options: SendHistoryOptions): Promise<SendHistory> {
  const { store, clock, instance } = options;
  const [now, wallNow] = [clock.now(), clock.wallNow()];
  const origin = wallNow - now;
  const name = `clock:${instance}`;
  const known = parseNote(await readMeta(store, name));
  const driftMs = Math.abs(origin - (known?.origin ?? Number.NaN));
  const isComparable = driftMs <= driftMsMax;
  // A database without records is a new one: nothing was sent by this gateway.
  const isNew = known === null && !(await hasCalls(store));
  const unknownUntil = isComparable ? (known?.unknownUntil ?? null) : isNew ? null : wallNow;
  await writeMeta(store, name, JSON.stringify({ origin, unknownUntil } satisfies ClockNote));

  const toMonotonic = (at: number) => (isComparable ? now - Math.max(0, wallNow - at - driftMs - roundingMs) : now);
  const rows = await readCalls(options, wallNow);
  return {
    calls: rows.flatMap((row) => toSentCalls(row, toMonotonic)),
    unknownUntil: unknownUntil === null ? null : toMonotonic(unknownUntil),
  };
}

function readCalls({ store, instance, windowMs, callMsMax }: SendHistoryOptions, wallNow: number) {
  return store.db
    .selectFrom("calls")
    .select(["surface", "model", "upstream_key", "state", "sent_at", "ended_at", "tries"])
    .select(["prompt_tokens", "completion_tokens"])
    .where("instance", "=", instance)
    .where("arrived_at", ">=", Math.floor(wallNow - windowMs - callMsMax))
    .where("ended_at", ">=", Math.floor(wallNow - windowMs))
    .execute();
}

type Row = Awaited<ReturnType<typeof readCalls>>[number];

/** Each try is a send of its own. When and with which key the earlier ones were is not known, but that it was before. */
function toSentCalls(row: Row, toMonotonic: (at: number) => number): SentCall[] {
  const { surface, model, state, sent_at: sentAt, tries } = row;
  const endedAt = toMonotonic(row.ended_at ?? Number.POSITIVE_INFINITY);
  const call: SentCall = {
    surface,
    model,
    upstreamKey: row.upstream_key,
    sentAt: sentAt === null ? endedAt : toMonotonic(sentAt),
    tokens: row.prompt_tokens + row.completion_tokens,
    endedAt,
    wasCut: state !== "served",
  };
  const earlier = Array.from({ length: tries }, () => ({ ...call, upstreamKey: null, tokens: 0, wasCut: false }));
  if (sentAt !== null) return [call, ...earlier];
  // A process that dies just after a send has not noted it.
  return state === "unknown" ? [{ ...call, upstreamKey: null }, ...earlier] : earlier;
}

async function hasCalls({ db }: Store): Promise<boolean> {
  return (await db.selectFrom("calls").select("id").limit(1).executeTakeFirst()) !== undefined;
}

async function readMeta({ db }: Store, name: string): Promise<string | null> {
  const row = await db.selectFrom("meta").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value ?? null;
}

async function writeMeta({ db }: Store, name: string, value: string): Promise<void> {
  await db
    .insertInto("meta")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}

function parseNote(text: string | null): ClockNote | null {
  try {
    const note = JSON.parse(text ?? "null") as Partial<ClockNote> | null;
    if (typeof note?.origin !== "number") return null;
    return { origin: note.origin, unknownUntil: typeof note.unknownUntil === "number" ? note.unknownUntil : null };
  } catch {
    return null;
  }
}

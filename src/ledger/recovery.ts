// What a process that died left open: nobody will ever know how those calls ended. They become `unknown` and keep the
// charge that their intent was noted with.

import type { Store } from "../store/store.ts";

export interface Recovery {
  /** Unix milliseconds: when they are said to have ended. */
  readonly endedAt: number;
  /** Whose records: of several processes that share a database, each judges its own. Null: all. */
  readonly instance: string | null;
}

/** Before this process writes its first record, and after what the last one left in its spool. Returns how many. */
export async function recoverOpenCalls({ db }: Store, { endedAt, instance }: Recovery): Promise<number> {
  let query = db.updateTable("calls").set({ state: "unknown", ended_at: endedAt }).where("state", "=", "open");
  if (instance !== null) query = query.where("instance", "=", instance);
  const { numUpdatedRows } = await query.executeTakeFirstOrThrow();
  return Number(numUpdatedRows);
}

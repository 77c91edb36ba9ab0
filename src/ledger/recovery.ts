// What a process that died left open: nobody will ever know how those calls ended. They become `unknown`, charged by the
// table of charge-call.ts: those that were sent are unanswered and keep the estimate of their intent, the others were
// never sent and take nothing.

import { noCharge } from "../base/charge.ts";
import type { Store } from "../store/store.ts";

export interface Recovery {
  /** Unix milliseconds: when they are said to have ended. */
  readonly endedAt: number;
  /** Whose records: of several processes that share a database, each judges its own. Null: all. */
  readonly instance: string | null;
}

/** Before this process writes its first record, and after what the last one left in its spool. Returns how many. */
export async function recoverOpenCalls({ db }: Store, { endedAt, instance }: Recovery): Promise<number> {
  const { source, requests, promptTokens, completionTokens, costMicros } = noCharge;
  const free = {
    tokens_source: source,
    requests,
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    cost_micros: costMicros,
  };
  let count = 0;
  for (const charge of [free, {}]) {
    let query = db
      .updateTable("calls")
      .set({ state: "unknown", ended_at: endedAt, ...charge })
      .where("state", "=", "open");
    if (charge === free) query = query.where("sent_at", "is", null);
    if (instance !== null) query = query.where("instance", "=", instance);
    const { numUpdatedRows } = await query.executeTakeFirstOrThrow();
    count += Number(numUpdatedRows);
  }
  return count;
}

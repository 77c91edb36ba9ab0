// Puts what was sent before the scheduler began into the windows that it still counts for.

import type { Alarms } from "./alarms.ts";
import type { Gates } from "./gates.ts";
import type { KeyPool } from "./key-pool.ts";
import type { AdmissionLimits, PastCall } from "./scheduler.ts";
import type { Account } from "./upstream-key.ts";
import { toWindowLimits } from "./window-log.ts";

/** Tokens count for a minute, and a limit that a reload brings may look back as far. */
const windowMsMin = 60_000;

/** How long a call counts after its end, by any of the limits. */
export function toLongestWindowMs({
  keys,
  models,
  families = [],
  sendGuardMs,
  abortLingerMs,
}: AdmissionLimits): number {
  const windows = [...keys, ...models, ...families].map(({ startsPerSecond }) =>
    startsPerSecond === null ? 0 : toWindowLimits(startsPerSecond, 0).windowMs,
  );
  return Math.max(windowMsMin, ...windows) + sendGuardMs + abortLingerMs;
}

export function recallPast(calls: readonly PastCall[], pool: KeyPool, alarms: Alarms, lingerMs: number): void {
  for (const call of calls.toSorted((one, other) => one.sentAt - other.sentAt)) {
    const { sentAt, tokens, endedAt, wasCut } = call;
    for (const gates of findGates(call, pool)) {
      gates.recall(sentAt, tokens, endedAt);
      if (!wasCut) continue;
      gates.inFlight++;
      alarms.set(endedAt + lingerMs, () => void gates.inFlight--);
    }
  }
}

function findGates({ upstreamKey, model }: PastCall, pool: KeyPool): Gates[] {
  const key = pool.keys.find(({ name }) => name === upstreamKey);
  const accounts: readonly Account[] = key ? [key.account] : pool.accounts;
  return accounts.flatMap((account) => {
    const first = account.keys[0];
    const isLimited = model !== null && first !== undefined && pool.limitsOf(model) !== null;
    return isLimited ? [account.gates, pool.modelOn(first, model).gates] : [account.gates];
  });
}

// The scheduler's state in the words of the port: what is left of each limit, and who has had how much.

import type { TrafficClass } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { Gates } from "./gates.ts";
import type { KeyPool } from "./key-pool.ts";
import type { UserState } from "./scheduler.ts";
import type { Share } from "./share.ts";

/** Limits of all accounts together, and of the user; the scarcest first. Every answer tells them: plain loops. */
export function listAllowances(pool: KeyPool, user: Gates, now: number): RemainingLimit[] {
  const list: RemainingLimit[] = [];
  addLimits(
    list,
    "upstream",
    pool.accounts.map(({ gates }) => gates),
    now,
  );
  addLimits(list, "user", [user], now);
  return list.length < 2 ? list : list.sort((a, b) => a.remaining / a.limit - b.remaining / b.limit);
}

/** Each kind of limit that all of the gates have, as one. */
function addLimits(list: RemainingLimit[], name: "upstream" | "user", all: readonly Gates[], now: number): void {
  const starts = { name, limit: 0, remaining: 0, windowMs: 0, resetMs: 0 };
  const streams = { name: `${name}-streams` as const, limit: 0, remaining: 0, windowMs: null, resetMs: null };
  const tokens = { name: `${name}-tokens` as const, limit: 0, remaining: 0, windowMs: 60_000, resetMs: 0 };
  let windowCount = 0;
  let tokenCount = 0;
  for (const gates of all) {
    if (gates.window) {
      windowCount++;
      const { count, allAt } = gates.window.remaining(now);
      starts.limit += gates.window.startsMax;
      starts.remaining += count;
      starts.windowMs = Math.max(starts.windowMs, gates.window.nominalMs);
      starts.resetMs = Math.max(starts.resetMs, allAt - now);
    }
    streams.limit += gates.concurrencyMax;
    streams.remaining += Math.max(0, gates.concurrencyMax - gates.inFlight);
    if (gates.tokens) {
      tokenCount++;
      tokens.limit += gates.tokens.tokensMax;
      tokens.remaining += Math.max(0, gates.tokens.tokensMax - gates.tokens.used(now));
      tokens.resetMs = Math.max(tokens.resetMs, gates.tokens.emptyAt(now) - now);
    }
  }
  if (windowCount === all.length) list.push(starts);
  if (streams.limit !== Number.POSITIVE_INFINITY) list.push(streams);
  if (tokenCount === all.length) list.push({ ...tokens, remaining: Math.floor(tokens.remaining) });
}

export function describeUsers(root: Share): UserState[] {
  return [...root.children].flatMap((ofClass) =>
    Array.from(ofClass.children, (share) => ({
      userId: share.key,
      class: ofClass.key as TrafficClass,
      weight: share.weight,
      waiting: share.waitingCount,
      running: share.runningCount,
      servedSeconds: share.servedMs / 1_000,
      aheadSeconds: (Math.max(0, share.virtualTime - ofClass.now) * share.weight) / 1_000,
    })),
  );
}

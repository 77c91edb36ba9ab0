// The scheduler's state in the words of the port: what is left of each limit, and who has had how much.

import type { TrafficClass } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { Gates } from "./gates.ts";
import type { KeyPool } from "./key-pool.ts";
import type { UserState } from "./scheduler.ts";
import type { Share } from "./share.ts";

/** Limits of all accounts together, and of the user; the scarcest first. */
export function listAllowances(pool: KeyPool, user: Gates, now: number): RemainingLimit[] {
  const ofPool = pool.accounts.map(({ gates }) => gates);
  const all = [...listOf("upstream", ofPool, now), ...listOf("user", [user], now)];
  return all.sort((a, b) => a.remaining / a.limit - b.remaining / b.limit);
}

function listOf(name: "upstream" | "user", gates: readonly Gates[], now: number): RemainingLimit[] {
  const list: RemainingLimit[] = [];
  const windows = gates.flatMap(({ window }) => window ?? []);
  if (windows.length === gates.length) {
    const left = windows.map((window) => window.remaining(now));
    list.push({
      name,
      limit: sum(windows.map(({ startsMax }) => startsMax)),
      remaining: sum(left.map(({ count }) => count)),
      windowMs: Math.max(...windows.map(({ nominalMs }) => nominalMs)),
      resetMs: Math.max(0, ...left.map(({ allAt }) => allAt - now)),
    });
  }
  const streams = sum(gates.map(({ concurrencyMax }) => concurrencyMax));
  if (streams !== Number.POSITIVE_INFINITY) {
    const remaining = sum(gates.map(({ concurrencyMax, inFlight }) => Math.max(0, concurrencyMax - inFlight)));
    list.push({ name: `${name}-streams`, limit: streams, remaining, windowMs: null, resetMs: null });
  }
  const tokens = gates.flatMap((one) => one.tokens ?? []);
  if (tokens.length === gates.length) {
    list.push({
      name: `${name}-tokens`,
      limit: sum(tokens.map(({ tokensMax }) => tokensMax)),
      remaining: Math.floor(sum(tokens.map((window) => Math.max(0, window.tokensMax - window.used(now))))),
      windowMs: 60_000,
      resetMs: Math.max(0, ...tokens.map((window) => window.emptyAt(now) - now)),
    });
  }
  return list;
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

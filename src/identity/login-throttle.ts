// Slows guessing. Failures are counted per user and address, per address, and per user; beyond a free number each
// further one doubles a pause. Nobody is locked out: the per-user count does not bind an address from which
// that user has logged in before, nor does the per-address count.

import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";

export interface LoginThrottle {
  /**
   * Call before the password is checked; throws `login_throttled` while a pause runs, or while so many attempts are
   * being checked that guessing in parallel would be a way around the pauses. Exactly one outcome must follow.
   */
  begin(username: string, address: string): LoginOutcome;
}

export interface LoginOutcome {
  succeed(): void;
  fail(): void;
  /** The password was never checked. */
  withdraw(): void;
}

interface Tally {
  failures: number;
  /** Attempts that are being checked. */
  pending: number;
  blockedUntil: number;
  lastAt: number;
}

interface Scope {
  readonly free: number;
  /** Attempts checked at once while failures are free; beyond, one at a time. */
  readonly parallelMax: number;
  readonly pauseMsMax: number;
  readonly tallies: Map<string, Tally>;
}

const pauseMsFirst = 1_000;
/** After so long without an attempt a count is forgotten. */
const forgetAfterMs = 60 * 60_000;
const entriesMax = 10_000;

export function createLoginThrottle(clock: Clock): LoginThrottle {
  const pairs: Scope = { free: 5, parallelMax: 16, pauseMsMax: 15 * 60_000, tallies: new Map() };
  const addresses: Scope = { free: 30, parallelMax: 100, pauseMsMax: 60_000, tallies: new Map() };
  const users: Scope = { free: 50, parallelMax: 100, pauseMsMax: 60_000, tallies: new Map() };
  /** Pairs that have logged in, newest last. */
  const trusted = new Map<string, true>();

  function begin(username: string, address: string): LoginOutcome {
    const network = toNetwork(address);
    const pair = `${network} ${username}`;
    const now = clock.now();
    const scopes: [Scope, string][] = [[pairs, pair]];
    if (!trusted.has(pair)) scopes.push([addresses, network], [users, username]);
    const tallies = scopes.map(([scope, key]) => ({ scope, key, tally: findTally(scope, key, now) }));
    const pauseMs = Math.max(...tallies.map(({ scope, tally }) => findPauseMs(scope, tally, now)));
    if (pauseMs > 0) throw new Refusal("login_throttled", { retryAfterMs: pauseMs });
    for (const { tally } of tallies) {
      tally.pending++;
      tally.lastAt = now;
    }

    function withdraw(): void {
      for (const { tally } of tallies) tally.pending--;
    }
    function fail(): void {
      withdraw();
      for (const { scope, tally } of tallies) countFailure(scope, tally, clock.now());
    }
    function succeed(): void {
      withdraw();
      for (const { scope, key, tally } of tallies) {
        if (scope === pairs) tally.failures = 0;
        // It says no more than none would: most logins leave nothing behind.
        const isEmpty = tally.failures === 0 && tally.pending === 0 && tally.blockedUntil <= clock.now();
        if (isEmpty && scope.tallies.get(key) === tally) scope.tallies.delete(key);
      }
      remember(trusted, pair, true);
    }
    return { succeed, fail, withdraw };
  }

  return { begin };
}

function findTally({ tallies }: Scope, key: string, now: number): Tally {
  const known = tallies.get(key);
  const tally =
    known && now - known.lastAt < forgetAfterMs ? known : { failures: 0, pending: 0, blockedUntil: 0, lastAt: now };
  remember(tallies, key, tally);
  // The one that was used longest ago is first.
  for (const [old, { lastAt, pending }] of tallies) {
    if (now - lastAt < forgetAfterMs || pending > 0) break;
    tallies.delete(old);
  }
  return tally;
}

/** How long an attempt must wait; 0 when it may be checked now. */
function findPauseMs({ free, parallelMax }: Scope, tally: Tally, now: number): number {
  if (tally.blockedUntil > now) return tally.blockedUntil - now;
  return tally.pending >= (tally.failures >= free ? 1 : parallelMax) ? pauseMsFirst : 0;
}

function countFailure({ free, pauseMsMax }: Scope, tally: Tally, now: number): void {
  tally.failures++;
  tally.lastAt = now;
  const excess = tally.failures - free;
  if (excess >= 0) tally.blockedUntil = now + Math.min(pauseMsFirst * 2 ** excess, pauseMsMax);
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > entriesMax) map.delete(map.keys().next().value as string);
}

/** One IPv4 address, or the /56 that one IPv6 subscriber has. */
function toNetwork(address: string): string {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (!plain.includes(":")) return plain;
  const [head = "", tail = ""] = plain.split("%")[0]?.split("::") ?? [];
  const groups = head.split(":").filter(Boolean);
  const tailGroups = tail.split(":").filter(Boolean);
  while (groups.length + tailGroups.length < 8) groups.push("0");
  const [first, second, third, fourth] = [...groups, ...tailGroups].map((group) => Number.parseInt(group, 16));
  return [first, second, third, (fourth ?? 0) >> 8].map((group) => (group ?? 0).toString(16)).join(":");
}

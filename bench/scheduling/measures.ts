// What a run is worth, computed from its histories and the upstream's report alone: nothing here asks the policy.

import { computeNormalisedJain, type Demand } from "./fair-share.ts";
import type { CallHistory } from "./policy.ts";
import type { RunResult } from "./run.ts";
import { computeShare, countWhere, findQuantile } from "./statistics.ts";

/** Of these users no more than so many calls come: they are the ones that a queue must not punish for the others. */
export const lightRequestsMax = 30;
/** Whoever was made to wait so long and then refused could have been told before. */
const lateMs = 500;
const etaErrorBaseMsMin = 100;

export interface Span {
  readonly from: number;
  readonly to: number;
}

export function isServed(call: CallHistory): boolean {
  return call.outcome === "served";
}

export function listServed({ calls }: RunResult): CallHistory[] {
  return calls.filter(isServed);
}

export function listRefused({ calls }: RunResult): CallHistory[] {
  return calls.filter(({ outcome }) => outcome === "refused");
}

export function waitOf({ startedAt, arrivedAt }: CallHistory): number {
  return startedAt - arrivedAt;
}

export function waitQuantile(calls: readonly CallHistory[], share: number): number {
  return findQuantile(calls.map(waitOf), share);
}

/** Good answers begun while calls came, over what the upstream's rate allows in that time. */
export function computeRateUse({ calls, scenario }: RunResult): number {
  const { startsPerSecond } = scenario.limits;
  const begun = countWhere(calls, (call) => isServed(call) && call.startedAt <= scenario.durationMs);
  return begun / (((startsPerSecond as number) * scenario.durationMs) / 1_000);
}

/**
 * The share of the upstream's own limit that was in use, over the time in which somebody waited. For a rate: arrivals
 * in the window before each moment; for places: calls in flight. NaN when nobody ever waited.
 */
export function computeBusyShare({ calls, upstream, scenario }: RunResult): number {
  const { requestsPerSecond, windowMs, concurrencyMax } = scenario.upstream.limits;
  const stays = [...upstream.stays, ...upstream.strangerStays];
  const used = requestsPerSecond === null ? stays : stays.map(({ from }) => ({ from, to: from + windowMs }));
  const limit = requestsPerSecond === null ? concurrencyMax : (requestsPerSecond * windowMs) / 1_000;
  const waits = calls.map(({ arrivedAt, startedAt, endedAt }) => ({
    from: arrivedAt,
    to: Number.isNaN(startedAt) ? endedAt : startedAt,
  }));
  const { both, time } = integrateWhile(used, waits, limit ?? Number.POSITIVE_INFINITY);
  return time === 0 ? Number.NaN : both / (time * (limit ?? 1));
}

/** How much is in use (at most `max` at once), summed over the time in which any of `conditions` holds, and that time. */
export function integrateWhile(
  uses: readonly Span[],
  conditions: readonly Span[],
  max: number,
): { both: number; time: number } {
  const steps = [
    ...uses.flatMap(({ from, to }) => [
      { at: from, use: 1, condition: 0 },
      { at: to, use: -1, condition: 0 },
    ]),
    ...conditions.flatMap(({ from, to }) => [
      { at: from, use: 0, condition: 1 },
      { at: to, use: 0, condition: -1 },
    ]),
  ].sort((one, other) => one.at - other.at);
  let [both, time, use, condition, at] = [0, 0, 0, 0, 0];
  for (const step of steps) {
    if (condition > 0) {
      both += Math.min(use, max) * (step.at - at);
      time += step.at - at;
    }
    at = step.at;
    use += step.use;
    condition += step.condition;
  }
  return { both, time };
}

/** Jain's index of calls served over each user's max-min fair share of what the rate allowed. */
export function computeCallJain(run: RunResult): number {
  const { startsPerSecond } = run.scenario.limits;
  const capacity = ((startsPerSecond as number) * run.scenario.durationMs) / 1_000;
  return computeJainOf(run, capacity, () => 1);
}

/** `amountOf` says how much of the capacity a call wants, or got when it was served. */
export function computeJainOf({ calls }: RunResult, capacity: number, amountOf: (call: CallHistory) => number): number {
  const demands = new Map<string, Demand>();
  const served = new Map<string, number>();
  for (const call of calls) {
    const { userId, weight } = call.plan;
    const amount = amountOf(call);
    demands.set(userId, { userId, weight, amount: (demands.get(userId)?.amount ?? 0) + amount });
    if (isServed(call)) served.set(userId, (served.get(userId) ?? 0) + amount);
  }
  return computeNormalisedJain([...demands.values()], capacity, served);
}

/** Calls of users with few calls. */
export function listLight({ calls }: RunResult, requestsMax = lightRequestsMax): CallHistory[] {
  const counts = new Map<string, number>();
  for (const { plan } of calls) counts.set(plan.userId, (counts.get(plan.userId) ?? 0) + 1);
  return calls.filter(({ plan }) => (counts.get(plan.userId) as number) <= requestsMax);
}

export function isLateFailure({ outcome, endedAt, arrivedAt }: CallHistory): boolean {
  return outcome === "refused" && endedAt - arrivedAt > lateMs;
}

/** Late failures among the refusals; NaN when nothing was refused. */
export function computeLateShare(run: RunResult): number {
  return computeShare(listRefused(run), isLateFailure);
}

/** |foreseen - real| wait over the real one, of the served calls that had to wait; NaN when nothing was foreseen. */
export function computeEtaErrorQuantile(run: RunResult, share: number): number {
  const waited = listServed(run).filter(
    (call) => call.etaMs !== null && call.upstreamRefusals === 0 && waitOf(call) > 0,
  );
  const errors = waited.map((call) => {
    const actualMs = waitOf(call);
    return Math.abs((call.etaMs as number) - actualMs) / Math.max(actualMs, etaErrorBaseMsMin);
  });
  return findQuantile(errors, share);
}

/** Of the retries that clients made after the told time, the share that was served. NaN when there was none. */
export function computeRetryShare({ calls }: RunResult): number {
  return computeShare(
    calls.filter(({ plan }) => plan.retryCount > 0),
    isServed,
  );
}

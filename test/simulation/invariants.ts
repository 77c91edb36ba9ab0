// What must hold after every step of a scheduler core, judged by the driver's own books (ADMISSION's numbered
// invariants). Limits that were changed count from the change: what was granted before it may still exceed them.

import assert from "node:assert/strict";
import type { OfferedCall, Waiter } from "../../src/admission/core.ts";
import type { AdmissionLimits, GateLimits, KeyLimits } from "../../src/admission/scheduler.ts";
import type { CoreDriver, DrivenCall, SendRecord } from "./core-driver.ts";

/** Milliseconds: sums of windows such as 1000 * 2 / 3 may differ in the last digit. */
const tolerance = 1e-6;

/** So much of a window, delays of starts are made up for. */
const latenessShare = 0.1;

/** A set of calls that share gates, and what the limits of these gates are. */
interface Scope {
  readonly name: string;
  holds(call: OfferedCall, upstreamKey: string): boolean;
  limitsIn(limits: AdmissionLimits): GateLimits | null;
  /** The upstream's scopes have the guard added, and count aborted calls for a while. */
  readonly isUpstream: boolean;
}

/** The limits of a key are those of its account. */
function keyScope(driver: CoreDriver, key: string): Scope {
  const account = accountOf(driver, key);
  return {
    name: `account ${account}`,
    holds: (_, upstreamKey) => accountOf(driver, upstreamKey) === account,
    limitsIn: (limits) => limits.keys.find((other) => (other.account ?? other.name) === account) ?? null,
    isUpstream: true,
  };
}

/** Also of a key that a reload has taken away. */
function accountOf({ history }: CoreDriver, name: string): string {
  const key = history.flatMap(({ limits }) => limits.keys).findLast((other) => other.name === name);
  return key?.account ?? name;
}

function keyModelScope(driver: CoreDriver, key: string, model: string): Scope {
  const account = accountOf(driver, key);
  return {
    name: `account ${account} model ${model}`,
    holds: (call, upstreamKey) => accountOf(driver, upstreamKey) === account && call.model === model,
    limitsIn: (limits) => limits.models.find(({ pattern }) => pattern === model) ?? null,
    isUpstream: true,
  };
}

function userScope(userId: string): Scope {
  return {
    name: `user ${userId}`,
    holds: (call) => call.userId === userId,
    limitsIn: (limits) => limits.user,
    isUpstream: false,
  };
}

function scopesOf(driver: CoreDriver, call: OfferedCall, upstreamKey: string): Scope[] {
  return [keyScope(driver, upstreamKey), keyModelScope(driver, upstreamKey, call.model), userScope(call.userId)];
}

interface Window {
  readonly startsMax: number;
  readonly windowMs: number;
}

function windowOf(scope: Scope, limits: AdmissionLimits): Window | null {
  const rate = scope.limitsIn(limits)?.startsPerSecond ?? null;
  if (rate === null) return null;
  const startsMax = Math.max(1, Math.floor(rate));
  return { startsMax, windowMs: (startsMax / rate) * 1_000 + (scope.isUpstream ? limits.sendGuardMs : 0) };
}

/** Grants before the scope's window was there: a window that a reload brought knows nothing of what was before. */
function countUnknown(scope: Scope, driver: CoreDriver): number {
  let unknown = 0;
  let hasWindow = false;
  for (const { limits, grantCount } of driver.history) {
    const window = windowOf(scope, limits);
    if (window && !hasWindow) unknown = grantCount;
    hasWindow = window !== null;
  }
  return unknown;
}

/** 1: no window up to this send holds more than allowed, if the last of them was granted under the limits of now. */
export function assertRate(driver: CoreDriver, sent: SendRecord): void {
  for (const scope of scopesOf(driver, sent.call, sent.upstreamKey)) {
    const window = windowOf(scope, driver.limits);
    if (!window) continue;
    const unknown = countUnknown(scope, driver);
    const inWindow = driver.sends.filter(
      ({ call, upstreamKey, grantOrdinal, at }) =>
        scope.holds(call, upstreamKey) && grantOrdinal >= unknown && at > sent.at - window.windowMs + tolerance,
    );
    const isJudged = inWindow.some(({ limitsAtGrant }) => limitsAtGrant === driver.limits);
    assert.ok(
      !isJudged || inWindow.length <= window.startsMax,
      `${scope.name}: ${inWindow.length} sends within ${window.windowMs} ms, ${window.startsMax} allowed: ${inWindow.map(({ at }) => at).join(", ")}`,
    );
  }
}

function countInFlight(driver: CoreDriver, scope: Scope): { running: number; lingering: number } {
  const running = driver.running.filter(({ offered, grant }) => grant && scope.holds(offered, grant.upstreamKey));
  const lingering = driver.lingering.filter(({ call, upstreamKey }) => scope.holds(call, upstreamKey));
  return { running: running.length, lingering: lingering.length };
}

/** 2: with a call that was just granted, as many are in flight as its limits allow, or fewer. */
export function assertConcurrency(driver: CoreDriver, granted: DrivenCall): void {
  assert.ok(granted.grant);
  for (const scope of scopesOf(driver, granted.offered, granted.grant.upstreamKey)) {
    const max = scope.limitsIn(driver.limits)?.concurrencyMax ?? null;
    if (max === null) continue;
    const { running } = countInFlight(driver, scope);
    const lingering = scope.isUpstream ? countBoundLingering(driver, scope) : 0;
    assert.ok(
      running + lingering <= max,
      `${scope.name}: ${running} in flight and ${lingering} aborted ones, ${max} allowed`,
    );
  }
}

/** Aborted calls linger where there was a limit on calls at once all the time. */
function countBoundLingering(driver: CoreDriver, scope: Scope): number {
  const hasAlwaysBeenBound = driver.history.every(({ limits }) => scope.limitsIn(limits)?.concurrencyMax !== null);
  if (!hasAlwaysBeenBound || driver.history.some(({ limits }) => !scope.limitsIn(limits))) return 0;
  return driver.lingering.filter(({ call, upstreamKey, until }) => until > driver.now && scope.holds(call, upstreamKey))
    .length;
}

/** 3: what the core counts is what was granted and not released, for each user, key and model. */
export function assertConservation(driver: CoreDriver): void {
  const gauges = driver.core.gauges(driver.now);
  const { waiting, running } = driver;
  assert.equal(gauges.waiting, waiting.length, "all that wait");
  assert.equal(gauges.running, running.length, "all that run");
  for (const key of ["waiting", "running"] as const) {
    const sum = gauges.users.reduce((total, user) => total + user[key], 0);
    assert.equal(sum, key === "waiting" ? waiting.length : running.length, `the users' ${key}`);
  }
  for (const user of gauges.users) {
    const isOwn = ({ offered }: DrivenCall) => offered.userId === user.userId && offered.class === user.class;
    assert.equal(user.waiting, waiting.filter(isOwn).length, `${user.userId} waiting`);
    assert.equal(user.running, running.filter(isOwn).length, `${user.userId} running`);
  }
  for (const lane of gauges.lanes) {
    const scope =
      lane.model === null ? keyScope(driver, lane.upstreamKey) : keyModelScope(driver, lane.upstreamKey, lane.model);
    const counted = countInFlight(driver, scope);
    const isBetween = lane.running >= counted.running && lane.running <= counted.running + counted.lingering;
    assert.ok(isBetween, `${scope.name} counts ${lane.running} in flight, but it has ${JSON.stringify(counted)}`);
  }
}

/** The same for the snapshot, which lists each call once. */
export function assertSnapshot(driver: CoreDriver): void {
  const { waitingCalls, runningCalls, waiting, running } = driver.core.snapshot(driver.now);
  assert.equal(waiting, waitingCalls.length);
  assert.equal(running, runningCalls.length);
  const idsOf = (calls: readonly { callId: string }[]) => calls.map(({ callId }) => callId).sort();
  assert.deepEqual(idsOf(waitingCalls), idsOf(driver.waiting.map(({ offered }) => offered)));
  assert.deepEqual(idsOf(runningCalls), idsOf(driver.running.map(({ offered }) => offered)));
  assert.deepEqual(
    waitingCalls.map(({ position }) => position),
    waitingCalls.map((_, index) => index + 1),
    "places count from 1",
  );
  for (const call of runningCalls) {
    const isSent = driver.running.find(({ offered }) => offered.callId === call.callId)?.state === "sent";
    assert.equal(call.isSent, isSent);
  }
}

/** Where a window ends just now, `isSure` says that it still counts. */
function hasRoom(driver: CoreDriver, scope: Scope, isSure = true): boolean {
  const limits = scope.limitsIn(driver.limits);
  if (!limits) return true;
  const { running, lingering } = countInFlight(driver, scope);
  const inFlight = running + (scope.isUpstream ? lingering : 0);
  if (limits.concurrencyMax !== null && inFlight >= limits.concurrencyMax) return false;
  const window = windowOf(scope, driver.limits);
  if (!window) return true;
  if (scope.isUpstream && driver.now < spacedFrom(driver, scope, window) + (isSure ? tolerance : -tolerance))
    return false;
  const pending = driver.in("granted").filter(({ offered, grant }) => grant && scope.holds(offered, grant.upstreamKey));
  const counting = driver.sends.filter(
    ({ call, upstreamKey, at }) =>
      scope.holds(call, upstreamKey) && at > driver.now - window.windowMs - (isSure ? tolerance : -tolerance),
  );
  return pending.length + counting.length < window.startsMax;
}

/** Nobody waits for longer than one space after the last start, that of a call that was never sent aside. */
function spacedFrom({ grants }: CoreDriver, scope: Scope, { startsMax, windowMs }: Window): number {
  const last = grants.findLast(({ call, upstreamKey, wasTaken }) => wasTaken && scope.holds(call, upstreamKey));
  return last ? last.at + windowMs / startsMax : Number.NEGATIVE_INFINITY;
}

/**
 * 1: no stretch of time that ends now holds more starts than its share and those that may come at once: a window's, or
 * of calls that had to wait one. `windowMs` and the start itself are of limits that were in force all the time.
 */
export function assertSpacing(driver: CoreDriver, granted: DrivenCall): void {
  assert.ok(granted.grant);
  for (const scope of scopesOf(driver, granted.offered, granted.grant.upstreamKey)) {
    const window = windowOf(scope, driver.limits);
    if (!window || !scope.isUpstream) continue;
    const spacingMs = window.windowMs / window.startsMax;
    const starts = driver.grants.filter(
      ({ call, upstreamKey, wasTaken, at }) => wasTaken && at >= driver.configuredAt && scope.holds(call, upstreamKey),
    );
    for (const [count, { at, hasWaited }] of starts.toReversed().entries()) {
      const atOnceMs: number = hasWaited ? window.windowMs * latenessShare : window.windowMs - spacingMs;
      assert.ok(
        count * spacingMs <= driver.now - at + atOnceMs + tolerance,
        `${scope.name}: ${count} starts in the ${driver.now - at} ms after one that ${hasWaited ? "had" : "had not"} waited, a space being ${spacingMs} ms`,
      );
    }
  }
}

const minuteMs = 60_000;
/** The core forgets tokens by the tenth of a second. */
const tokenStepMs = 100;

/** Whether so many more tokens fit. Of none at all, a call may have more than the limit. */
function hasTokens(driver: CoreDriver, scope: Scope, wanted: number): boolean {
  const max = scope.limitsIn(driver.limits)?.tokensPerMinute ?? null;
  if (max === null) return true;
  const windowMs = minuteMs + (scope.isUpstream ? driver.limits.sendGuardMs : 0);
  const reserved = driver.running
    .filter(({ offered, grant }) => grant && scope.holds(offered, grant.upstreamKey))
    .reduce((sum, { offered }) => sum + (offered.outputTokensMax ?? 0), 0);
  const spent = driver.tokens
    .filter(({ call, upstreamKey }) => scope.holds(call, upstreamKey))
    .filter(({ at }) => driver.now < (Math.floor(at / tokenStepMs) + 1) * tokenStepMs + windowMs)
    .reduce((sum, { tokens }) => sum + tokens, 0);
  return reserved + spent === 0 || reserved + spent + wanted <= max;
}

/** Whether all limits let the call start now. For limits without tokens and without an upstream that refuses. */
export function mayStart(driver: CoreDriver, call: OfferedCall): boolean {
  return driver.limits.keys.some((key) => mayStartOn(driver, key, call));
}

/** The same for one key, its tokens and the model's left out. */
function mayStartOn(driver: CoreDriver, key: KeyLimits, call: OfferedCall, isSure = true): boolean {
  return (
    hasRoom(driver, userScope(call.userId), isSure) &&
    servesModel(key, call.model) &&
    hasRoom(driver, keyScope(driver, key.name), isSure) &&
    hasRoom(driver, keyModelScope(driver, key.name, call.model), isSure)
  );
}

function servesModel(key: KeyLimits, model: string): boolean {
  return key.models === null || key.models.includes(model);
}

/** 5: nobody waits whom all limits let start. */
export function assertWorkConservation(driver: CoreDriver): void {
  for (const { offered } of driver.waiting) {
    assert.ok(!mayStart(driver, offered), `${offered.callId} waits although all its limits let it start`);
  }
}

/**
 * 5, with limits of tokens: a key stands idle for somebody only where another waits for that key's tokens and for
 * nothing else, and nobody keeps two keys.
 */
export function assertKeysAtWork(driver: CoreDriver): void {
  const waiting = driver.waiting.filter((call) => !isBehindOwn(driver, call)).map(({ offered }) => offered);
  const claims = driver.limits.keys.flatMap((key) => {
    const open = waiting.filter((call) => mayStartOn(driver, key, call, false));
    const lacksKey = (call: OfferedCall) => !hasTokens(driver, keyScope(driver, key.name), call.outputTokensMax ?? 0);
    const lacksModel = (call: OfferedCall) =>
      !hasTokens(driver, keyModelScope(driver, key.name, call.model), call.outputTokensMax ?? 0);
    const idleFor = open.filter((call) => mayStartOn(driver, key, call) && !lacksKey(call) && !lacksModel(call));
    if (idleFor.length === 0) return [];
    const keepers = (of: OfferedCall) =>
      open.filter((call) => lacksKey(call) || (call.model === of.model && lacksModel(call)));
    for (const call of idleFor) {
      assert.ok(keepers(call).length > 0, `${call.callId} waits although nothing of ${key.name} is short`);
    }
    return [{ key, keepers: new Set(idleFor.flatMap(keepers)) }];
  });
  const taken = new Map<OfferedCall, number>();
  /** Finds the claim a keeper of its own, others giving theirs up where they have another. */
  const settle = (index: number, seen: Set<OfferedCall>): boolean =>
    [...(claims[index]?.keepers ?? [])].some((keeper) => {
      if (seen.has(keeper)) return false;
      seen.add(keeper);
      const other = taken.get(keeper);
      if (other !== undefined && !settle(other, seen)) return false;
      taken.set(keeper, index);
      return true;
    });
  for (const [index, { key, keepers }] of claims.entries()) {
    const names = [...keepers].map(({ callId }) => callId).join(", ");
    assert.ok(settle(index, new Set()), `${key.name} stands idle for ${names}, who keep another key already`);
  }
}

/** Within a flow nobody passes, in no lane. */
function isBehindOwn({ waiting, limits }: CoreDriver, call: DrivenCall): boolean {
  const isApart = ({ model }: OfferedCall) =>
    limits.models.some(({ pattern }) => pattern === model) || limits.keys.some((key) => key.models !== null);
  return waiting.some(({ offered, waiter }) => {
    const isInLane = offered.model === call.offered.model || !(isApart(offered) || isApart(call.offered));
    return isInLane && isSameTool(offered, call.offered) && isEarlier(waiter, call.waiter);
  });
}

function isEarlier(a: Waiter | null, b: Waiter | null): boolean {
  return a !== null && b !== null && a.place.sequence < b.place.sequence;
}

/** No minute begins with a send whose tokens, with those of all that came and ended in it, are more than allowed. */
export function assertTokens(driver: CoreDriver): void {
  for (const { name, tokensPerMinute } of driver.limits.keys) {
    if (tokensPerMinute === null) continue;
    const running = driver.running.filter(({ grant }) => grant?.upstreamKey === name);
    const recent = driver.tokens.filter(({ upstreamKey, at }) => upstreamKey === name && at > driver.now - minuteMs);
    const reserved = running.reduce((sum, { offered }) => sum + (offered.outputTokensMax ?? 0), 0);
    const used = recent.reduce((sum, { tokens }) => sum + tokens, 0);
    const isAlone = running.length + recent.filter(({ tokens }) => tokens > 0).length <= 1;
    assert.ok(isAlone || reserved + used <= tokensPerMinute, `${name}: ${reserved} + ${used} tokens`);
  }
}

/**
 * 9: calls of one flow and model start in the order of their arrival, but that with early refusal one may be let go
 * first because its time runs out. Who was answered already only hears it later.
 */
export function assertOrderInFlow(driver: CoreDriver, granted: DrivenCall): void {
  const overtaken = driver.waiting.find(
    (other) =>
      isSameFlow(other.offered, granted.offered) &&
      other.waiter?.isWaiting &&
      !(driver.limits.refusesEarly && granted.deadlineAt < other.deadlineAt) &&
      granted.grant !== null &&
      other.waiter.place.sequence < granted.grant.place.sequence,
  );
  assert.equal(overtaken?.offered.callId, undefined, `${granted.offered.callId} overtook an older call of its flow`);
}

function isSameFlow(a: OfferedCall, b: OfferedCall): boolean {
  return isSameTool(a, b) && a.model === b.model;
}

function isSameTool(a: OfferedCall, b: OfferedCall): boolean {
  return a.userId === b.userId && a.class === b.class && a.flowId === b.flowId;
}

/** 9: none is granted at its deadline or later, and none waits then. */
export function assertDeadlines(driver: CoreDriver): void {
  for (const call of driver.waiting) {
    assert.ok(driver.now < call.deadlineAt, `${call.offered.callId} waits beyond its deadline ${call.deadlineAt}`);
    assert.ok(driver.wakeAt <= call.deadlineAt, `nobody wakes the core for the deadline of ${call.offered.callId}`);
  }
  assert.ok(driver.wakeAt > driver.now, "a tick has nothing left to do now");
}

/** The most that a user can be ahead of its share, in seconds. */
const debtSecondsMax = 60;

/** 12: virtual times stay finite, and nobody owes more than the bound. */
export function assertFinite(driver: CoreDriver): void {
  for (const user of driver.core.gauges(driver.now).users) {
    assert.ok(Number.isFinite(user.servedSeconds) && user.servedSeconds >= 0, `served ${user.servedSeconds}`);
    const isBounded =
      user.aheadSeconds >= 0 && user.aheadSeconds <= debtSecondsMax * Math.max(1, 1 / user.weight) + tolerance;
    assert.ok(isBounded, `${user.userId} is ${user.aheadSeconds} s ahead`);
  }
  for (const waiter of driver.waiting) {
    assert.ok(waiter.waiter);
    const { position, etaMs, etaP90Ms } = driver.core.standing(waiter.waiter, driver.now);
    assert.ok(position >= 1 && position <= driver.waiting.length, `position ${position} of ${driver.waiting.length}`);
    assert.ok(etaMs >= 0 && etaP90Ms >= etaMs, `etas ${etaMs}, ${etaP90Ms}`);
  }
}

// The queue and the upstream's limits as they go out. Apart from their schemas, which take long to load: the live feed
// needs none.

import type { z } from "@hono/zod-openapi";
import type { LaneState, RunningCall, SchedulerSnapshot, WaitingCall } from "../admission/scheduler.ts";
import type {
  laneSchema,
  myQueueSchema,
  queueSchema,
  runningSchema,
  upstreamSchema,
  waitingSchema,
} from "./queue-model.ts";

/** Of those that wait, and of those that run: counts tell of the rest. */
export const callsShownMax = 1_000;

export interface CallSelection {
  readonly user?: string | undefined;
  readonly model?: string | undefined;
}

export function selectCalls(
  { waitingCalls, runningCalls }: SchedulerSnapshot,
  { user, model }: CallSelection,
): z.input<typeof myQueueSchema> {
  const isWanted = (call: { readonly userId: string; readonly model: string }) =>
    (user === undefined || call.userId === user) && (model === undefined || call.model === model);
  return {
    waiting: waitingCalls.filter(isWanted).slice(0, callsShownMax).map(toWaitingJson),
    running: runningCalls.filter(isWanted).slice(0, callsShownMax).map(toRunningJson),
  };
}

export function toQueueJson(snapshot: SchedulerSnapshot, selection: CallSelection): z.input<typeof queueSchema> {
  return {
    waiting_count: snapshot.waiting,
    running_count: snapshot.running,
    queue_capacity: snapshot.queueCapacity,
    next_start_in_ms: nextStartInMs(snapshot),
    ...selectCalls(snapshot, selection),
  };
}

/** What the first of those that wait is told, where any waits: the limits alone may let a call start that none asks for. */
function nextStartInMs({ waitingCalls, nextStartInMs: byLimits }: SchedulerSnapshot): number | null {
  const first = waitingCalls.reduce((earliest, { etaMs }) => Math.min(earliest, etaMs), Number.POSITIVE_INFINITY);
  if (waitingCalls.length > 0) return round(first);
  return byLimits === null ? null : round(byLimits);
}

function toWaitingJson(call: WaitingCall): z.input<typeof waitingSchema> {
  return {
    request_id: call.callId,
    user: call.userId,
    model: call.model,
    class: call.class,
    family: call.family ?? null,
    position: call.position,
    eta_ms: round(call.etaMs),
    eta_p90_ms: round(call.etaP90Ms),
    waited_ms: round(call.waitedMs),
    blocked_by: call.blockedBy,
    tries: call.tryCount,
  };
}

function toRunningJson(call: RunningCall): z.input<typeof runningSchema> {
  return {
    request_id: call.callId,
    user: call.userId,
    model: call.model,
    class: call.class,
    family: call.family ?? null,
    upstream_key: call.upstreamKey,
    running_ms: round(call.runningMs),
    is_sent: call.isSent,
  };
}

export function toUpstreamsJson({ limits, lanes }: SchedulerSnapshot): z.input<typeof upstreamSchema>[] {
  return limits.keys.map((key) => ({
    name: key.name,
    models: key.models === null ? null : [...key.models],
    requests_per_second: key.startsPerSecond,
    max_concurrency: key.concurrencyMax,
    tokens_per_minute: key.tokensPerMinute,
    lanes: lanes.filter(({ upstreamKey }) => upstreamKey === key.name).map(toLaneJson),
  }));
}

function toLaneJson(lane: LaneState): z.input<typeof laneSchema> {
  return {
    model: lane.model,
    family: lane.family ?? null,
    running: lane.running,
    max_concurrency: lane.concurrencyMax,
    learned_concurrency: lane.learnedConcurrency,
    slowdown: lane.slowdown,
    guard_ms: round(lane.guardMs),
    blocked_ms: round(lane.blockedMs),
    blocked_because: lane.blockedBecause,
    is_disabled: lane.isDisabled,
  };
}

/** Whole milliseconds are exact enough for people. What lasts for good is no number in JSON: the largest one stands for it. */
function round(ms: number): number {
  return Math.round(Math.min(ms, Number.MAX_SAFE_INTEGER));
}

// The queue and the upstream's limits on the wire.

import { z } from "@hono/zod-openapi";
import type { LaneState, RunningCall, SchedulerSnapshot, WaitingCall } from "../admission/scheduler.ts";
import { classSchema, nameSchema } from "./common-schemas.ts";

const ms = z.number().openapi({ example: 1_250 });
const count = z.int().openapi({ example: 3 });

export const waitingSchema = z
  .object({
    request_id: z.string(),
    user: nameSchema,
    model: z.string().openapi({ example: "glm-4.5-flash" }),
    class: classSchema,
    position: count.openapi({ description: "1 is the next to start" }),
    eta_ms: ms.openapi({ description: "If nobody comes who goes before it" }),
    eta_p90_ms: ms.openapi({ description: "What nine of ten calls have stayed below that stood like this" }),
    waited_ms: ms,
    blocked_by: z.string().openapi({ example: "rate", description: "What keeps it from starting now" }),
    tries: count,
  })
  .openapi("WaitingCall");

export const runningSchema = z
  .object({
    request_id: z.string(),
    user: nameSchema,
    model: z.string().openapi({ example: "glm-4.5-flash" }),
    class: classSchema,
    upstream_key: z.string().openapi({ example: "default", description: "Its name, never the key" }),
    running_ms: ms,
    is_sent: z.boolean(),
  })
  .openapi("RunningCall");

export const myQueueSchema = z
  .object({ waiting: z.array(waitingSchema), running: z.array(runningSchema) })
  .openapi("MyQueue");

export const queueSchema = z
  .object({
    waiting_count: count,
    running_count: count,
    queue_capacity: count,
    next_start_in_ms: ms.nullable().openapi({ description: "Null: when a running call ends" }),
    waiting: z.array(waitingSchema),
    running: z.array(runningSchema),
  })
  .openapi("Queue");

const laneSchema = z
  .object({
    model: z.string().nullable().openapi({ description: "Null: of all models together" }),
    running: count,
    max_concurrency: count.nullable().openapi({ description: "Allowed now, what was learned included" }),
    learned_concurrency: count.nullable().openapi({ description: "What refusals have taught; null: nothing" }),
    slowdown: z.number().openapi({ example: 1, description: "How much slower than configured calls start" }),
    guard_ms: ms,
    blocked_ms: ms.openapi({ description: "Nothing starts for so long" }),
    blocked_because: z.string().nullable(),
    is_disabled: z.boolean(),
  })
  .openapi("Lane");

export const upstreamSchema = z
  .object({
    name: z.string().openapi({ example: "default", description: "The key's name, never the key" }),
    models: z.array(z.string()).nullable(),
    requests_per_second: z.number().nullable(),
    max_concurrency: count.nullable(),
    tokens_per_minute: z.number().nullable(),
    lanes: z.array(laneSchema),
  })
  .openapi("Upstream");

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
    next_start_in_ms: snapshot.nextStartInMs === null ? null : round(snapshot.nextStartInMs),
    ...selectCalls(snapshot, selection),
  };
}

function toWaitingJson(call: WaitingCall): z.input<typeof waitingSchema> {
  return {
    request_id: call.callId,
    user: call.userId,
    model: call.model,
    class: call.class,
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

/** Infinity (a forecast that can't be made) is not JSON; whole milliseconds are exact enough for people. */
function round(value: number): number {
  return Number.isFinite(value) ? Math.round(value) : 0;
}

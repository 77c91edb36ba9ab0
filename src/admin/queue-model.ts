// The queue and the upstream's limits on the wire: their schemas.

import { z } from "@hono/zod-openapi";
import { classSchema, nameSchema } from "./common-schemas.ts";

const ms = z.number().openapi({ example: 1_250 });
const count = z.int().openapi({ example: 3 });

const family = z
  .string()
  .nullable()
  .openapi({ description: "Whose lane it is: of calls with limits of their own; null: of all others" });

export const waitingSchema = z
  .object({
    request_id: z.string(),
    user: nameSchema,
    model: z.string().openapi({ example: "glm-4.5-flash" }),
    class: classSchema,
    family,
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
    family,
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

export const laneSchema = z
  .object({
    model: z.string().nullable().openapi({ description: "Null: of all models together" }),
    family,
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

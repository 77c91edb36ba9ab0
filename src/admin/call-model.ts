// Finished and open calls, and sums of them, on the wire: their schemas.

import { z } from "@hono/zod-openapi";
import { callStates } from "../ledger/call-log.ts";
import { costSchema, currencySchema, groupNameSchema, idSchema, nameSchema, timeSchema } from "./common-schemas.ts";

const count = z.int().openapi({ example: 12 });

export const callSchema = z
  .object({
    id: idSchema.openapi({ description: "Ours: unique, sorts by time of arrival" }),
    request_id: z.string().openapi({ description: "What client, log and error share; a client may choose it" }),
    state: z.enum(callStates).openapi({
      description:
        "`open`: has not ended · `served` · `refused`: a status said no · `cut`: broke after it had begun · `cancelled`: the client left · `unknown`: its process died",
    }),
    user: nameSchema,
    group: groupNameSchema.nullable(),
    key_id: idSchema.nullable().openapi({ description: "Null: it came with a session" }),
    surface: z.string().openapi({ example: "openai" }),
    model: z.string().nullable().openapi({ example: "glm-4.5-flash" }),
    upstream_key: z.string().nullable().openapi({ example: "default", description: "Its name, never the key" }),
    is_stream: z.boolean(),
    arrived_at: timeSchema,
    granted_at: timeSchema.nullable(),
    sent_at: timeSchema.nullable(),
    first_byte_at: timeSchema.nullable(),
    ended_at: timeSchema.nullable(),
    bytes_in: count,
    bytes_out: count,
    events: count,
    tries: count.openapi({ description: "Tries upstream before the last one" }),
    queue_position: count.nullable(),
    requests: count.openapi({ description: "1: it counts as a request" }),
    prompt_tokens: count,
    completion_tokens: count,
    tokens_source: z.enum(["reported", "estimated", "none"]),
    cost: costSchema,
    currency: currencySchema,
    status: count.nullable().openapi({ example: 200 }),
    reason: z.string().nullable().openapi({ example: "queue_full" }),
    upstream_status: count.nullable().openapi({ example: 200 }),
    upstream_code: z.string().nullable(),
    upstream_request_id: z.string().nullable(),
    finish_reason: z.string().nullable().openapi({ example: "stop" }),
  })
  .openapi("Call");

export const usageSchema = z
  .object({
    name: z.string().openapi({
      example: "ada",
      description: "The user, group or model, the key's id, or the day; empty where there is none",
    }),
    calls: count,
    served: count,
    requests: count,
    prompt_tokens: count,
    completion_tokens: count,
    cost: costSchema,
  })
  .openapi("Usage");

export const usageReportSchema = z
  .object({
    currency: currencySchema,
    from: timeSchema.nullable(),
    to: timeSchema.nullable(),
    data: z.array(usageSchema),
  })
  .openapi("UsageReport");

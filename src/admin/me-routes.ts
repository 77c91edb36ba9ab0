// What is one's own: who am I, what may I take, what did I use, what waits.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import type { QuotaStanding } from "../quota/quotas.ts";
import { callSchema, usageReportSchema } from "./call-model.ts";
import { listCalls, myCallsQuery, toCallListJson } from "./call-routes.ts";
import { idSchema, timeSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { keySchema, toKeyJson } from "./key-model.ts";
import { listOf } from "./list.ts";
import { selectCalls } from "./queue-json.ts";
import { myQueueSchema } from "./queue-model.ts";
import { defineRoute, type Route } from "./route.ts";
import { myUsageQuery, reportUsage } from "./usage-routes.ts";
import { createToUserJson, userSchema } from "./user-model.ts";
import { toTimeOrNull } from "./wire-values.ts";

const quotaSchema = z
  .object({
    scope: z.enum(["user", "group", "key"]),
    id: idSchema.openapi({ description: "The user's or the group's name, or the key's id" }),
    name: z.string().openapi({ example: "requests/day" }),
    limit: z.number().openapi({ example: 1_000 }),
    used: z.number().openapi({ example: 12 }),
    reserved: z.number().openapi({ example: 1, description: "By calls that have not ended" }),
    resets_at: timeSchema.nullable(),
  })
  .openapi("Quota");

const meSchema = z
  .object({
    user: userSchema,
    key: keySchema.nullable().openapi({ description: "The API key that asks; null: a session" }),
    quotas: z.array(quotaSchema),
  })
  .openapi("Me");

export function createMeRoutes(parts: ControlParts): readonly Route[] {
  const { people, quotas, clock } = parts;
  const toUserJson = createToUserJson(people);

  const showMe = defineRoute({
    method: "get",
    path: "/me",
    access: "me",
    isForCallsKeys: true,
    summary: "Who am I, and what may I take",
    answer: {
      status: 200,
      description: "The user, its key and the quotas that its calls count against",
      schema: meSchema,
    },
    handle({ caller }) {
      const user = people.findUser(caller.userId);
      if (!user) throw new Refusal("invalid_token");
      const key = caller.keyId === null ? undefined : people.findKey(caller.keyId);
      return {
        user: toUserJson(user),
        key: key ? toKeyJson(key, clock.wallNow()) : null,
        quotas: quotas.look(caller.scopes).map(toQuotaJson),
      };
    },
  });

  const showUsage = defineRoute({
    method: "get",
    path: "/me/usage",
    access: "me",
    isForCallsKeys: true,
    summary: "What did I use",
    query: myUsageQuery,
    answer: { status: 200, description: "Sums by day, model or key", schema: usageReportSchema },
    handle: ({ query, caller }) => reportUsage(parts, { ...query, user: caller.userId }),
  });

  const showQueue = defineRoute({
    method: "get",
    path: "/me/queue",
    access: "me",
    isForCallsKeys: true,
    summary: "My calls that wait or run",
    answer: { status: 200, description: "In the order in which they will start", schema: myQueueSchema },
    handle: ({ caller }) => selectCalls(parts.queue(), { user: caller.userId }),
  });

  const showCalls = defineRoute({
    method: "get",
    path: "/me/calls",
    access: "me",
    summary: "My calls, the newest first",
    query: myCallsQuery,
    answer: { status: 200, description: "A page", schema: listOf(callSchema) },
    handle: async ({ query, caller }) =>
      toCallListJson(await listCalls(parts, { ...query, user: caller.userId }), parts.currency()),
  });

  return [showMe, showUsage, showQueue, showCalls];
}

function toQuotaJson(standing: QuotaStanding): z.input<typeof quotaSchema> {
  const { scope, id, name, limit, used, reserved, resetsAt } = standing;
  return { scope, id, name, limit, used, reserved, resets_at: toTimeOrNull(resetsAt) };
}

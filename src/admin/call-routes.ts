// Single calls, the newest first.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import { type CallRow, callStates } from "../ledger/call-log.ts";
import { toCallJson } from "./call-json.ts";
import { callSchema } from "./call-model.ts";
import { filterSchema, idSchema, instantSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { decodeCursor, uuidPattern } from "./cursor.ts";
import { listOf, type Page, pageQuery, toList, toPage } from "./list.ts";
import { defineRoute, type Route } from "./route.ts";
import { fromStore } from "./store-failure.ts";
import { toInstant } from "./usage-routes.ts";
import { omitUndefined } from "./wire-values.ts";

const filters = {
  key_id: filterSchema.optional(),
  model: filterSchema.optional(),
  state: z.enum(callStates).optional(),
  request_id: filterSchema.optional(),
  from: instantSchema.optional().openapi({ description: "Calls that arrived then or later" }),
  to: instantSchema.optional().openapi({ description: "Calls that arrived before" }),
};

export const myCallsQuery = z.strictObject({ ...pageQuery, ...filters });
const callsQuery = z.strictObject({
  ...pageQuery,
  user: filterSchema.optional(),
  group: filterSchema.optional(),
  ...filters,
});

export async function listCalls(
  parts: Pick<ControlParts, "callLog" | "startOfDay">,
  query: z.output<typeof callsQuery>,
): Promise<Page<CallRow>> {
  const { limit, cursor, user, group, key_id: key, model, state, request_id: requestId } = query;
  const found = parts.callLog.list({
    limit: limit + 1,
    ...omitUndefined({
      beforeId: decodeCursor("calls", cursor, uuidPattern) ?? undefined,
      user,
      group,
      key,
      model,
      state,
      requestId,
      from: toInstant(query.from, parts) ?? undefined,
      to: toInstant(query.to, parts) ?? undefined,
    }),
  });
  return toPage(await fromStore(found), limit, ({ id }) => id);
}

export function toCallListJson(page: Page<CallRow>, currency: string) {
  return toList(page, "calls", (call) => toCallJson(call, currency));
}

export function createCallRoutes(parts: ControlParts): readonly Route[] {
  const list = defineRoute({
    method: "get",
    path: "/admin/calls",
    access: "admin",
    summary: "Calls, the newest first",
    query: callsQuery,
    answer: { status: 200, description: "A page", schema: listOf(callSchema) },
    handle: async ({ query }) => toCallListJson(await listCalls(parts, query), parts.currency()),
  });

  const show = defineRoute({
    method: "get",
    path: "/admin/calls/{id}",
    access: "admin",
    summary: "One call",
    params: z.strictObject({ id: idSchema }),
    answer: { status: 200, description: "The call", schema: callSchema },
    async handle({ params: { id } }) {
      const call = uuidPattern.test(id) ? await fromStore(parts.callLog.find(id)) : undefined;
      if (!call) throw new Refusal("unknown_object", { detail: "there is no call of this id" });
      return toCallJson(call, parts.currency());
    },
  });

  return [list, show];
}

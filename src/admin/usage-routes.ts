// Sums of calls, by one thing.

import { z } from "@hono/zod-openapi";
import { type UsageKey, usageKeys } from "../ledger/call-log.ts";
import { toUsageJson } from "./call-json.ts";
import { usageReportSchema } from "./call-model.ts";
import { filterSchema, instantSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { defineRoute, type Route } from "./route.ts";
import { fromStore } from "./store-failure.ts";
import { omitUndefined, toTimeOrNull } from "./wire-values.ts";

const span = {
  from: instantSchema.optional().openapi({ description: "Calls that arrived then or later" }),
  to: instantSchema.optional().openapi({ description: "Calls that arrived before" }),
};

export const myUsageQuery = z.strictObject({
  by: z.enum(["day", "model", "key"]).default("day"),
  ...span,
});

const usageQuery = z.strictObject({
  by: z.enum(usageKeys).default("user"),
  ...span,
  user: filterSchema.optional(),
  group: filterSchema.optional(),
  key_id: filterSchema.optional(),
  model: filterSchema.optional(),
});

export interface UsageWish {
  readonly by: UsageKey;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly key_id?: string | undefined;
  readonly model?: string | undefined;
}

export async function reportUsage(
  parts: Pick<ControlParts, "callLog" | "currency" | "startOfDay">,
  wish: UsageWish,
): Promise<z.input<typeof usageReportSchema>> {
  const { user, group, model, key_id: key } = wish;
  const from = toInstant(wish.from, parts);
  const to = toInstant(wish.to, parts);
  const filter = omitUndefined({ user, group, key, model });
  const rows = await fromStore(parts.callLog.sumUsage({ by: wish.by, from, to, ...filter }));
  return { currency: parts.currency(), from: toTimeOrNull(from), to: toTimeOrNull(to), data: rows.map(toUsageJson) };
}

/** A day is its first moment; null: not asked for. */
export function toInstant(text: string | undefined, { startOfDay }: Pick<ControlParts, "startOfDay">): number | null {
  if (text === undefined) return null;
  return text.includes("T") ? Date.parse(text) : startOfDay(text);
}

export function createUsageRoutes(parts: ControlParts): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/admin/usage",
      access: "admin",
      summary: "What was used, by whom or by what",
      details: "Sums of all calls that match, pruned ones included. At most 10,000 rows, ordered by name.",
      query: usageQuery,
      answer: { status: 200, description: "Sums", schema: usageReportSchema },
      handle: ({ query }) => reportUsage(parts, query),
    }),
  ];
}

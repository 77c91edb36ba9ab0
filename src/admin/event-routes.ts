// The live view: server-sent events.

import { z } from "@hono/zod-openapi";
import { callStates } from "../ledger/call-log.ts";
import { filterSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { eventStreamType } from "./event-stream.ts";
import { liveEventTypes } from "./live-feed.ts";
import { defineRoute, type Route } from "./route.ts";
import { omitUndefined } from "./wire-values.ts";

const typesPattern = new RegExp(`^(?:${liveEventTypes.join("|")})(?:,(?:${liveEventTypes.join("|")}))*$`);

const eventsQuery = z.strictObject({
  types: z
    .string()
    .regex(typesPattern, `one or more of ${liveEventTypes.join(", ")}, with commas between`)
    .default(liveEventTypes.join())
    .openapi({ example: "call,queue" }),
  user: filterSchema.optional(),
  model: filterSchema.optional(),
  group: filterSchema.optional().openapi({ description: "Of calls" }),
  key_id: filterSchema.optional().openapi({ description: "Of calls" }),
  state: z.enum(callStates).optional().openapi({ description: "Of calls" }),
});

export function createEventRoutes({ live }: ControlParts): readonly Route[] {
  return [
    defineRoute({
      method: "get",
      path: "/admin/events",
      access: "admin",
      summary: "What happens now, as a stream of events",
      details:
        "`event: call`: a call has ended (a Call) · `event: queue`: the queue has changed (a Queue), at first and then at most once a second · a comment every 15 s. At most 100 listen at once; who reads too slowly is cut.",
      query: eventsQuery,
      answer: { status: 200, description: "Events", schema: z.string(), contentType: eventStreamType },
      handle({ query: { types, key_id: keyId, ...others }, openStream, isStillAllowed }) {
        const filter = { types: new Set(liveEventTypes.filter((type) => types.split(",").includes(type))) };
        live.listen({
          filter: { ...filter, ...omitUndefined({ keyId, ...others }) },
          open: openStream,
          isStillAllowed,
        });
        return "";
      },
    }),
  ];
}

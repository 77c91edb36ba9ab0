// Administration of groups.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import { filterSchema, nameSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { decodeCursor, namePattern } from "./cursor.ts";
import { groupChangeSchema, groupDraftSchema, groupSchema, toGroupChange, toGroupJson } from "./group-model.ts";
import { listOf, pageOf, pageQuery, toList } from "./list.ts";
import { defineRoute, type Route } from "./route.ts";

const params = z.strictObject({ name: nameSchema });

export function createGroupRoutes({ people }: ControlParts): readonly Route[] {
  const list = defineRoute({
    method: "get",
    path: "/admin/groups",
    access: "admin",
    summary: "Groups, by name",
    query: z.strictObject({
      ...pageQuery,
      q: filterSchema.optional().openapi({ description: "What the name begins with" }),
    }),
    answer: { status: 200, description: "A page", schema: listOf(groupSchema) },
    handle({ query: { limit, cursor, q = "" } }) {
      const page = pageOf(people.listGroups(), {
        limit,
        after: decodeCursor("groups", cursor, namePattern),
        keyOf: ({ name }) => name,
        matches: ({ name }) => name.startsWith(q),
      });
      return toList(page, "groups", toGroupJson);
    },
  });

  const create = defineRoute({
    method: "post",
    path: "/admin/groups",
    access: "admin",
    summary: "Create a group",
    body: groupDraftSchema,
    answer: { status: 201, description: "The group", schema: groupSchema },
    async handle({ body: { name, ...fields }, actor, setHeader }) {
      const group = await people.createGroup({ name, ...toGroupChange(fields) }, actor);
      setHeader("location", `/admin/groups/${encodeURIComponent(group.name)}`);
      return toGroupJson(group);
    },
  });

  const show = defineRoute({
    method: "get",
    path: "/admin/groups/{name}",
    access: "admin",
    summary: "One group",
    params,
    answer: { status: 200, description: "The group", schema: groupSchema },
    handle({ params: { name } }) {
      const group = people.findGroup(name);
      if (!group) throw new Refusal("unknown_object", { detail: "there is no group of this name" });
      return toGroupJson(group);
    },
  });

  const change = defineRoute({
    method: "patch",
    path: "/admin/groups/{name}",
    access: "admin",
    summary: "Change a group",
    details: "What is left out stays. Its members' calls count by the new values at once.",
    params,
    body: groupChangeSchema,
    answer: { status: 200, description: "The group", schema: groupSchema },
    handle: async ({ params: { name }, body, actor }) =>
      toGroupJson(await people.changeGroup(name, toGroupChange(body), actor)),
  });

  const remove = defineRoute({
    method: "delete",
    path: "/admin/groups/{name}",
    access: "admin",
    summary: "Remove a group",
    details: "Refused while it has members.",
    params,
    answer: { status: 204, description: "Removed" },
    handle: ({ params: { name }, actor }) => people.removeGroup(name, actor),
  });

  return [list, create, show, change, remove];
}

// Administration of users.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import { filterSchema, nameSchema, roleSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { decodeCursor, namePattern } from "./cursor.ts";
import { listOf, pageOf, pageQuery, toList } from "./list.ts";
import { defineRoute, type Route } from "./route.ts";
import { createToUserJson, toUserChange, userChangeSchema, userDraftSchema, userSchema } from "./user-model.ts";

const params = z.strictObject({ name: nameSchema });

export function createUserRoutes({ people }: ControlParts): readonly Route[] {
  const toUserJson = createToUserJson(people);

  const list = defineRoute({
    method: "get",
    path: "/admin/users",
    access: "admin",
    summary: "Users, by name",
    query: z.strictObject({
      ...pageQuery,
      q: filterSchema.optional().openapi({ description: "What the name begins with" }),
      role: roleSchema.optional(),
      group: filterSchema.optional(),
    }),
    answer: { status: 200, description: "A page", schema: listOf(userSchema) },
    handle({ query: { limit, cursor, q = "", role, group } }) {
      const page = pageOf(people.listUsers(), {
        limit,
        after: decodeCursor("users", cursor, namePattern),
        keyOf: ({ name }) => name,
        matches: (user) =>
          user.name.startsWith(q) &&
          (role === undefined || user.role === role) &&
          (group === undefined || user.group === group),
      });
      return toList(page, "users", toUserJson);
    },
  });

  const create = defineRoute({
    method: "post",
    path: "/admin/users",
    access: "admin",
    summary: "Create a user",
    body: userDraftSchema,
    answer: { status: 201, description: "The user", schema: userSchema },
    async handle({ body: { name, ...fields }, actor, setHeader }) {
      const user = await people.createUser({ name, password: null, ...toUserChange(fields) }, actor);
      setHeader("location", `/admin/users/${encodeURIComponent(user.name)}`);
      return toUserJson(user);
    },
  });

  const show = defineRoute({
    method: "get",
    path: "/admin/users/{name}",
    access: "admin",
    summary: "One user",
    params,
    answer: { status: 200, description: "The user", schema: userSchema },
    handle({ params: { name } }) {
      const user = people.findUser(name);
      if (!user) throw new Refusal("unknown_object", { detail: "there is no user of this name" });
      return toUserJson(user);
    },
  });

  const change = defineRoute({
    method: "patch",
    path: "/admin/users/{name}",
    access: "admin",
    summary: "Change a user",
    details:
      "What is left out stays. A new password, a lower role or being disabled ends all of the user's sessions at once; calls that run are left to end.",
    params,
    body: userChangeSchema,
    answer: { status: 200, description: "The user", schema: userSchema },
    handle: async ({ params: { name }, body, actor }) =>
      toUserJson(await people.changeUser(name, toUserChange(body), actor)),
  });

  const remove = defineRoute({
    method: "delete",
    path: "/admin/users/{name}",
    access: "admin",
    summary: "Remove a user",
    details: "Its API keys go with it; the records of its calls stay.",
    params,
    answer: { status: 204, description: "Removed" },
    handle: ({ params: { name }, actor }) => people.removeUser(name, actor),
  });

  return [list, create, show, change, remove];
}

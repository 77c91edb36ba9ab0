// API keys: one's own, and everybody's for administrators. The same work behind two doors: at /me/keys, the keys of
// others do not exist.

import { z } from "@hono/zod-openapi";
import { type TrafficClass, trafficClasses } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import type { KeyView, NewKey } from "../people/people.ts";
import { filterSchema, idSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { decodeCursor, uuidPattern } from "./cursor.ts";
import {
  keyChangeSchema,
  keyDraftSchema,
  keySchema,
  keyStateOf,
  keyStates,
  lockedFields,
  myKeyChangeSchema,
  myKeyDraftSchema,
  newKeySchema,
  rotationSchema,
  toKeyChange,
  toKeyJson,
} from "./key-model.ts";
import { listOf, pageOf, pageQuery, toList } from "./list.ts";
import { defineRoute, type Route } from "./route.ts";

const params = z.strictObject({ id: idSchema });
const filters = {
  q: filterSchema.optional().openapi({ description: "What its name or its prefix begins with" }),
  state: z.enum(keyStates).optional(),
};
const myKeysQuery = z.strictObject({ ...pageQuery, ...filters });
const keysQuery = z.strictObject({ ...pageQuery, owner: filterSchema.optional(), ...filters });

const rotationDetails =
  "A new key with the same rights, shown once. The old one works on for `overlap_seconds` (a day unless said otherwise), so that tools can be switched over.";

export function createKeyRoutes(parts: ControlParts): readonly Route[] {
  const { people, clock } = parts;
  const toJson = (key: KeyView) => toKeyJson(key, clock.wallNow());
  const toNewJson = ({ key, secret }: NewKey) => ({ key: toJson(key), secret });

  function listPage({ limit, cursor, owner, q = "", state }: z.output<typeof keysQuery>) {
    const now = clock.wallNow();
    const page = pageOf(people.listKeys(owner ?? null), {
      limit,
      after: decodeCursor("keys", cursor, uuidPattern),
      keyOf: ({ id }) => id,
      matches: (key) =>
        (key.name.startsWith(q) || key.prefix.startsWith(q)) && (state === undefined || keyStateOf(key, now) === state),
    });
    return toList(page, "keys", toJson);
  }

  /** `owner` null: anybody's. */
  function requireKey(id: string, owner: string | null): KeyView {
    const key = people.findKey(id);
    if (!key || (owner !== null && key.owner !== owner)) {
      throw new Refusal("unknown_object", { detail: "there is no API key of this id" });
    }
    return key;
  }

  /** What an administrator has set is not for its owner to lift. */
  function requireUnlocked({ isLocked }: KeyView, body: z.output<typeof myKeyChangeSchema>): void {
    const field = isLocked ? lockedFields.find((name) => body[name] !== undefined) : undefined;
    if (field === undefined) return;
    throw new Refusal("forbidden", {
      param: field,
      detail: `an administrator has set what this API key is limited to, so that its "${field}" is for administrators to change`,
    });
  }

  /** A key of a higher class than its owner's would not be one: better said than silently lowered. */
  function requireOwnClass(wanted: TrafficClass | null | undefined, owner: string): void {
    const user = people.findUser(owner);
    if (!user || wanted === undefined || wanted === null) return;
    const own = people.effectiveOf(user).class;
    if (trafficClasses.indexOf(wanted) >= trafficClasses.indexOf(own)) return;
    throw new Refusal("invalid_field", {
      param: "class",
      detail: `it must not be higher than your own, which is ${own}`,
    });
  }

  const mine: readonly Route[] = [
    defineRoute({
      method: "get",
      path: "/me/keys",
      access: "me",
      summary: "My API keys, by age",
      query: myKeysQuery,
      answer: { status: 200, description: "A page", schema: listOf(keySchema) },
      handle: ({ query, caller }) => listPage({ ...query, owner: caller.userId }),
    }),
    defineRoute({
      method: "post",
      path: "/me/keys",
      access: "me",
      summary: "Make an API key for myself",
      body: myKeyDraftSchema,
      answer: { status: 201, description: "The key, and its secret, shown this once", schema: newKeySchema },
      async handle({ body: { name, ...fields }, caller, actor, setHeader }) {
        requireOwnClass(fields.class, caller.userId);
        const made = await people.createKey({ owner: caller.userId, ...toKeyChange(fields), name }, actor);
        setHeader("location", `/me/keys/${made.key.id}`);
        return toNewJson(made);
      },
    }),
    defineRoute({
      method: "get",
      path: "/me/keys/{id}",
      access: "me",
      summary: "One of my API keys",
      params,
      answer: { status: 200, description: "The key", schema: keySchema },
      handle: ({ params: { id }, caller }) => toJson(requireKey(id, caller.userId)),
    }),
    defineRoute({
      method: "patch",
      path: "/me/keys/{id}",
      access: "me",
      summary: "Change one of my API keys",
      details:
        "What is left out stays. Where an administrator has set models, class, limits or expiry, administrators alone can change these.",
      params,
      body: myKeyChangeSchema,
      answer: { status: 200, description: "The key", schema: keySchema },
      async handle({ params: { id }, body, caller, actor }) {
        requireUnlocked(requireKey(id, caller.userId), body);
        requireOwnClass(body.class, caller.userId);
        return toJson(await people.changeKey(id, toKeyChange(body), actor));
      },
    }),
    defineRoute({
      method: "delete",
      path: "/me/keys/{id}",
      access: "me",
      summary: "Revoke one of my API keys",
      details: "At once and for good. It stays in the list.",
      params,
      answer: { status: 200, description: "The revoked key", schema: keySchema },
      async handle({ params: { id }, caller, actor }) {
        requireKey(id, caller.userId);
        return toJson(await people.revokeKey(id, actor));
      },
    }),
    defineRoute({
      method: "post",
      path: "/me/keys/{id}/rotate",
      access: "me",
      summary: "Replace one of my API keys",
      details: rotationDetails,
      params,
      body: rotationSchema,
      answer: { status: 201, description: "The new key, and its secret, shown this once", schema: newKeySchema },
      async handle({ params: { id }, body, caller, actor }) {
        requireKey(id, caller.userId);
        return toNewJson(await people.rotateKey(id, body.overlap_seconds * 1_000, actor));
      },
    }),
  ];

  const everybodys: readonly Route[] = [
    defineRoute({
      method: "get",
      path: "/admin/keys",
      access: "admin",
      summary: "API keys, by age",
      query: keysQuery,
      answer: { status: 200, description: "A page", schema: listOf(keySchema) },
      handle: ({ query }) => listPage(query),
    }),
    defineRoute({
      method: "post",
      path: "/admin/keys",
      access: "admin",
      summary: "Make an API key for a user",
      details: 'A key of scope "admin" is for owners that are administrators.',
      body: keyDraftSchema,
      answer: { status: 201, description: "The key, and its secret, shown this once", schema: newKeySchema },
      async handle({ body: { owner, name, scope, ...fields }, actor, setHeader }) {
        const locks = owner !== actor.name;
        const draft = { owner, ...toKeyChange(fields), name, locks, ...(scope !== undefined && { scope }) };
        const made = await people.createKey(draft, actor);
        setHeader("location", `/admin/keys/${made.key.id}`);
        return toNewJson(made);
      },
    }),
    defineRoute({
      method: "get",
      path: "/admin/keys/{id}",
      access: "admin",
      summary: "One API key",
      params,
      answer: { status: 200, description: "The key", schema: keySchema },
      handle: ({ params: { id } }) => toJson(requireKey(id, null)),
    }),
    defineRoute({
      method: "patch",
      path: "/admin/keys/{id}",
      access: "admin",
      summary: "Change an API key",
      details: "What is left out stays. Owner and scope are for good.",
      params,
      body: keyChangeSchema,
      answer: { status: 200, description: "The key", schema: keySchema },
      async handle({ params: { id }, body, actor }) {
        const locks = requireKey(id, null).owner !== actor.name;
        return toJson(await people.changeKey(id, { ...toKeyChange(body), locks }, actor));
      },
    }),
    defineRoute({
      method: "delete",
      path: "/admin/keys/{id}",
      access: "admin",
      summary: "Revoke an API key",
      details: "At once and for good. It stays in the list.",
      params,
      answer: { status: 200, description: "The revoked key", schema: keySchema },
      handle: async ({ params: { id }, actor }) => toJson(await people.revokeKey(id, actor)),
    }),
    defineRoute({
      method: "post",
      path: "/admin/keys/{id}/rotate",
      access: "admin",
      summary: "Replace an API key",
      details: rotationDetails,
      params,
      body: rotationSchema,
      answer: { status: 201, description: "The new key, and its secret, shown this once", schema: newKeySchema },
      handle: async ({ params: { id }, body, actor }) =>
        toNewJson(await people.rotateKey(id, body.overlap_seconds * 1_000, actor)),
    }),
  ];

  return [...mine, ...everybodys];
}

// API keys on the wire. The key itself is shown once, when it is made.

import { z } from "@hono/zod-openapi";
import { type KeyChange, type KeyDraft, type KeyView, keyScopes } from "../people/people.ts";
import { classSchema, idSchema, limitsSchema, nameSchema, runsJobsSchema, timeSchema } from "./common-schemas.ts";
import { fromTimeOrNull, omitUndefined, toTime, toTimeOrNull } from "./wire-values.ts";

export const keyStates = ["active", "expired", "revoked"] as const;
const scopeSchema = z.enum(keyScopes).openapi({
  description:
    "`calls`: asks models and sees its owner's own figures · `admin`: all that its owner, an administrator, may do",
});
const modelsSchema = z
  .array(z.string().min(1).max(200))
  .max(100)
  .openapi({ example: ["glm-4.5-*"], description: "Names in which `*` stands for anything; null: all models" });

export const keySchema = z
  .object({
    id: idSchema,
    owner: nameSchema,
    name: z.string().openapi({ example: "laptop" }),
    prefix: z.string().openapi({ example: "Zk3v9QaB", description: "8 characters by which keys are told apart" }),
    scope: scopeSchema,
    models: modelsSchema.nullable(),
    class: classSchema.nullable().openapi({ description: "Null: its owner's; it may only step back behind that" }),
    limits: limitsSchema,
    runs_jobs: runsJobsSchema,
    is_locked: z.boolean().openapi({
      description: "An administrator has set what it is limited to: its owner can't change that",
    }),
    keeps_content: z.boolean().openapi({ description: "Whether its prompts and answers may be stored, where any are" }),
    caches_answers: z
      .boolean()
      .openapi({ description: "Whether its calls may be answered from the cache, where there is one" }),
    signs_tokens: z
      .boolean()
      .openapi({ description: "Whether it is `id.secret`, for clients that sign tokens with it" }),
    expires_at: timeSchema.nullable(),
    revoked_at: timeSchema.nullable(),
    replaced_by: idSchema.nullable().openapi({ description: "The key that took its place by rotation" }),
    created_at: timeSchema,
    last_used_at: timeSchema.nullable().openapi({ description: "To the minute or so" }),
    state: z.enum(keyStates),
  })
  .openapi("Key");

export const newKeySchema = z
  .object({
    key: keySchema,
    secret: z.string().openapi({ example: "glmp_…", description: "The key itself: shown this once, kept nowhere" }),
  })
  .openapi("NewKey");

const changeable = {
  models: modelsSchema.nullable().optional(),
  class: classSchema.nullable().optional(),
  limits: limitsSchema.optional(),
  keeps_content: z.boolean().optional(),
  caches_answers: z.boolean().optional(),
  expires_at: timeSchema.nullable().optional(),
};
/** For administrators alone. */
const grantable = { runs_jobs: runsJobsSchema.optional() };
/** What limits a key: where an administrator has set one of them, its owner can change none. */
export const lockedFields = ["models", "class", "limits", "expires_at"] as const;
const signsTokens = {
  signs_tokens: z.boolean().optional().openapi({
    description: "Make it `id.secret`, for older SDKs of GLM that sign a token of their own with it",
  }),
};
const keyNameSchema = z.string().min(1).max(128).openapi({ example: "laptop" });

/** What users may say of their own keys. */
export const myKeyDraftSchema = z
  .strictObject({ name: keyNameSchema, ...changeable, ...signsTokens })
  .openapi("MyKeyDraft");
export const keyDraftSchema = z
  .strictObject({
    owner: nameSchema,
    name: keyNameSchema,
    scope: scopeSchema.optional(),
    ...changeable,
    ...grantable,
    ...signsTokens,
  })
  .openapi("KeyDraft");
export const myKeyChangeSchema = z
  .strictObject({ name: keyNameSchema.optional(), ...changeable })
  .openapi("MyKeyChange");
export const keyChangeSchema = z
  .strictObject({ name: keyNameSchema.optional(), ...changeable, ...grantable })
  .openapi("KeyChange");
export const rotationSchema = z
  .strictObject({
    overlap_seconds: z.number().min(0).max(2_592_000).default(86_400).openapi({
      description: "How long the old key works on: 0 to 30 days",
    }),
  })
  .openapi("KeyRotation");

type KeyBody = z.output<typeof keyChangeSchema> & { readonly signs_tokens?: boolean | undefined };

export function toKeyChange(body: KeyBody): KeyChange & Pick<KeyDraft, "signsTokens"> {
  const {
    keeps_content: keepsContent,
    caches_answers: cachesAnswers,
    runs_jobs: runsJobs,
    signs_tokens,
    expires_at: expiresAt,
    limits,
    ...others
  } = body;
  return omitUndefined({
    ...others,
    limits: limits && omitUndefined(limits),
    keepsContent,
    cachesAnswers,
    runsJobs,
    signsTokens: signs_tokens,
    expiresAt: expiresAt === undefined ? undefined : fromTimeOrNull(expiresAt),
  });
}

export function keyStateOf({ revokedAt, expiresAt }: KeyView, wallNowMs: number): (typeof keyStates)[number] {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && expiresAt <= wallNowMs ? "expired" : "active";
}

export function toKeyJson(key: KeyView, wallNowMs: number): z.input<typeof keySchema> {
  return {
    id: key.id,
    owner: key.owner,
    name: key.name,
    prefix: key.prefix,
    scope: key.scope,
    models: key.models === null ? null : [...key.models],
    class: key.class,
    limits: key.limits,
    runs_jobs: key.runsJobs,
    is_locked: key.isLocked,
    keeps_content: key.keepsContent,
    caches_answers: key.cachesAnswers,
    signs_tokens: key.signsTokens,
    expires_at: toTimeOrNull(key.expiresAt),
    revoked_at: toTimeOrNull(key.revokedAt),
    replaced_by: key.replacedBy,
    created_at: toTime(key.createdAt),
    last_used_at: toTimeOrNull(key.lastUsedAt),
    state: keyStateOf(key, wallNowMs),
  };
}

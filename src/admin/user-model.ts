// Users on the wire.

import { z } from "@hono/zod-openapi";
import type { UserChange, UserView } from "../people/people.ts";
import {
  classSchema,
  groupNameSchema,
  limitsSchema,
  nameSchema,
  roleSchema,
  runsJobsSchema,
  timeSchema,
  weightSchema,
} from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { fromTimeOrNull, omitUndefined, toTimeOrNull } from "./wire-values.ts";

export const userSchema = z
  .object({
    name: nameSchema,
    source: z.enum(["config", "store"]).openapi({ description: "`config`: of the configuration file, not changeable" }),
    role: roleSchema,
    group: groupNameSchema.nullable(),
    weight: weightSchema.nullable().openapi({ description: "Its own; null: its group's, else 1" }),
    class: classSchema.nullable().openapi({ description: "Its own; null: its group's, else default" }),
    limits: limitsSchema,
    runs_jobs: runsJobsSchema.nullable().openapi({ description: "Its own; null: its group's, else false" }),
    is_enabled: z.boolean(),
    expires_at: timeSchema.nullable(),
    has_password: z.boolean(),
    created_at: timeSchema.nullable(),
    updated_at: timeSchema.nullable(),
    effective: z
      .object({ weight: z.number(), class: classSchema, limits: limitsSchema, runs_jobs: z.boolean() })
      .openapi({ description: "What counts, its group's part included" }),
  })
  .openapi("User");

const changeable = {
  password: z.string().max(1_024).nullable().optional().openapi({
    example: "correct horse battery staple",
    description: "8 to 128 characters; null: none, so that only its API keys work",
  }),
  role: roleSchema.optional(),
  group: groupNameSchema.nullable().optional(),
  weight: weightSchema.nullable().optional(),
  class: classSchema.nullable().optional(),
  limits: limitsSchema.optional().openapi({ description: "All of them: what is not named is not limited any more" }),
  runs_jobs: runsJobsSchema.nullable().optional(),
  is_enabled: z.boolean().optional(),
  expires_at: timeSchema.nullable().optional(),
};

export const userDraftSchema = z.strictObject({ name: nameSchema, ...changeable }).openapi("UserDraft");
export const userChangeSchema = z.strictObject(changeable).openapi("UserChange");

export function toUserChange(body: z.output<typeof userChangeSchema>): UserChange {
  const { is_enabled: isEnabled, expires_at: expiresAt, runs_jobs: runsJobs, limits, ...others } = body;
  return omitUndefined({
    ...others,
    limits: limits && omitUndefined(limits),
    runsJobs,
    isEnabled,
    expiresAt: expiresAt === undefined ? undefined : fromTimeOrNull(expiresAt),
  });
}

export function createToUserJson(people: Pick<ControlParts["people"], "effectiveOf">) {
  const toEffective = (user: UserView) => {
    const { runsJobs, ...others } = people.effectiveOf(user);
    return { ...others, runs_jobs: runsJobs };
  };
  return (user: UserView): z.input<typeof userSchema> => ({
    name: user.name,
    source: user.source,
    role: user.role,
    group: user.group,
    weight: user.weight,
    class: user.class,
    limits: user.limits,
    runs_jobs: user.runsJobs,
    is_enabled: user.isEnabled,
    expires_at: toTimeOrNull(user.expiresAt),
    has_password: user.hasPassword,
    created_at: toTimeOrNull(user.createdAt),
    updated_at: toTimeOrNull(user.updatedAt),
    effective: toEffective(user),
  });
}

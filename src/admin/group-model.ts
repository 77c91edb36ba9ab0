// Groups on the wire.

import { z } from "@hono/zod-openapi";
import type { GroupChange, GroupView } from "../people/people.ts";
import {
  classSchema,
  groupNameSchema,
  limitsSchema,
  runsJobsSchema,
  timeSchema,
  weightSchema,
} from "./common-schemas.ts";
import { omitUndefined, toTime } from "./wire-values.ts";

export const groupSchema = z
  .object({
    name: groupNameSchema,
    weight: weightSchema.nullable(),
    class: classSchema.nullable(),
    limits: limitsSchema.openapi({ description: "Of all members together" }),
    member_limits: limitsSchema.openapi({ description: "Of each member that has none of its own by that name" }),
    runs_jobs: runsJobsSchema.openapi({ description: "Of each member that does not say otherwise" }),
    member_count: z.int(),
    created_at: timeSchema,
    updated_at: timeSchema,
  })
  .openapi("Group");

const changeable = {
  weight: weightSchema.nullable().optional(),
  class: classSchema.nullable().optional(),
  limits: limitsSchema.optional(),
  member_limits: limitsSchema.optional(),
  runs_jobs: runsJobsSchema.optional(),
};

export const groupDraftSchema = z.strictObject({ name: groupNameSchema, ...changeable }).openapi("GroupDraft");
export const groupChangeSchema = z.strictObject(changeable).openapi("GroupChange");

export function toGroupChange(body: z.output<typeof groupChangeSchema>): GroupChange {
  const { weight, class: trafficClass, limits, member_limits: memberLimits, runs_jobs: runsJobs } = body;
  return omitUndefined({
    weight,
    class: trafficClass,
    limits: limits && omitUndefined(limits),
    memberLimits: memberLimits && omitUndefined(memberLimits),
    runsJobs,
  });
}

export function toGroupJson(group: GroupView): z.input<typeof groupSchema> {
  return {
    name: group.name,
    weight: group.weight,
    class: group.class,
    limits: group.limits,
    member_limits: group.memberLimits,
    runs_jobs: group.runsJobs,
    member_count: group.memberCount,
    created_at: toTime(group.createdAt),
    updated_at: toTime(group.updatedAt),
  };
}

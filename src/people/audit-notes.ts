// What the audit keeps of a change: who and where from is the actor's; what changed, as the API spells it, is made here.
// Views alone go in, and of a view nothing is secret: no password, no key, no hash of either.

import type { GroupView, KeyView, UserView } from "./people.ts";

export interface AuditNote {
  /** "user.create": the kind of object and what was done to it. */
  readonly action:
    | `${"user" | "group" | "key"}.${"create" | "change" | "remove" | "rotate" | "revoke"}`
    | `store.${"backup" | "prune"}`;
  readonly target: string;
  /** Null: it did not exist. */
  readonly before: AuditedFields | null;
  /** Null: it exists no more. */
  readonly after: AuditedFields | null;
}

export type AuditedFields = Readonly<Record<string, unknown>>;

export function toUserFields(user: UserView): AuditedFields {
  return {
    role: user.role,
    group: user.group,
    weight: user.weight,
    class: user.class,
    limits: user.limits,
    runs_jobs: user.runsJobs,
    is_enabled: user.isEnabled,
    expires_at: toTime(user.expiresAt),
    has_password: user.hasPassword,
  };
}

export function toGroupFields(group: Omit<GroupView, "memberCount">): AuditedFields {
  const { weight, class: trafficClass, limits, memberLimits: member_limits, runsJobs: runs_jobs } = group;
  return { weight, class: trafficClass, limits, member_limits, runs_jobs };
}

export function toKeyFields(key: KeyView): AuditedFields {
  return {
    owner: key.owner,
    name: key.name,
    prefix: key.prefix,
    scope: key.scope,
    models: key.models,
    class: key.class,
    limits: key.limits,
    runs_jobs: key.runsJobs,
    is_locked: key.isLocked,
    keeps_content: key.keepsContent,
    caches_answers: key.cachesAnswers,
    signs_tokens: key.signsTokens,
    expires_at: toTime(key.expiresAt),
    revoked_at: toTime(key.revokedAt),
    replaced_by: key.replacedBy,
  };
}

/** Only the fields that differ. */
export function toDifference(
  before: AuditedFields,
  after: AuditedFields,
): { readonly before: AuditedFields; readonly after: AuditedFields } {
  const changed = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  const pick = (fields: AuditedFields) => Object.fromEntries(changed.map((name) => [name, fields[name]]));
  return { before: pick(before), after: pick(after) };
}

function toTime(unixMs: number | null): string | null {
  return unixMs === null ? null : new Date(unixMs).toISOString();
}

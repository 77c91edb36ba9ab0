// Between the tables' rows and what the rest of the program sees.

import type { Limits } from "../base/limits.ts";
import type { TrafficClass } from "../base/principal.ts";
import type { ApiKeyTable, AuditTable, GroupTable, UserTable } from "../store/schema.ts";
import type { Insertable, Selectable } from "../store/sql.ts";
import type { AuditNote } from "./audit-notes.ts";
import type { Actor, AuditEntry, GroupView, KeyView, UserView } from "./people.ts";

/** A user as it is kept in memory: what others may see, and what only a login needs. */
export interface StoredUser {
  readonly view: UserView;
  readonly passwordHash: string | null;
  readonly tokensValidFrom: number;
}

export type StoredGroup = Omit<GroupView, "memberCount">;

export interface StoredKey {
  readonly view: KeyView;
  readonly hash: string;
}

export function toStoredUser(row: Selectable<UserTable>): StoredUser {
  return {
    passwordHash: row.password_hash,
    tokensValidFrom: row.tokens_valid_from,
    view: {
      name: row.name,
      source: "store",
      role: row.role,
      group: row.group_name,
      weight: row.weight,
      class: row.class as TrafficClass | null,
      limits: JSON.parse(row.limits) as Limits,
      runsJobs: row.runs_jobs === null ? null : row.runs_jobs === 1,
      isEnabled: row.is_enabled === 1,
      expiresAt: row.expires_at,
      hasPassword: row.password_hash !== null,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    },
  };
}

export function toUserRow({ view, passwordHash, tokensValidFrom }: StoredUser): Insertable<UserTable> {
  return {
    name: view.name,
    password_hash: passwordHash,
    role: view.role,
    group_name: view.group,
    weight: view.weight,
    class: view.class,
    limits: JSON.stringify(view.limits),
    runs_jobs: view.runsJobs === null ? null : view.runsJobs ? 1 : 0,
    is_enabled: view.isEnabled ? 1 : 0,
    expires_at: view.expiresAt,
    tokens_valid_from: tokensValidFrom,
    created_at: view.createdAt ?? 0,
    updated_at: view.updatedAt ?? 0,
  };
}

export function toStoredGroup(row: Selectable<GroupTable>): StoredGroup {
  return {
    name: row.name,
    weight: row.weight,
    class: row.class as TrafficClass | null,
    limits: JSON.parse(row.limits) as Limits,
    memberLimits: JSON.parse(row.member_limits) as Limits,
    runsJobs: row.runs_jobs === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function toGroupRow(group: StoredGroup): Insertable<GroupTable> {
  return {
    name: group.name,
    weight: group.weight,
    class: group.class,
    limits: JSON.stringify(group.limits),
    member_limits: JSON.stringify(group.memberLimits),
    runs_jobs: group.runsJobs ? 1 : 0,
    created_at: group.createdAt,
    updated_at: group.updatedAt,
  };
}

export function toStoredKey(row: Selectable<ApiKeyTable>): StoredKey {
  return {
    hash: row.hash,
    view: {
      id: row.id,
      owner: row.owner,
      name: row.name,
      prefix: row.prefix,
      scope: row.scope,
      models: row.models === null ? null : (JSON.parse(row.models) as string[]),
      class: row.class as TrafficClass | null,
      limits: JSON.parse(row.limits) as Limits,
      runsJobs: row.runs_jobs === 1,
      isLocked: row.is_locked === 1,
      keepsContent: row.keeps_content === 1,
      cachesAnswers: row.caches_answers === 1,
      signsTokens: row.signs_tokens === 1,
      expiresAt: row.expires_at,
      revokedAt: row.revoked_at,
      replacedBy: row.replaced_by,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
    },
  };
}

export function toKeyRow({ view, hash }: StoredKey): Insertable<ApiKeyTable> {
  return {
    id: view.id,
    owner: view.owner,
    name: view.name,
    prefix: view.prefix,
    hash,
    scope: view.scope,
    models: view.models === null ? null : JSON.stringify(view.models),
    class: view.class,
    limits: JSON.stringify(view.limits),
    runs_jobs: view.runsJobs ? 1 : 0,
    is_locked: view.isLocked ? 1 : 0,
    keeps_content: view.keepsContent ? 1 : 0,
    caches_answers: view.cachesAnswers ? 1 : 0,
    signs_tokens: view.signsTokens ? 1 : 0,
    expires_at: view.expiresAt,
    revoked_at: view.revokedAt,
    replaced_by: view.replacedBy,
    created_at: view.createdAt,
    last_used_at: view.lastUsedAt,
  };
}

export function toAuditRow(note: AuditNote, actor: Actor, at: number): Insertable<AuditTable> {
  return {
    at,
    actor: actor.name,
    via: actor.via,
    address: actor.address,
    request_id: actor.requestId,
    action: note.action,
    target: note.target,
    before: note.before && JSON.stringify(note.before),
    after: note.after && JSON.stringify(note.after),
  };
}

export function toAuditEntry(row: Selectable<AuditTable>): AuditEntry {
  return {
    id: row.id,
    at: row.at,
    actor: row.actor,
    via: row.via as Actor["via"],
    address: row.address,
    requestId: row.request_id,
    action: row.action,
    target: row.target,
    before: row.before === null ? null : JSON.parse(row.before),
    after: row.after === null ? null : JSON.parse(row.after),
  };
}

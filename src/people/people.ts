// People, groups and API keys as the rest of the program sees them: a snapshot in memory that every call is checked
// against, and changes that are durable and audited before they resolve. Static users of the configuration are part of
// it and cannot be changed here.

import type { Limits } from "../base/limits.ts";
import type { Role, TrafficClass } from "../base/principal.ts";

/** Changes throw a Refusal: `invalid_field`, `unknown_object`, `conflict`, `read_only_object`, `store_unavailable`. */
export interface People {
  /** By name, in order. Static ones included. */
  listUsers(): readonly UserView[];
  findUser(name: string): UserView | undefined;
  createUser(draft: UserDraft, actor: Actor): Promise<UserView>;
  changeUser(name: string, change: UserChange, actor: Actor): Promise<UserView>;
  /** Its keys go with it; its records stay. */
  removeUser(name: string, actor: Actor): Promise<void>;

  listGroups(): readonly GroupView[];
  findGroup(name: string): GroupView | undefined;
  createGroup(draft: GroupDraft, actor: Actor): Promise<GroupView>;
  changeGroup(name: string, change: GroupChange, actor: Actor): Promise<GroupView>;
  /** Throws `conflict` while it has members. */
  removeGroup(name: string, actor: Actor): Promise<void>;

  /** By id, which is the order of creation. `owner` null: everybody's. Revoked and expired ones included. */
  listKeys(owner: string | null): readonly KeyView[];
  findKey(id: string): KeyView | undefined;
  createKey(draft: KeyDraft, actor: Actor): Promise<NewKey>;
  changeKey(id: string, change: KeyChange, actor: Actor): Promise<KeyView>;
  /** A new key with the same rights; the old one works for `overlapMs` longer. */
  rotateKey(id: string, overlapMs: number, actor: Actor): Promise<NewKey>;
  revokeKey(id: string, actor: Actor): Promise<KeyView>;

  /** Newest first. */
  listAudit(filter: AuditFilter): Promise<readonly AuditEntry[]>;
}

export interface UserView {
  readonly name: string;
  /** config: a static user of the configuration file. */
  readonly source: "config" | "store";
  readonly role: Role;
  readonly group: string | null;
  /** Its own; null: its group's, else 1. */
  readonly weight: number | null;
  /** Its own; null: its group's, else "default". */
  readonly class: TrafficClass | null;
  /** Its own; those of its group's `memberLimits` that it has not are inherited. */
  readonly limits: Limits;
  /** Its own right to start jobs although it has limits; null: its group's, else false. */
  readonly runsJobs: boolean | null;
  readonly isEnabled: boolean;
  /** Unix milliseconds; null: never. */
  readonly expiresAt: number | null;
  readonly hasPassword: boolean;
  /** Null for a static user. */
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
}

export interface UserDraft {
  readonly name: string;
  /** Plain text, hashed before it is kept; null: none, so that only its API keys work. */
  readonly password: string | null;
  readonly role?: Role;
  readonly group?: string | null;
  readonly weight?: number | null;
  readonly class?: TrafficClass | null;
  readonly limits?: Limits;
  readonly runsJobs?: boolean | null;
  readonly isEnabled?: boolean;
  readonly expiresAt?: number | null;
}

/** What is left out stays. A new password, a lower role or being disabled voids all session tokens. */
export type UserChange = Partial<Omit<UserDraft, "name">>;

export interface GroupView {
  readonly name: string;
  readonly weight: number | null;
  readonly class: TrafficClass | null;
  /** Of all members together. */
  readonly limits: Limits;
  /** Of each member. */
  readonly memberLimits: Limits;
  /** Of each member that does not say otherwise. */
  readonly runsJobs: boolean;
  readonly memberCount: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface GroupDraft {
  readonly name: string;
  readonly weight?: number | null;
  readonly class?: TrafficClass | null;
  readonly limits?: Limits;
  readonly memberLimits?: Limits;
  readonly runsJobs?: boolean;
}

export type GroupChange = Partial<Omit<GroupDraft, "name">>;

/** calls: asks models and looks at its owner's own figures · admin: all that its owner, an administrator, may do */
export const keyScopes = ["calls", "admin"] as const;
export type KeyScope = (typeof keyScopes)[number];

export interface KeyView {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  /** The 8 characters after "glmp_", or the last 8 of the id of a key of two parts. */
  readonly prefix: string;
  readonly scope: KeyScope;
  /** Patterns; null: all models. */
  readonly models: readonly string[] | null;
  readonly class: TrafficClass | null;
  readonly limits: Limits;
  /** It may start jobs although it has limits or a list of models. */
  readonly runsJobs: boolean;
  /** An administrator has set models, class, limits, right to jobs or expiry: its owner can't change them. */
  readonly isLocked: boolean;
  readonly keepsContent: boolean;
  /** Its calls may be answered from the cache, where there is one. */
  readonly cachesAnswers: boolean;
  /** It is of two parts, `id.secret`, for clients that sign tokens of their own with it. */
  readonly signsTokens: boolean;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly replacedBy: string | null;
  readonly createdAt: number;
  /** To the minute or so; null: never. */
  readonly lastUsedAt: number | null;
}

export interface KeyDraft {
  readonly owner: string;
  readonly name: string;
  readonly scope?: KeyScope;
  readonly models?: readonly string[] | null;
  readonly class?: TrafficClass | null;
  readonly limits?: Limits;
  readonly runsJobs?: boolean;
  readonly keepsContent?: boolean;
  readonly cachesAnswers?: boolean;
  readonly signsTokens?: boolean;
  readonly expiresAt?: number | null;
  /** An administrator says so of another's key: what it limits of it is locked. */
  readonly locks?: boolean;
}

export type KeyChange = Partial<Omit<KeyDraft, "owner" | "scope" | "signsTokens">>;

export interface NewKey {
  readonly key: KeyView;
  /** The key itself. Shown this once, kept nowhere. */
  readonly secret: string;
}

/** Who changes something, for the audit. */
export interface Actor {
  /** A user's name, or "local" for the machine's operator. */
  readonly name: string;
  readonly via: "session" | "key" | "socket" | "setup_link" | "command";
  readonly address: string | null;
  readonly requestId: string | null;
}

export interface AuditFilter {
  readonly limit: number;
  /** Only entries older than this id. */
  readonly beforeId: number | null;
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
}

export interface AuditEntry {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly via: Actor["via"];
  readonly address: string | null;
  readonly requestId: string | null;
  readonly action: string;
  readonly target: string;
  /** Objects without secrets, or null. */
  readonly before: unknown;
  readonly after: unknown;
}

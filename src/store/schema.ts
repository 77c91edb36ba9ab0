// The tables, as Kysely sees them: the same in SQLite and PostgreSQL. Names of columns are the database's own
// (snake_case); times are Unix milliseconds, truth values 0 or 1, lists and limits JSON texts, so that one type serves
// both. What each table is for: docs/storage.md. Created in migrations.ts.

import type { ColumnType, Generated } from "kysely";

export interface Tables {
  users: UserTable;
  groups: GroupTable;
  api_keys: ApiKeyTable;
  revoked_sessions: RevokedSessionTable;
  calls: CallTable;
  call_contents: CallContentTable;
  usage_days: UsageDayTable;
  upstream_objects: UpstreamObjectTable;
  audit: AuditTable;
  meta: MetaTable;
}

/** Written once, never changed. */
type Fixed<Type> = ColumnType<Type, Type, never>;

export interface UserTable {
  name: Fixed<string>;
  /** argon2id, PHC format; null: cannot log in with a password. */
  password_hash: string | null;
  role: "user" | "admin";
  group_name: string | null;
  /** Null: the group's, else 1. */
  weight: number | null;
  /** Null: the group's, else "default". */
  class: string | null;
  /** JSON object of limit names and amounts. */
  limits: string;
  /** 1: may start jobs although it has limits. Null: as the group says, else 0. */
  runs_jobs: number | null;
  is_enabled: number;
  expires_at: number | null;
  /** Unix seconds: session tokens issued earlier are void. */
  tokens_valid_from: number;
  created_at: Fixed<number>;
  updated_at: number;
}

export interface GroupTable {
  name: Fixed<string>;
  weight: number | null;
  class: string | null;
  /** Of all members together. JSON as in users. */
  limits: string;
  /** Of each member that has none of its own by that name. */
  member_limits: string;
  /** 1: members that don't say otherwise may start jobs. */
  runs_jobs: number;
  created_at: Fixed<number>;
  updated_at: number;
}

export interface ApiKeyTable {
  id: Fixed<string>;
  owner: Fixed<string>;
  name: string;
  /** The 8 characters after "glmp_", to tell keys apart. */
  prefix: Fixed<string>;
  /** SHA-256 of the whole key, hexadecimal. */
  hash: Fixed<string>;
  scope: Fixed<"calls" | "admin">;
  /** JSON list of patterns, or null for all models. */
  models: string | null;
  /** Null: the owner's. */
  class: string | null;
  limits: string;
  /** 1: may start jobs although it has limits or a list of models. */
  runs_jobs: number;
  /** 1: an administrator has set what it is limited to, which its owner can't change. */
  is_locked: number;
  keeps_content: number;
  caches_answers: number;
  /** It is `id.secret`, its secret derived from the id: nothing of it is kept. */
  signs_tokens: Fixed<number>;
  expires_at: number | null;
  revoked_at: number | null;
  /** The key that took its place by rotation. */
  replaced_by: string | null;
  created_at: Fixed<number>;
  last_used_at: number | null;
}

/** Files, tasks and the like that calls have made upstream: where they are, and whose. */
export interface UpstreamObjectTable {
  /** As the upstream names it. */
  id: Fixed<string>;
  /** Such as "file". */
  kind: Fixed<string>;
  /** Name of the upstream key that it was made with. */
  upstream_key: Fixed<string>;
  owner: Fixed<string>;
  /** The API key that its owner used, or null for a session. */
  key_id: Fixed<string | null>;
  created_at: Fixed<number>;
}

/** Sessions that were logged out, until their tokens would have died by themselves. */
export interface RevokedSessionTable {
  session_id: string;
  until: number;
}

export interface CallTable {
  /** Ours, unique, sorts by time of arrival. */
  id: Fixed<string>;
  /** What client, log and error share. A client may choose it, so it may come twice. */
  request_id: Fixed<string>;
  /** Which process wrote it: open records of a dead one become unknown. */
  instance: Fixed<string>;
  /** open, then for good: served, refused, cut, cancelled, unknown */
  state: string;
  user_name: string;
  group_name: string | null;
  key_id: string | null;
  surface: string;
  model: string | null;
  upstream_key: string | null;
  is_stream: number;
  arrived_at: Fixed<number>;
  granted_at: number | null;
  sent_at: number | null;
  first_byte_at: number | null;
  ended_at: number | null;
  bytes_in: number;
  bytes_out: number;
  events: number;
  tries: number;
  queue_position: number | null;
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
  /** reported, estimated, none */
  tokens_source: string;
  /** Millionths of the price list's currency. */
  cost_micros: number;
  /** HTTP status of a refusal, else 200. Null while it is open. */
  status: number | null;
  reason: string | null;
  upstream_status: number | null;
  upstream_code: string | null;
  upstream_request_id: string | null;
  finish_reason: string | null;
}

export interface CallContentTable {
  call_id: string;
  prompt: string;
  answer: string;
  stored_at: number;
}

/** What is left of pruned calls: sums by calendar day in the configured time zone. "" stands for null. */
export interface UsageDayTable {
  /** 2026-11-23 */
  day: string;
  user_name: string;
  group_name: string;
  key_id: string;
  model: string;
  calls: number;
  served: number;
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
  cost_micros: number;
}

export interface AuditTable {
  id: Generated<number>;
  at: number;
  actor: string;
  /** How the actor came in: session, key, socket, setup_link, command */
  via: string;
  address: string | null;
  request_id: string | null;
  /** user.create, key.rotate, … */
  action: string;
  target: string;
  /** JSON without secrets, or null. */
  before: string | null;
  after: string | null;
}

export interface MetaTable {
  name: string;
  value: string;
}

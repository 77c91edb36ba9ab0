// The control plane's JSON as commands read it: its own names, times as ISO 8601, money in the currency of the price list.

import type { Limits } from "../../base/limits.ts";
import type { TrafficClass } from "../../base/principal.ts";

export interface ListJson<Item> {
  readonly data: readonly Item[];
  readonly next_cursor: string | null;
}

export interface ProblemJson {
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly request_id: string;
}

export interface UserJson {
  readonly name: string;
  readonly source: "config" | "store";
  readonly role: "user" | "admin";
  readonly group: string | null;
  readonly weight: number | null;
  readonly class: TrafficClass | null;
  readonly limits: Limits;
  readonly runs_jobs: boolean | null;
  readonly is_enabled: boolean;
  readonly expires_at: string | null;
  readonly has_password: boolean;
  readonly created_at: string | null;
  readonly updated_at: string | null;
  readonly effective: {
    readonly weight: number;
    readonly class: TrafficClass;
    readonly limits: Limits;
    readonly runs_jobs: boolean;
  };
}

export interface GroupJson {
  readonly name: string;
  readonly weight: number | null;
  readonly class: TrafficClass | null;
  readonly limits: Limits;
  readonly member_limits: Limits;
  readonly runs_jobs: boolean;
  readonly member_count: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface KeyJson {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly prefix: string;
  readonly scope: "calls" | "admin";
  readonly models: readonly string[] | null;
  readonly class: TrafficClass | null;
  readonly limits: Limits;
  readonly runs_jobs: boolean;
  readonly is_locked: boolean;
  readonly keeps_content: boolean;
  readonly caches_answers: boolean;
  readonly signs_tokens: boolean;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly replaced_by: string | null;
  readonly created_at: string;
  readonly last_used_at: string | null;
  readonly state: "active" | "expired" | "revoked";
}

export interface NewKeyJson {
  readonly key: KeyJson;
  readonly secret: string;
}

export interface UsageJson {
  readonly currency: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly data: readonly UsageRowJson[];
}

export interface UsageRowJson {
  readonly name: string;
  readonly calls: number;
  readonly served: number;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost: number;
}

export interface CallJson {
  readonly id: string;
  readonly request_id: string;
  readonly state: "open" | "served" | "refused" | "cut" | "cancelled" | "unknown";
  readonly user: string;
  readonly group: string | null;
  readonly key_id: string | null;
  readonly model: string | null;
  readonly arrived_at: string;
  readonly granted_at: string | null;
  readonly sent_at: string | null;
  readonly first_byte_at: string | null;
  readonly ended_at: string | null;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly tokens_source: "reported" | "estimated" | "none";
  readonly cost: number;
  readonly currency?: string;
  readonly status: number | null;
  readonly reason: string | null;
  readonly upstream_key: string | null;
  readonly queue_position: number | null;
}

export interface QueueJson {
  readonly waiting_count: number;
  readonly running_count: number;
  readonly queue_capacity: number;
  readonly next_start_in_ms: number | null;
  readonly waiting: readonly WaitingJson[];
  readonly running: readonly RunningJson[];
}

export interface WaitingJson {
  readonly request_id: string;
  readonly user: string;
  readonly model: string;
  readonly class: TrafficClass;
  readonly position: number;
  readonly eta_ms: number;
  readonly eta_p90_ms: number;
  readonly waited_ms: number;
  readonly blocked_by: string;
  readonly tries: number;
}

export interface RunningJson {
  readonly request_id: string;
  readonly user: string;
  readonly model: string;
  readonly class: TrafficClass;
  readonly upstream_key: string;
  readonly running_ms: number;
  readonly is_sent: boolean;
}

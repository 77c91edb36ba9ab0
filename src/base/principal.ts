// Who makes a call, as far as the later stages need to know.

import type { QuotaScope } from "./charge.ts";

export interface Principal {
  readonly userId: string;
  readonly role: Role;
  /** Share of the upstream relative to others of the same class. 1 is the normal one. */
  readonly weight: number;
  readonly class: TrafficClass;
  /** Which of the user's tools or sessions calls: their calls take turns. */
  readonly flowId: string;
}

/** A principal with what its user, its group and its API key add beside the queue. */
export interface Caller extends Principal {
  /** Unix milliseconds when its user was created: what is older belongs to another who had the name. 0: always. */
  readonly knownSince: number;
  /** The group that its user is in, or null. */
  readonly groupId: string | null;
  /** The id of the API key that it came with, or null for a session. */
  readonly keyId: string | null;
  /** Patterns of the models that it may use, `*` standing for anything; null: all. */
  readonly models: readonly string[] | null;
  /** Who is limited, by quotas or models, and has no right to jobs, which make calls that are not counted; null: nobody. */
  readonly lacksJobs: "user" | "key" | null;
  /** Those with limits only: the user's, the group's, the key's. */
  readonly scopes: readonly QuotaScope[];
  /** Whether prompts and answers of its calls may be stored, where the configuration stores any. */
  readonly keepsContent: boolean;
  /** Whether its calls may be answered from the cache, as its API key says. */
  readonly cachesAnswers: boolean;
}

export const roles = ["user", "admin"] as const;
export type Role = (typeof roles)[number];

/** What calls are for, in the order of their share of the upstream. */
export const trafficClasses = ["interactive", "default", "batch"] as const;
export type TrafficClass = (typeof trafficClasses)[number];

// Reading the ledger: single calls, and sums over them. Pruned calls are in the sums still, by calendar day.

export interface CallLog {
  /** Newest first, by id. */
  list(filter: CallFilter): Promise<readonly CallRow[]>;
  find(id: string): Promise<CallRow | undefined>;
  /** Sums by one thing, ordered by it. Bounded to 10,000 rows. */
  sumUsage(query: UsageQuery): Promise<readonly UsageRow[]>;
}

export interface CallFilter {
  readonly limit: number;
  /** Only calls older than the one of this id. */
  readonly beforeId?: string;
  readonly user?: string;
  readonly group?: string;
  readonly key?: string;
  readonly model?: string;
  readonly state?: CallState;
  readonly requestId?: string;
  /** Unix milliseconds of arrival: from, inclusive, to, exclusive. */
  readonly from?: number;
  readonly to?: number;
}

/** As the record's outcome; open: it has not ended · unknown: its process died before its end */
export const callStates = ["open", "served", "refused", "cut", "cancelled", "unknown"] as const;
export type CallState = (typeof callStates)[number];

/** Times are Unix milliseconds; null: it never came so far. */
export interface CallRow {
  readonly id: string;
  readonly requestId: string;
  readonly state: CallState;
  readonly user: string;
  readonly group: string | null;
  readonly keyId: string | null;
  readonly surface: string;
  readonly model: string | null;
  readonly upstreamKey: string | null;
  readonly isStream: boolean;
  readonly arrivedAt: number;
  readonly grantedAt: number | null;
  readonly sentAt: number | null;
  readonly firstByteAt: number | null;
  readonly endedAt: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly events: number;
  readonly tries: number;
  readonly queuePosition: number | null;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly tokensSource: "reported" | "estimated" | "none";
  readonly costMicros: number;
  readonly status: number | null;
  readonly reason: string | null;
  readonly upstreamStatus: number | null;
  readonly upstreamCode: string | null;
  readonly upstreamRequestId: string | null;
  readonly finishReason: string | null;
}

export const usageKeys = ["user", "group", "key", "model", "day"] as const;
export type UsageKey = (typeof usageKeys)[number];

export interface UsageQuery {
  readonly by: UsageKey;
  /** Unix milliseconds of arrival: from, inclusive, to, exclusive. Pruned days count when they begin within. */
  readonly from: number | null;
  readonly to: number | null;
  readonly user?: string;
  readonly group?: string;
  readonly key?: string;
  readonly model?: string;
}

export interface UsageRow {
  /** The user's, group's or model's name, the key's id, or the day as 2026-11-23; "" where there is none. */
  readonly name: string;
  readonly calls: number;
  readonly served: number;
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costMicros: number;
}

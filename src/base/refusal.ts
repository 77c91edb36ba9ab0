// Every way this gateway says no, in one closed table. A new reason is a new row here, and nothing compiles
// until it has its words in each language (refusal-words.ts).

interface RefusalRule {
  /** HTTP status, as long as no byte of an answer was sent. */
  readonly status: number;
  /** The family, as OpenAI's clients know it (`error.type`). */
  readonly type: ErrorType;
  /** Sent as `x-should-retry`, the one header that every official SDK obeys. */
  readonly shouldRetry: boolean;
}

export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "rate_limit_error"
  | "insufficient_quota"
  | "timeout_error"
  | "upstream_error"
  | "server_error";

function rule(status: number, type: ErrorType, shouldRetry = false): RefusalRule {
  return { status, type, shouldRetry };
}

const rules = {
  // The client's credentials. All failures of a token look alike, but for one that was good and has expired.
  invalid_token: rule(401, "authentication_error"),
  token_expired: rule(401, "authentication_error"),
  wrong_credentials: rule(401, "authentication_error"),
  login_throttled: rule(429, "rate_limit_error", true),
  login_busy: rule(429, "rate_limit_error", true),
  forbidden: rule(403, "permission_error"),
  model_not_allowed: rule(403, "permission_error"),
  jobs_not_allowed: rule(403, "permission_error"),

  // The caller's quotas.
  insufficient_quota: rule(429, "insufficient_quota"),
  concurrency_exceeded: rule(429, "rate_limit_error", true),

  // The client's request.
  bad_request: rule(400, "invalid_request_error"),
  invalid_json: rule(400, "invalid_request_error"),
  invalid_field: rule(400, "invalid_request_error"),
  not_found: rule(404, "invalid_request_error"),
  method_not_allowed: rule(405, "invalid_request_error"),
  unknown_object: rule(404, "invalid_request_error"),
  conflict: rule(409, "invalid_request_error"),
  read_only_object: rule(409, "invalid_request_error"),
  request_timeout: rule(408, "timeout_error"),
  body_too_large: rule(413, "invalid_request_error"),
  unsupported_media_type: rule(415, "invalid_request_error"),
  expectation_failed: rule(417, "invalid_request_error"),
  headers_too_large: rule(431, "invalid_request_error"),
  version_not_supported: rule(505, "invalid_request_error"),
  too_many_connections: rule(429, "rate_limit_error", true),

  // The queue.
  queue_full: rule(429, "rate_limit_error", true),
  user_queue_full: rule(429, "rate_limit_error", true),
  wait_too_long: rule(429, "rate_limit_error", true),
  queue_timeout: rule(408, "timeout_error"),
  memory_full: rule(503, "server_error", true),
  shutting_down: rule(503, "server_error", true),
  client_gone: rule(499, "timeout_error"),
  client_stalled: rule(499, "timeout_error"),

  // The upstream said no. `upstream_rejected` passes its own status, code and words on.
  upstream_rejected: rule(400, "invalid_request_error"),
  upstream_rate_limited: rule(429, "rate_limit_error", true),
  upstream_busy: rule(503, "upstream_error", true),
  upstream_quota: rule(429, "rate_limit_error"),
  upstream_account: rule(502, "upstream_error"),
  upstream_failed: rule(502, "upstream_error", true),

  // The upstream could not be reached, was too slow, or made no sense.
  upstream_dns: rule(502, "upstream_error", true),
  upstream_refused: rule(502, "upstream_error", true),
  upstream_tls: rule(502, "upstream_error"),
  upstream_reset: rule(502, "upstream_error", true),
  upstream_protocol: rule(502, "upstream_error", true),
  upstream_unexpected: rule(502, "upstream_error"),
  upstream_too_large: rule(502, "upstream_error"),
  upstream_exposed_key: rule(502, "upstream_error"),
  upstream_truncated: rule(502, "upstream_error", true),
  upstream_connect_timeout: rule(504, "timeout_error"),
  upstream_first_byte_timeout: rule(504, "timeout_error"),
  upstream_idle_timeout: rule(504, "timeout_error"),
  upstream_timeout: rule(504, "timeout_error"),

  // What the gateway itself keeps.
  ledger_unavailable: rule(503, "server_error", true),
  store_unavailable: rule(503, "server_error", true),
  object_unrecorded: rule(503, "server_error"),

  internal_error: rule(500, "server_error"),
} as const satisfies Record<string, RefusalRule>;

export type RefusalReason = keyof typeof rules;

/** What a refusal's words and headers are made of. Public: nothing secret goes in here. */
export interface RefusalFacts {
  /** When a new try has a chance. Default: the reason's own (see http/reply.ts). */
  retryAfterMs?: number;
  /** The bound that was hit, in the unit that the reason's words name. */
  limit?: number;
  /** How many wait now; for `user_queue_full`, of this user's calls. */
  waiting?: number;
  /** How long this call waited, or was let run; for `wait_too_long`, how long it would have waited. */
  elapsedMs?: number;
  /** Where the call stood in the queue, or would have stood. 1 is the next to start. */
  position?: number;
  /** About how long it would still have waited. */
  etaMs?: number;
  /** The request's field at fault, as a path (`error.param`). */
  param?: string;
  /** One clause on what is wrong, in English. For bodies, targets and fields. */
  detail?: string;
  /** HTTP methods that the path has (`Allow`). */
  allow?: string;
  /** Which quota is used up: "requests/day of the user ada". */
  quota?: string;
  /** How much of it is taken, by running calls too, and how much the call may need. In the quota's unit. */
  used?: number;
  needed?: number;
  /** Who lacks a right. */
  scope?: "user" | "key";
  /** When the quota begins anew, as an ISO 8601 time with its offset; left out for one that never does. */
  resetsAt?: string;
  /** The upstream's business code, when it gave one. */
  upstreamCode?: string;
  /** `upstream_rejected` only: the upstream's own words and the status that they go out with. */
  upstreamMessage?: string;
  upstreamStatus?: number;
}

/** An expected failure. What the client may know is in `reason` and `facts`; `cause` is for the log only. */
export class Refusal extends Error {
  readonly reason: RefusalReason;
  readonly facts: RefusalFacts;

  constructor(reason: RefusalReason, facts: RefusalFacts = {}, cause?: unknown) {
    super(reason, { cause });
    this.name = "Refusal";
    this.reason = reason;
    this.facts = facts;
  }

  get status(): number {
    return this.reason === "upstream_rejected"
      ? (this.facts.upstreamStatus ?? rules.upstream_rejected.status)
      : rules[this.reason].status;
  }

  get type(): ErrorType {
    return rules[this.reason].type;
  }

  get shouldRetry(): boolean {
    return rules[this.reason].shouldRetry;
  }

  /** The stable code that clients may switch on. */
  get code(): string {
    return this.reason === "upstream_rejected" ? (this.facts.upstreamCode ?? this.reason) : this.reason;
  }
}

/** Turns whatever was thrown into a refusal; what was not expected becomes `internal_error` with its cause. */
export function toRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal("internal_error", {}, error);
}

/** Why a call was given up: whoever aborts a call's signal says so with a refusal. Default: its client left. */
export function refusalOf(signal: AbortSignal): Refusal {
  return signal.reason instanceof Refusal ? signal.reason : new Refusal("client_gone");
}

export const refusalReasons = Object.keys(rules) as RefusalReason[];

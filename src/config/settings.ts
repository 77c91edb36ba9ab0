// What the rest of the program sees of the configuration: validated, complete, milliseconds, camelCase.
// The file's own spelling (seconds, snake_case) is in schema.ts, the conversion in to-settings.ts.

import type { AdmissionLimits } from "../admission/scheduler.ts";
import type { CallTimeouts } from "../deadline.ts";
import type { LogLevel } from "../observe/log.ts";
import type { Account } from "../people/static-users.ts";
import type { PriceList } from "../quota/prices.ts";
import type { ModelRule } from "../rules.ts";
import type { StoreTarget } from "../store/store.ts";
import type { HeartbeatStyle } from "../surfaces/surface.ts";
import type { ProxySettings } from "../upstream/connections.ts";

export interface Settings {
  readonly server: ServerSettings;
  readonly auth: AuthSettings;
  readonly glm: GlmSettings;
  readonly rateLimit: AdmissionLimits;
  readonly metrics: MetricsSettings;
  readonly log: { readonly level: LogLevel };
  readonly store: StoreTarget;
  readonly ledger: LedgerSettings;
  readonly quotas: QuotaSettings;
  readonly prices: PriceList;
  readonly cache: CacheSettings;
  /** What stands between us and the upstreams, as the environment says; null: nothing. */
  readonly proxy: ProxySettings | null;
  /** Where the gateway keeps what is its own. It may not exist yet. */
  readonly dataFolder: string;
}

export interface ServerSettings {
  readonly host: string;
  /** 0 lets the system choose a free port. */
  readonly port: number;
  readonly bodyBytesMax: number;
  /** Of a body that goes upstream as it comes, such as a file. */
  readonly uploadBytesMax: number;
  readonly shutdownGraceMs: number;
  /** A client that takes no byte of its answer for so long is cut. */
  readonly writeStallMs: number;
  /** Connections that one address may have open, unless it is a trusted proxy's. */
  readonly connectionsPerAddress: number;
  /** Addresses or CIDR ranges whose forwarding headers are believed. */
  readonly trustedProxies: readonly string[];
  /** Empty: the control plane answers under any name. */
  readonly allowedHosts: readonly string[];
  /** Between two signs of life to a streaming call that waits; null: it gets none. */
  readonly heartbeatMs: number | null;
  /** How long such a call waits before the first, with its status still open. */
  readonly heartbeatGraceMs: number;
  readonly heartbeatStyle: HeartbeatStyle;
  /** Whether answers have the fields RateLimit and RateLimit-Policy. */
  readonly sendsIetfFields: boolean;
}

export interface AuthSettings {
  /** At least 32 bytes. Signs and verifies session tokens. */
  readonly jwtSecret: string;
  /** Seconds, because that is the unit of the JWT claims and of `expires_in`. */
  readonly tokenTtlSeconds: number;
  readonly users: readonly Account[];
  /** How long a session can be refreshed, from its login. */
  readonly sessionTtlSeconds: number;
  /** How long a browser's session goes on without a request. */
  readonly consoleIdleSeconds: number;
}

export interface LedgerSettings {
  /** What happens when records can't be written: true: calls are refused · false: they go on, records wait in memory. */
  readonly isStrict: boolean;
  /** Single calls are kept for so long, then only their sums by day. */
  readonly retentionDays: number;
  /** Whether prompts and answers are stored, of keys that say so. */
  readonly storesContent: boolean;
  readonly contentRetentionDays: number;
  /** Most bytes of the local spool in front of PostgreSQL. */
  readonly spoolBytesMax: number;
}

export interface QuotaSettings {
  /** IANA name: where days and months begin. */
  readonly timeZone: string;
  /** Reserved for an answer when the client does not say how long it may be. */
  readonly assumedOutputTokens: number;
}

export interface GlmSettings {
  /** The first upstream's; empty: none is needed. */
  readonly apiKey: string;
  /** The first upstream's. Without a trailing slash. */
  readonly baseUrl: string;
  /** At least one, each with a name of its own, the same as in `rateLimit.keys`. */
  readonly upstreams: readonly UpstreamSettings[];
  readonly timeouts: CallTimeouts;
  /** How long a connection may take to come about. */
  readonly connectTimeoutMs: number;
  /** How long an event stream is held back for its first event; 0: not at all. */
  readonly firstEventMs: number;
  /** Those that set a time, in file order; the first rule whose pattern matches wins. */
  readonly models: readonly ModelRule[];
  /** Model name that clients send -> model name that the upstream knows. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Model that the upstream knows -> models that may answer in its place, in this order. */
  readonly fallbacks: ReadonlyMap<string, readonly string[]>;
}

/** One key of the pool, and where it is good. */
export interface UpstreamSettings {
  readonly name: string;
  /** glm: GLM's own API · openai: any server that speaks OpenAI's chat completions */
  readonly kind: UpstreamKind;
  /** Null: none is asked for. */
  readonly apiKey: string | null;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  /** Where its Anthropic-compatible API begins, without a trailing slash; null: it has none. */
  readonly anthropicBaseUrl: string | null;
}

export const upstreamKinds = ["glm", "openai"] as const;
export type UpstreamKind = (typeof upstreamKinds)[number];

/** Answers that are kept and given again. */
export interface CacheSettings {
  readonly isEnabled: boolean;
  readonly bytesMax: number;
  readonly entryBytesMax: number;
  readonly ttlMs: number;
  /** Patterns of the models whose answers are kept unasked. */
  readonly models: readonly string[];
}

export interface MetricsSettings {
  /** Users with a label of their own, the busiest first; the rest are "other". 0: no label names a person. */
  readonly userLabelsMax: number;
}

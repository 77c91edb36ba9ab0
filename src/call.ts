// One client request on its way through the stages, as the gateway sees it. Implemented by the HTTP side.

import type { Client } from "./base/client.ts";
import type { TrafficClass } from "./base/principal.ts";
import type { QueuePassage, QueueStanding, RemainingLimit } from "./base/queue-facts.ts";
import type { Refusal } from "./base/refusal.ts";
import type { Outcome } from "./ledger/record.ts";
import type { QuotaStanding } from "./quota/quotas.ts";
import type { Endpoint, Incoming } from "./surfaces/endpoint.ts";

export const cacheControls = ["on", "off", "refresh"] as const;
export type CacheControl = (typeof cacheControls)[number];

export interface Call {
  /** The request id that client, log and error share. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** A session token or an API key, unchecked; null: none that could be one. */
  readonly credential: string | null;
  /** How long the client says it waits for the whole call, or null. */
  readonly patienceMs: number | null;
  /** How many tries of the same call the client made before, as far as it says so; 0 to 10. */
  readonly retryCount: number;
  /** What the client says of the cache: "on", "off", "refresh", or null for nothing. */
  readonly cacheControl: CacheControl | null;
  /** What the client says the call is for, or null. */
  readonly trafficClass: TrafficClass | null;
  /** Fires with a Refusal as its reason: the client left, a deadline passed, the process ends. */
  readonly signal: AbortSignal;
  abort(refusal: Refusal): void;
  /**
   * The request, once. Its body is read within its bounds, and its bytes count as the user's in the shared budget until the
   * call ends; of a large upload only the beginning is read.
   */
  receive(userId: string): Promise<Incoming>;
  readonly client: Client;
  /** Says no: as a status while nothing was sent, as the stream's last event after that, not at all to who left. */
  refuse(refusal: Refusal): Promise<Exclude<Outcome, "served">>;
  /** What is left of the caller's limits, the scarcest first. Read when the head of the answer goes out. */
  noteAllowances(read: () => readonly RemainingLimit[]): void;
  /** The caller's quotas that are nearly used up, this call included. Told in the answer's headers. */
  noteQuotas(warnings: readonly QuotaStanding[]): void;
  /**
   * The call has to wait, and `look` tells where it stands for as long as it does. May be called again when the call
   * comes back into the queue. Who asked for a stream may get signs of life from here on.
   */
  noteQueued(look: () => QueueStanding, isStream: boolean): void;
  /** It may start. Adds what the answer's headers tell of the queue. */
  noteQueue(passage: QueuePassage): void;
  /** Another model than the one that was asked for answers, and why. Told in a header. */
  noteFallback(model: string, reason: string): void;
  /** Whether the answer comes from the cache, as the header has it. */
  noteCache(state: string): void;
}

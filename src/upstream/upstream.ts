// The upstream port: send one call with the real key, and tell what comes back. Knows nothing of queues and clients.

import type { Answer } from "../base/answer.ts";
import type { Verdict } from "../base/verdict.ts";

export interface Upstream {
  /**
   * Resolves with an answer that is worth relaying. Everything else rejects with a Refusal: errors by GLM's business
   * code, transport failures, answers that make no sense. When `flight.signal` fires the connection is closed at
   * once and the promise rejects with the signal's refusal.
   */
  send(request: UpstreamRequest, flight: Flight): Promise<Answer>;
  /** Closes every connection. */
  close(): Promise<void>;
}

export interface UpstreamRequest {
  /** Below the base URL, such as "/chat/completions". */
  readonly path: string;
  readonly body: Buffer;
  /** Whether server-sent events are asked for. */
  readonly isStream: boolean;
}

/** What one call's time upstream means to others. Each `on…` is called as it happens, `onEnd` exactly once. */
export interface Flight {
  readonly signal: AbortSignal;
  /** The request's bytes leave in this very turn. */
  onSent(): void;
  /** The upstream's status came in. */
  onHead(status: number): void;
  onBytes(count: number): void;
  /** Reading was paused or goes on: silence while paused is not the upstream's fault. */
  onPause(isPaused: boolean): void;
  /** All was said: what the upstream still does has no deadline of the call any more. */
  onConcluded(): void;
  /** What the answer means for the key and the model. Before the promise settles; never when the connection failed. */
  onVerdict(verdict: Verdict): void;
  /** Nothing more happens upstream. Before it, the call counts there. */
  onEnd(how: "ended" | "aborted"): void;
}

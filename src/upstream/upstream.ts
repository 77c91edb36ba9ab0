// The upstream port: send one call with the real key, and tell what comes back. Knows nothing of queues and clients.

import type { Answer } from "../base/answer.ts";
import type { AnswerFormat } from "../base/answer-format.ts";
import type { Translation, TranslationTarget, UpstreamKind } from "../base/translation.ts";
import type { AnswerKind, Upload, UpstreamApi } from "../base/upstream-call.ts";
import type { Verdict } from "../base/verdict.ts";

export interface Upstream {
  /**
   * Resolves with an answer that is worth relaying. Everything else rejects with a Refusal: errors by GLM's business
   * code, transport failures, answers that make no sense. When `flight.signal` fires the connection is closed at
   * once and the promise rejects with the signal's refusal.
   */
  send(request: UpstreamRequest, flight: Flight): Promise<Answer>;
  /** Takes other targets at once. Calls that run go on where they are. */
  configure(targets: readonly UpstreamTarget[]): void;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** One key of the pool, and where it is good. */
export interface UpstreamTarget {
  /** As tickets name it. */
  readonly name: string;
  readonly kind: UpstreamKind;
  /** Null: none is asked for. */
  readonly apiKey: string | null;
  /** Without a trailing slash, such as "https://open.bigmodel.cn/api/paas/v4". */
  readonly baseUrl: string;
  /** Where its Anthropic-compatible API begins, or null. */
  readonly anthropicBaseUrl: string | null;
}

export interface UpstreamRequest {
  readonly method: string;
  readonly api: UpstreamApi;
  /** Below the API's base URL, such as "/chat/completions", with its query. */
  readonly path: string;
  readonly body: Buffer;
  readonly upload: Upload | null;
  readonly contentType: string;
  /** Headers of the client's that go along: names and values in turn. */
  readonly headers: readonly string[];
  /** Whether server-sent events are asked for. */
  readonly isStream: boolean;
  readonly answers: AnswerKind;
  readonly format: AnswerFormat;
  /** For a target without the API: the call as a chat completion. Null: there is no such thing. */
  readonly translate: ((target: TranslationTarget) => Translation) | null;
}

/** What one call's time upstream means to others. Each `on…` is called as it happens, `onEnd` exactly once. */
export interface Flight {
  /** Name of the target to send to. */
  readonly upstreamKey: string;
  readonly signal: AbortSignal;
  /** Whose answer it is: bytes that are kept of it count as this user's. */
  readonly userId: string;
  /** The request's bytes leave in this very turn. */
  onSent(): void;
  /** The upstream's status came in, and its own id of the call, if it said one. */
  onHead(status: number, upstreamRequestId: string | null): void;
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

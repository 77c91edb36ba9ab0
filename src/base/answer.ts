// The upstream's answer, as the upstream stage hands it over and the relay stage reads it.
// Only good answers become an Answer: whatever means "no" was thrown as a Refusal before.

import type { AnswerFormat } from "./answer-format.ts";
import type { Refusal } from "./refusal.ts";
import type { Translation } from "./translation.ts";

export type Answer = WholeAnswer | StreamedAnswer;

interface AnswerHead {
  readonly status: number;
  readonly contentType: string;
  /** The upstream's own id of this call, printable and at most 128 characters, or null. */
  readonly upstreamRequestId: string | null;
  /** What the upstream spoke. */
  readonly format: AnswerFormat;
  /** When that is not what the client speaks. */
  readonly translation: Translation | null;
}

export interface WholeAnswer extends AnswerHead {
  readonly kind: "whole";
  /** The body as parsed JSON. */
  readonly parsed: unknown;
  readonly body: Buffer;
}

export interface StreamedAnswer extends AnswerHead {
  readonly kind: "stream";
  /** Server-sent events; otherwise bytes of any kind. */
  readonly isEvents: boolean;
  /** The upstream was made to report its usage in a last event, of which the client knows nothing. */
  readonly dropsUsageChunk: boolean;
  /** Of bytes, as the upstream said them: names and values. */
  readonly headers: Readonly<Record<string, string>>;
  /** Starts the flow. Called once; chunks that came early are handed over within this call. */
  consume(sink: AnswerSink): void;
  /** Backpressure towards the upstream's socket. */
  pause(): void;
  resume(): void;
  /**
   * No more is needed. The upstream may end by itself, for a moment, so that its connection can be used again.
   * Resolves at its end, whichever way it comes.
   */
  discard(): Promise<void>;
  /** Closes the upstream's connection now. Harmless after the end. */
  abort(): void;
  /** What an error object among the events means. */
  judge(error: object): Refusal;
}

/** Where a streamed answer goes. After `onEnd` or `onError`, which come once, nothing follows. */
export interface AnswerSink {
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(refusal: Refusal): void;
}

/** Tokens as the upstream reported them; never estimated here. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
}

// A surface is one public dialect of the gateway: how a refusal is said in it, and how a sign of life to who waits.

import type { QueueStanding } from "../base/queue-facts.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Language } from "../base/refusal-words.ts";

export interface Surface {
  /** The body of a refusal, JSON. */
  formatRefusal(refusal: Refusal, requestId: string, language: Language): string;
  /** Headers that clients of this dialect look for in a refusal, beside those that all get. */
  adviseHeaders(refusal: Refusal): Readonly<Record<string, string>>;
  /** The last event of a stream that broke. */
  formatStreamError(refusal: Refusal, requestId: string, language: Language): string;
  /** What tells a stream's reader that its call still waits: in the queue (`standing`), or for its answer (null). */
  formatHeartbeat(style: HeartbeatStyle, standing: QueueStanding | null, requestId: string): string;
  /** Where its clients look for the id of a request, beside `x-request-id`. */
  readonly requestIdHeader: string | null;
}

/**
 * comment: a line that parsers of event streams skip · chunk: an empty piece of an answer, for clients whose idle
 * timers know nothing but events
 */
export const heartbeatStyles = ["comment", "chunk"] as const;
export type HeartbeatStyle = (typeof heartbeatStyles)[number];

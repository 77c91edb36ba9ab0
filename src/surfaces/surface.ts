// A surface is one public dialect of the gateway: how a request is read, how a refusal is said in it, and how a sign
// of life to who waits.

import type { QueueStanding } from "../base/queue-facts.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Language } from "../base/refusal-words.ts";

export interface Surface {
  /** Short and stable; a metric label. */
  readonly name: string;
  /** Throws `invalid_json` or `invalid_field`. */
  parseRequest(body: Buffer, aliases: ReadonlyMap<string, string>): CallRequest;
  /** The body of a refusal, JSON. */
  formatRefusal(refusal: Refusal, requestId: string, language: Language): string;
  /** The last event of a stream that broke. */
  formatStreamError(refusal: Refusal, requestId: string, language: Language): string;
  /** What tells a stream's reader that its call still waits: in the queue (`standing`), or for its answer (null). */
  formatHeartbeat(style: HeartbeatStyle, standing: QueueStanding | null, requestId: string): string;
}

/**
 * comment: a line that parsers of event streams skip · chunk: an empty piece of an answer, for clients whose idle
 * timers know nothing but events
 */
export const heartbeatStyles = ["comment", "chunk"] as const;
export type HeartbeatStyle = (typeof heartbeatStyles)[number];

/** What the later stages need to know of a call; the body goes upstream as it is. */
export interface CallRequest {
  /** Below the upstream's base URL. */
  readonly path: string;
  /** As the upstream knows it. */
  readonly model: string;
  readonly isStream: boolean;
  /** The most tokens that the answer may have, or null when the client does not say. */
  readonly outputTokensMax: number | null;
  readonly body: Buffer;
}

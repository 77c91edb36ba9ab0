// What a call and the upstream it goes to have to agree on. Types only.

import type { Readable } from "node:stream";

/**
 * Which API of an upstream is meant, each with a base URL of its own. paas: chat completions and what is beside them ·
 * anthropic: Anthropic's · responses: OpenAI's Responses · root: GLM's `/api`, where its agents are
 */
export type UpstreamApi = "paas" | "anthropic" | "responses" | "root";

/** A body too large to be kept: it goes upstream as it comes, and so it can be sent only once. */
export interface Upload {
  readonly stream: Readable;
  /** Null: unknown until its end. */
  readonly byteCount: number | null;
}

/**
 * json: a whole one, or events if a stream was asked for · any: whatever it is, passed on as it comes; JSON is looked
 * at · bytes: not looked at
 */
export type AnswerKind = "json" | "any" | "bytes";

// A call of one dialect as a chat completion, and its answer back again: for upstreams that speak nothing else.

/** glm: GLM's own API · openai: any server that speaks OpenAI's chat completions */
export type UpstreamKind = "glm" | "openai";

/** What a translation depends on in addition to the request. */
export interface TranslationTarget {
  readonly kind: UpstreamKind;
  readonly nowMs: number;
}

export interface Translation {
  /** The body of `POST {base}/chat/completions`. */
  readonly chatBody: Buffer;
  /** A whole chat completion, as parsed JSON, in the dialect's own shape. Throws a Refusal for a broken one. */
  translateWhole(completion: unknown): object;
  openStream(): StreamTranslator;
}

export interface StreamTranslator {
  /** Whole events of the chat stream in, events of the dialect out; null: nothing yet. Throws a Refusal, as `end`. */
  push(events: Buffer): Buffer | null;
  /**
   * The chat stream has ended: the closing events that are still missing; null: none. Throws `upstream_truncated` without
   * a finish reason, `upstream_failed` when the model could not finish or its answer is empty.
   */
  end(): Buffer | null;
}

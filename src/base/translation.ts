// A call of one dialect as a chat completion, and its answer back again: for upstreams that speak nothing else.

export interface Translation {
  /** The body of `POST {base}/chat/completions`. */
  readonly chatBody: Buffer;
  /** A whole chat completion, as parsed JSON, in the dialect's own shape. */
  translateWhole(completion: unknown): object;
  openStream(): StreamTranslator;
}

export interface StreamTranslator {
  /** Whole events of the chat stream in, events of the dialect out; null: nothing to say yet. */
  push(events: Buffer): Buffer | null;
  /** The chat stream has ended well: the closing events that are still missing; null: none. */
  end(): Buffer | null;
}

// What a translation needs to know beside the request.

export interface TranslationContext {
  /** Unique; the dialect's ids are made of it. */
  readonly requestId: string;
  /** The model's name as the client knows it. */
  readonly model: string;
  /** As the upstream knows it. */
  readonly upstreamModel: string;
  readonly nowSeconds: number;
  /** Tokens of the prompt, about; for what has to be said before the upstream has counted. */
  readonly inputTokensEstimate: number;
}

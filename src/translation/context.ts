// What a translation needs to know in addition to the request.

import type { UpstreamKind } from "../base/translation.ts";

export interface TranslationContext {
  /** Unique; the dialect's ids are made of it. */
  readonly requestId: string;
  /** The model's name as the client knows it. */
  readonly model: string;
  /** As the upstream knows it. */
  readonly upstreamModel: string;
  readonly upstreamKind: UpstreamKind;
  readonly nowSeconds: number;
  /** Tokens of the prompt, about; for what has to be said before the upstream has counted. */
  readonly inputTokensEstimate: number;
}

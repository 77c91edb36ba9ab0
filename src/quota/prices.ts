// What tokens cost, by model. Any currency; sums are kept in its millionths.

import { compilePattern } from "../base/name-pattern.ts";

export interface PriceList {
  /** ISO 4217 code or any short word, as people read it. */
  readonly currency: string;
  /** The first pattern that matches a model counts; a model that none matches is free. */
  readonly models: readonly ModelPrice[];
}

/** Per million tokens, in the list's currency. */
export interface ModelPrice {
  /** A model's name in which `*` stands for any run of characters. */
  readonly pattern: string;
  readonly input: number;
  /** Of the input, what the upstream had cached; null: as the rest. */
  readonly cachedInput: number | null;
  readonly output: number;
}

export interface TokenCounts {
  readonly promptTokens: number;
  /** Of the prompt's. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

export interface Prices {
  readonly currency: string;
  /** Whole millionths of the currency. */
  costMicros(model: string | null, tokens: TokenCounts): number;
}

export function createPrices({ currency, models }: PriceList): Prices {
  const compiled = models.map((price) => ({ ...price, matches: compilePattern(price.pattern) }));
  return {
    currency,
    costMicros(model, { promptTokens, cachedTokens, completionTokens }) {
      const price = model === null ? undefined : compiled.find(({ matches }) => matches(model));
      if (!price) return 0;
      const cached = Math.min(cachedTokens, promptTokens);
      // Tokens times a price per million tokens is already in millionths.
      return Math.round(
        (promptTokens - cached) * price.input +
          cached * (price.cachedInput ?? price.input) +
          completionTokens * price.output,
      );
    },
  };
}

// What a call may take, before anybody knows: its prompt by its bytes, its answer by what the client says it may be.

import type { Charge } from "../base/charge.ts";
import { createTokenRatios, type TokenRatios } from "../base/token-ratios.ts";
import type { Prices } from "./prices.ts";
import type { QuotaWish } from "./quotas.ts";

/** What is left under each limit that the call meets; Infinity: no limit. */
export interface Room {
  readonly tokens: number;
  readonly costMicros: number;
}

/**
 * A client that says how long its answer may be gets all of that reserved. Else `assumedTokens`, or as many as there is
 * room for: a small rest stays of use, and of several calls at once the first takes it.
 */
export function estimateCharge(
  wish: QuotaWish,
  assumedTokens: number,
  room: Room,
  prices: Prices,
  ratios: TokenRatios = createTokenRatios(),
): Charge {
  const { model, inputBytes, binaryTokens = 0, outputTokensMax } = wish;
  const promptTokens = ratios.promptTokens(model, { textBytes: inputBytes, binaryTokens });
  const toCost = (completionTokens: number) =>
    prices.costMicros(model, { promptTokens, cachedTokens: 0, completionTokens });
  let completionTokens = outputTokensMax ?? assumedTokens;
  if (outputTokensMax === null) {
    completionTokens = Math.min(completionTokens, room.tokens - promptTokens);
    const perToken = toCost(1_000_000) / 1_000_000 - toCost(0) / 1_000_000;
    if (perToken > 0) completionTokens = Math.min(completionTokens, (room.costMicros - toCost(0)) / perToken);
    completionTokens = Math.max(0, Math.floor(completionTokens));
  }
  return { requests: 1, promptTokens, completionTokens, costMicros: toCost(completionTokens), source: "estimated" };
}

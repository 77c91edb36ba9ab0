// What a call that has ended takes from quotas and costs: what the upstream reported, else a guess by its bytes.

import { type Charge, noCharge } from "../base/charge.ts";
import { createTokenRatios, type TokenRatios } from "../base/token-ratios.ts";
import type { CallRecord } from "./record.ts";

/** Whole millionths of the price list's currency. */
export type CostMicros = (model: string | null, tokens: ChargedTokens) => number;

export interface ChargedTokens {
  readonly promptTokens: number;
  /** Of the prompt's. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** What of a record the charge depends on. */
export type ChargeableCall = Pick<
  CallRecord,
  | "sentAt"
  | "upstreamVerdict"
  | "usage"
  | "refusal"
  | "model"
  | "input"
  | "bytesOut"
  | "eventCount"
  | "isStream"
  | "billing"
>;

const noTokens: ChargedTokens = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
/** No call uses more; sums of millions of calls stay exact whatever an upstream says. */
const tokensMax = 1_000_000_000;
const costMicrosMax = 1_000_000_000_000;

export function createToCharge(
  costMicros: CostMicros,
  ratios: TokenRatios = createTokenRatios(),
): (call: ChargeableCall) => Charge {
  /** By what so many bytes have been so far. */
  function guessTokens({ model, input, bytesOut, eventCount, isStream }: ChargeableCall): ChargedTokens {
    const byBytes = ratios.completionTokens(model, clampCount(bytesOut, 0), isStream);
    return {
      promptTokens: clampCount(ratios.promptTokens(model, input), 1),
      cachedTokens: 0,
      completionTokens: clampCount(isStream ? Math.max(eventCount, byBytes) : byBytes, 0),
    };
  }

  function toCharge(tokens: ChargedTokens, { model, billing }: ChargeableCall, source: Charge["source"]): Charge {
    const { promptTokens, completionTokens } = tokens;
    const cost = Math.min(Math.max(Math.round(costMicros(model, tokens)) || 0, 0), costMicrosMax);
    return { requests: billing === "poll" ? 0 : 1, promptTokens, completionTokens, costMicros: cost, source };
  }

  return (call) => {
    if (call.sentAt === null) return noCharge;
    const reported = toReportedTokens(call.usage);
    if (reported) return toCharge(reported, call, "reported");
    if (wasRefusedUpstream(call)) return noCharge;
    if (call.billing !== "call") return call.billing === "poll" ? noCharge : toCharge(noTokens, call, "estimated");
    // It was cut, given up or timed out, or the answer does not say: the upstream has worked for it all the same.
    return toCharge(guessTokens(call), call, "estimated");
  };
}

/** Refused for its limits, its account or a moment's failure, or since the request itself was wrong. */
function wasRefusedUpstream({ upstreamVerdict, refusal }: ChargeableCall): boolean {
  if (upstreamVerdict !== null && upstreamVerdict !== "good") return true;
  return refusal?.reason === "upstream_rejected";
}

/** Null for counts that can't be: then nothing of them is believed. */
function toReportedTokens(usage: CallRecord["usage"]): ChargedTokens | null {
  if (usage === null) return null;
  const { promptTokens, completionTokens, cachedTokens } = usage;
  if (!isCount(promptTokens) || !isCount(completionTokens)) return null;
  return {
    promptTokens,
    completionTokens,
    cachedTokens: isCount(cachedTokens) ? Math.min(cachedTokens, promptTokens) : 0,
  };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= tokensMax;
}

/** Rounded up. */
function clampCount(value: number, min: number): number {
  return Math.min(Math.max(Math.ceil(value) || 0, min), tokensMax);
}

// What a call takes from quotas and costs. It follows from how far the call got upstream and from whether the upstream
// reported usage, by one table; how the call ended for its client changes nothing. A call whose process died is charged
// by the same table (recovery.ts).

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
  | "hasBegun"
  | "mayHaveRun"
  | "hasLostTry"
  | "upstreamStatus"
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

/**
 * unsent: nothing of it left for the upstream · refused: the upstream said no, or did not get it whole ·
 * unanswered: it may have run, and no answer came · begun: an answer came, whole or not
 */
export type UpstreamProgress = "unsent" | "refused" | "unanswered" | "begun";

/** Where a charge comes from, with usage reported and without. */
export const chargeSources = {
  unsent: { reported: "none", missing: "none" },
  refused: { reported: "reported", missing: "none" },
  unanswered: { reported: "reported", missing: "estimated" },
  begun: { reported: "reported", missing: "estimated" },
} as const satisfies Record<UpstreamProgress, Record<"reported" | "missing", Charge["source"]>>;

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
    const reported = toReportedTokens(call.usage);
    const source = chargeSources[toProgress(call)][reported ? "reported" : "missing"];
    if (source === "none") return noCharge;
    if (reported) return toCharge(reported, call, source);
    if (call.billing === "poll") return noCharge;
    return toCharge(call.billing === "call" ? guessTokens(call) : noTokens, call, source);
  };
}

export function toProgress({
  sentAt,
  hasBegun,
  mayHaveRun,
  hasLostTry,
  upstreamStatus,
  upstreamVerdict,
  refusal,
}: Omit<ChargeableCall, "usage">): UpstreamProgress {
  if (hasBegun) return "begun";
  // What became of the last try says nothing of an earlier one that may have run.
  if (hasLostTry) return "unanswered";
  if (sentAt === null) return "unsent";
  const isError = upstreamStatus !== null && upstreamStatus >= 400;
  if (mayHaveRun && !isError) return "unanswered";
  const isRefused = isError || (upstreamVerdict !== null && upstreamVerdict !== "good");
  return isRefused || refusal?.reason === "upstream_rejected" ? "refused" : "unanswered";
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

// What a call asks of admission and of its caller's quotas, from what its client said.

import type { AdmissionWish } from "./admission/scheduler.ts";
import type { Caller } from "./base/principal.ts";
import type { CacheWish } from "./cache/answer-cache.ts";
import type { Call } from "./call.ts";
import type { QuotaWish } from "./quota/quotas.ts";
import type { CallRules } from "./rules.ts";
import type { CallRequest } from "./surfaces/endpoint.ts";

/** `home`: the upstream key that the call is bound to, or null. */
export function toWish(call: Call, caller: Caller, request: CallRequest, home: string | null): AdmissionWish {
  const { model, family, input, outputTokensMax, isStream } = request;
  return {
    callId: call.id,
    model,
    patienceMs: call.patienceMs,
    family,
    upstreamKey: home,
    keyKind: request.isGlmOnly ? "glm" : null,
    // What one of a user's tools asks again and again is cached where it was asked before.
    affinity: `${caller.userId} ${caller.flowId}`,
    inputBytes: input.textBytes,
    binaryTokens: input.binaryTokens,
    outputTokensMax,
    class: call.trafficClass,
    retryCount: call.retryCount,
    place: null,
    onQueued: (look) => call.noteQueued(look, isStream),
  };
}

export function toQuotaWish(request: CallRequest, arrivedAt: number): QuotaWish {
  const { model, family, isText, input, outputTokensMax } = request;
  const tokens = { inputBytes: input.textBytes, binaryTokens: input.binaryTokens };
  return { model, ...tokens, outputTokensMax: isText ? outputTokensMax : 0, arrivedAt, isFree: family === "poll" };
}

/** Null: the call has nothing to do with the cache. By `x-cache` a client asks for it, or against it. */
export function toCacheWish(call: Call, caller: Caller, request: CallRequest, rules: CallRules): CacheWish | null {
  const { model, body, answers, upload, isDeterministic } = request;
  if (answers !== "json" || upload !== null || call.cacheControl === "off") return null;
  const isAsked = call.cacheControl === "on" || call.cacheControl === "refresh";
  const isMeant = isDeterministic && (caller.cachesAnswers || rules.cachesModel(model));
  if (!isAsked && !isMeant) return null;
  const refreshes = call.cacheControl === "refresh";
  return { scope: caller.userId, endpoint: call.endpoint.name, model, body, refreshes };
}

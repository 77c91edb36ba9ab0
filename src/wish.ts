// What a call asks of admission and of its caller's quotas, from what its client said.

import type { AdmissionWish } from "./admission/scheduler.ts";
import type { Call } from "./call.ts";
import type { QuotaWish } from "./quota/quotas.ts";
import type { CallRequest } from "./surfaces/surface.ts";

export function toWish(call: Call, { model, body, outputTokensMax, isStream }: CallRequest): AdmissionWish {
  return {
    callId: call.id,
    model,
    patienceMs: call.patienceMs,
    inputBytes: body.length,
    outputTokensMax,
    class: call.trafficClass,
    retryCount: call.retryCount,
    place: null,
    onQueued: (look) => call.noteQueued(look, isStream),
  };
}

export function toQuotaWish({ model, body, outputTokensMax }: CallRequest): QuotaWish {
  return { model, inputBytes: body.length, outputTokensMax };
}

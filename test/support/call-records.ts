// Records of calls for tests of the ledger, as the gateway would have filled them.

import type { Charge } from "../../src/base/charge.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { type CallRecord, noteCaller, openRecord } from "../../src/ledger/record.ts";
import { until } from "./until.ts";

export const estimate: Charge = {
  requests: 1,
  promptTokens: 100,
  completionTokens: 500,
  costMicros: 600,
  source: "estimated",
};
export const charge: Charge = {
  requests: 1,
  promptTokens: 11,
  completionTokens: 7,
  costMicros: 25,
  source: "reported",
};

/** A call of a known caller that has just arrived. */
export function arrive(clock: Clock, more: Partial<CallRecord> = {}): CallRecord {
  const record = openRecord("request-1", "openai", clock);
  noteCaller(record, { userId: "ada", groupId: null, keyId: null });
  return Object.assign(record, { model: "glm-4.5-flash", isStream: true, bytesIn: 120 }, more);
}

/** The same, with its answer. */
export function serve(record: CallRecord, clock: Clock, more: Partial<CallRecord> = {}): CallRecord {
  return Object.assign(
    record,
    {
      grantedAt: record.arrivedAt + 5,
      sentAt: record.arrivedAt + 6,
      firstByteAt: record.arrivedAt + 40,
      endedAt: clock.now(),
      upstreamKey: "default",
      upstreamStatus: 200,
      upstreamVerdict: "good",
      queuePosition: 1,
      finishReason: "stop",
      bytesOut: 900,
      eventCount: 9,
      charge,
      outcome: "served",
    },
    more,
  );
}

/** Resolves when all is written. Fails after five seconds. */
export function isIdle(ledger: Ledger): Promise<void> {
  return until("the ledger is idle", () => ledger.gauges().waiting === 0);
}

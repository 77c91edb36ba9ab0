import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SchedulerSnapshot, WaitingCall } from "../admission/scheduler.ts";
import { toQueueJson } from "./queue-json.ts";

function snapshot(nextStartInMs: number | null, etasMs: readonly number[]): SchedulerSnapshot {
  const waitingCalls = etasMs.map(
    (etaMs, index) => ({ callId: `c${index}`, position: index + 1, etaMs }) as WaitingCall,
  );
  return {
    waiting: etasMs.length,
    running: 0,
    queueCapacity: 20,
    nextStartInMs,
    waitingCalls,
    runningCalls: [],
  } as never;
}

describe("toQueueJson()", () => {
  it("has the next start agree with what the calls that wait are told", () => {
    for (const byLimits of [null, 0, 120, 9_000]) {
      for (const etas of [[500, 900], [900, 500, 1_300], [0]]) {
        const json = toQueueJson(snapshot(byLimits, etas), {});
        assert.equal(json.next_start_in_ms, Math.min(...json.waiting.map(({ eta_ms }) => eta_ms)));
      }
    }
  });

  it("is what the limits say while nothing waits", () => {
    assert.equal(toQueueJson(snapshot(120, []), {}).next_start_in_ms, 120);
    assert.equal(toQueueJson(snapshot(null, []), {}).next_start_in_ms, null);
  });
});

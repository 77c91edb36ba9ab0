import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import type { Decision } from "../admission/scheduler.ts";
import { logDecision } from "./log.ts";

function logAt(level: string, decision: Decision): Record<string, unknown>[] {
  const lines: string[] = [];
  const formatters = { level: (label: string) => ({ level: label }) };
  const log = pino(
    { level, base: null, timestamp: false, formatters },
    { write: (line: string) => void lines.push(line) },
  );
  logDecision(log, decision);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("logDecision()", () => {
  const granted: Decision = {
    what: "granted",
    isAlert: false,
    why: "its turn",
    callId: "id-1",
    userId: "ada",
    model: "m",
    upstreamKey: "default",
    waitedMs: 12.3456,
  };
  const disabled: Decision = {
    what: "disabled",
    isAlert: true,
    why: "upstream_account (1113)",
    model: null,
    forMs: 60_000,
  };

  it("tells every decision with its reason when the level is debug, and none otherwise", () => {
    assert.deepEqual(logAt("debug", granted), [
      {
        level: "debug",
        request_id: "id-1",
        user: "ada",
        model: "m",
        key: "default",
        waited_ms: 12.3,
        why: "its turn",
        msg: "queue: granted",
      },
    ]);
    assert.deepEqual(logAt("info", granted), []);
  });

  it("tells what somebody must act on at any level, as an error", () => {
    const line = { level: "error", for_ms: 60_000, why: "upstream_account (1113)", msg: "queue: disabled" };
    for (const level of ["debug", "info", "warn"]) assert.deepEqual(logAt(level, disabled), [line]);
  });
});

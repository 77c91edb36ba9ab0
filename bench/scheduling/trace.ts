// Who calls when, and for how much: the public traces in their one form, or a synthetic one of the same shape where the
// traces are not at hand. Chooses nothing of how calls are served.

import { readFileSync } from "node:fs";
import type { TrafficClass } from "../../src/base/principal.ts";
import { drawExponential, drawNormal } from "./statistics.ts";

export interface PlannedCall {
  readonly at: number;
  readonly userId: string;
  readonly flowId: string;
  readonly weight: number;
  readonly class: TrafficClass;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The client goes away so long after the arrival, whatever was reached by then; null: it stays. */
  readonly leavesAfterMs: number | null;
  /** Tries of the same call by its client before this one. */
  readonly retryCount: number;
}

export type TraceName = "vtc-real" | "azure-2023-code" | "azure-2023-conv";

const folder = new URL("../../../shared/traces/", import.meta.url);
/** Calls, seconds, users (0: the trace names none), and median output tokens of each trace. */
const shapes = {
  "vtc-real": { count: 1_500, durationMs: 600_000, userCount: 27, outputTokens: 190 },
  "azure-2023-code": { count: 8_819, durationMs: 3_435_000, userCount: 0, outputTokens: 13 },
  "azure-2023-conv": { count: 19_366, durationMs: 3_500_000, userCount: 0, outputTokens: 129 },
} as const satisfies Record<TraceName, object>;

export const plainCall = {
  at: 0,
  userId: "u01",
  flowId: "main",
  weight: 1,
  class: "default",
  inputTokens: 300,
  outputTokens: 200,
  leavesAfterMs: null,
  retryCount: 0,
} as const satisfies PlannedCall;

/** In order of time. `random` is only used for a trace that is not there. */
export function loadTrace(name: TraceName, random: () => number): { calls: PlannedCall[]; isSynthetic: boolean } {
  let text: string;
  try {
    text = readFileSync(new URL(`${name}.csv`, folder), "utf8");
  } catch {
    return { calls: synthesizeTrace(name, random), isSynthetic: true };
  }
  const lines = text.split("\n").slice(1);
  const calls = lines
    .filter((line) => line !== "")
    .map((line) => {
      const [seconds, userId, inputTokens, outputTokens] = line.split(",");
      const lengths = { inputTokens: Number(inputTokens), outputTokens: Number(outputTokens) };
      return { ...plainCall, at: Number(seconds) * 1_000, userId: userId || "nobody", ...lengths };
    });
  return { calls, isSynthetic: false };
}

function synthesizeTrace(name: TraceName, random: () => number): PlannedCall[] {
  const shape = shapes[name];
  const calls = Array.from({ length: shape.count }, () => {
    const outputTokens = Math.ceil(shape.outputTokens * Math.exp(0.9 * drawNormal(random)));
    return { ...plainCall, at: random() * shape.durationMs, userId: "nobody", outputTokens };
  });
  const sorted = calls.toSorted((one, other) => one.at - other.at);
  return shape.userCount === 0 ? sorted : assignUsers(sorted, shape.userCount, random);
}

/** Users by Zipf's law with exponent 1.1: few ask much, many ask little. */
export function assignUsers(calls: readonly PlannedCall[], userCount: number, random: () => number): PlannedCall[] {
  const weights = Array.from({ length: userCount }, (_, index) => (index + 1) ** -1.1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  function drawUser(): string {
    let rest = random() * total;
    let ordinal = 0;
    while (rest >= 0 && ordinal < userCount) rest -= weights[ordinal++] as number;
    return nameUser(ordinal);
  }
  return calls.map((call) => ({ ...call, userId: drawUser() }));
}

export function nameUser(ordinal: number): string {
  return `u${String(ordinal).padStart(2, "0")}`;
}

/** The calls of the trace's time between `fromMs` and `toMs`, so that they begin at 0, stretched by `factor`. */
export function cutTrace(calls: readonly PlannedCall[], fromMs: number, toMs: number, factor = 1): PlannedCall[] {
  const kept = calls.filter(({ at }) => at >= fromMs && at < toMs);
  return kept.map((call) => ({ ...call, at: (call.at - fromMs) * factor }));
}

/** Each arrival moves by up to `ms` either way, so that seeds differ in who is a moment earlier. */
export function shiftArrivals(calls: readonly PlannedCall[], ms: number, random: () => number): PlannedCall[] {
  const shifted = calls.map((call) => ({ ...call, at: Math.max(0, call.at + (2 * random() - 1) * ms) }));
  return shifted.sort((one, other) => one.at - other.at);
}

/** Arrivals at random with `ratePerSecond`, from 0 to `durationMs`, each made by `create`. */
export function drawPoisson(
  ratePerSecond: number,
  durationMs: number,
  random: () => number,
  create: (ordinal: number) => Partial<PlannedCall>,
): PlannedCall[] {
  const calls: PlannedCall[] = [];
  const meanMs = 1_000 / ratePerSecond;
  for (let at = drawExponential(random, meanMs); at < durationMs; at += drawExponential(random, meanMs)) {
    calls.push({ ...plainCall, ...create(calls.length), at });
  }
  return calls;
}

export function mergeCalls(...traces: readonly (readonly PlannedCall[])[]): PlannedCall[] {
  return traces.flat().sort((one, other) => one.at - other.at);
}

// How much of everything is measured: the whole plan takes a little over a minute for each peer, the quick one 20 s.

import type { Wish } from "./answers.ts";

export interface Plan {
  readonly rounds: number;
  /** Once for each peer: programs that are compiled as they run get faster for tens of thousands of calls. */
  readonly warmSeconds: number;
  /** In each round again: what was not used for minutes, its runtime may have to compile anew. */
  readonly rewarmSeconds: number;
  readonly saturateSeconds: number;
  readonly paceSeconds: number;
  readonly frameSeconds: number;
  readonly settleMs: number;
  /** Streams open at once; the frames of all of them together come `framesPerSecond`. */
  readonly openCounts: readonly number[];
}

export const wholePlan: Plan = {
  rounds: 3,
  warmSeconds: 12,
  rewarmSeconds: 5,
  saturateSeconds: 2,
  paceSeconds: 2.5,
  frameSeconds: 2,
  settleMs: 150,
  openCounts: [10, 100, 1_000],
};

export const quickPlan: Plan = {
  rounds: 1,
  warmSeconds: 4,
  rewarmSeconds: 1,
  saturateSeconds: 1.5,
  paceSeconds: 1.5,
  frameSeconds: 1.2,
  settleMs: 150,
  openCounts: [10, 100, 1_000],
};

export const connections = 32;
export const burstFrames = 200;
/** Of all open streams together, so that their number is all that changes: 100 streams have 50 each. */
export const framesPerSecond = 5_000;
export const unaryRates = [200, 1_000] as const;
export const streamRate = 200;
export const memoryStreams = 1_000;

export const small: Wish = { kind: "unary", bytes: 1_024 };
/** A long conversation: a request of a megabyte. */
export const longPrompt: Wish = { kind: "unary", bytes: 1_024, promptBytes: 1_048_576 };
export const longPromptRate = 20;
export const large: Wish = { kind: "unary", bytes: 102_400 };
export const burst: Wish = { kind: "burst", frames: burstFrames };
/** A fifth of a second, 50 frames a second. */
export const shortStream: Wish = { kind: "paced", framesPerSecond: 50, frames: 10 };

/** One that does not end while it is measured. */
export function toOpenStream(perSecond: number): Wish {
  return { kind: "paced", framesPerSecond: perSecond, frames: Math.ceil(Math.max(perSecond, 1) * 120) };
}

// GLM in virtual time: each call is judged by the simulator's own judge on its arrival, then answered, or hit by
// whichever fault is on. Messages take their time both ways.

import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
import { createJudge, type Judge, type Visit } from "../../src/simulator/judge.ts";
import type { Random } from "../../src/simulator/random.ts";
import { chance, drawPause, type Fault, type FaultKind, type Plan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";

/** What comes back of a call, in order. After `ended`, `refused` or `broke` nothing follows. */
export interface AnswerListener {
  refused(verdict: Verdict): void;
  frame(bytes: number): void;
  ended(): void;
  /** The connection broke. */
  broke(): void;
}

/** A call on its way, or in GLM. */
export interface Exchange {
  /** Our side closes the connection. Nothing comes back from now on. */
  abort(): void;
}

const codes: Partial<Record<FaultKind, { readonly kind: VerdictKind; readonly code: string }>> = {
  foreign_use: { kind: "over_limit", code: "1302" },
  too_fast: { kind: "too_fast", code: "1303" },
  overloaded: { kind: "overloaded", code: "1305" },
  quota: { kind: "quota", code: "1308" },
  account: { kind: "account", code: "1113" },
  failed: { kind: "failed", code: "500" },
};
const frameCount = 4;

function isOfCalls(kind: FaultKind): boolean {
  return kind !== "stall" && kind !== "fewer_slots";
}

export class Upstream {
  readonly judge: Judge;
  readonly #plan: Plan;
  readonly #timeline: Timeline;
  readonly #random: Random;

  constructor(plan: Plan, timeline: Timeline, random: Random) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#random = random;
    this.judge = createJudge(plan.truth, timeline, (keyId) => keyId);
    for (const fault of plan.faults) {
      if (fault.kind !== "fewer_slots" || plan.truth.concurrencyMax === null) continue;
      timeline.at(fault.from, () => this.judge.setLimits({ concurrencyMax: 1 }));
      timeline.at(fault.until, () => this.judge.setLimits({ concurrencyMax: plan.truth.concurrencyMax }));
    }
  }

  send(key: string, model: string, slotMeanMs: number, listener: AnswerListener): Exchange {
    const { network } = this.#plan;
    let visit: Visit | null = null;
    let isAborted = false;
    let lastBackAt = 0;
    const back = (tell: () => void) => {
      lastBackAt = Math.max(lastBackAt, this.#timeline.now() + this.#delay());
      this.#timeline.at(lastBackAt, () => {
        if (!isAborted) tell();
      });
    };
    this.#timeline.after(this.#delay(), () => {
      visit = this.judge.arrive(key);
      this.#serve(visit, visit.enter(model), slotMeanMs, listener, back);
    });
    return {
      abort: () => {
        isAborted = true;
        this.#timeline.after(network.abortNoticeMs, () => visit?.leave());
        // The abort may overtake a call that is still on its way.
        this.#timeline.after(network.delayMs + network.jitterMs, () => visit?.leave());
      },
    };
  }

  #serve(
    visit: Visit,
    refused: "1302" | "1303" | null,
    slotMeanMs: number,
    listener: AnswerListener,
    back: (tell: () => void) => void,
  ): void {
    if (refused !== null) {
      const kind = refused === "1302" ? "over_limit" : "too_fast";
      back(() => listener.refused({ kind, code: refused, waitMs: null }));
      return;
    }
    const fault = this.#hit();
    const refusal = fault && codes[fault.kind];
    if (refusal) {
      visit.leave();
      const waitMs = fault.kind === "quota" ? fault.until - this.#timeline.now() : null;
      back(() => listener.refused({ ...refusal, waitMs }));
      return;
    }
    const slotMs = 50 + drawPause(this.#random, slotMeanMs) + (fault?.kind === "slow" ? 30_000 : 0);
    const breaksAfter = fault?.kind === "reset" ? this.#random.below(frameCount) : Number.POSITIVE_INFINITY;
    for (let frame = 1; frame <= frameCount; frame++) {
      this.#timeline.after((slotMs * frame) / frameCount, () => {
        if (frame > breaksAfter + 1) return;
        const isLast = frame === frameCount;
        if (isLast || frame === breaksAfter + 1) visit.leave();
        if (frame === breaksAfter + 1) back(() => listener.broke());
        else if (isLast) back(() => listener.ended());
        else back(() => listener.frame(500));
      });
    }
  }

  #hit(): Fault | null {
    const now = this.#timeline.now();
    const isOn = ({ kind, from, until }: Fault) => from <= now && now < until && isOfCalls(kind);
    return this.#plan.faults.find((fault) => isOn(fault) && chance(this.#random, fault.share)) ?? null;
  }

  #delay(): number {
    const { delayMs, jitterMs } = this.#plan.network;
    return delayMs + this.#random.next() * jitterMs;
  }
}

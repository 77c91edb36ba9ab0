// GLM in virtual time: each call is judged by the simulator's own judge on its arrival, then answered, or hit by
// whichever fault is on. Messages take their time both ways.

import type { Usage } from "../../src/base/answer.ts";
import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
import { createJudge, type Judge, type Visit } from "../../src/simulator/judge.ts";
import type { Random } from "../../src/simulator/random.ts";
import { accountOf, chance, drawPause, type Fault, type FaultKind, type Plan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";

/** What comes back of a call, in order. After `ended`, `refused` or `broke` nothing follows. */
export interface AnswerListener {
  refused(verdict: Verdict): void;
  frame(bytes: number): void;
  /** `heard` is to be called when that is known in time: what is lost with its client counts for nobody. */
  ended(usage: Usage, heard: () => void): void;
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
  account: { kind: "account", code: "1001" },
  barred: { kind: "model_barred", code: "1311" },
  restricted: { kind: "restricted", code: "1313" },
  failed: { kind: "failed", code: "500" },
};
/** What GLM says of an account, it says to all keys of it. */
const accountFaults: readonly FaultKind[] = ["quota", "restricted"];
const unreachable: Verdict = { kind: "unreachable", code: null, waitMs: null };
const reset: Verdict = { ...unreachable, mayHaveRun: true };
const frameCount = 4;
const promptTokens = 50;
const minuteMs = 60_000;

function isOfCalls(kind: FaultKind): boolean {
  return kind !== "stall" && kind !== "fewer_slots";
}

/** Whether the fault is one of the key's calls. */
export function hits(plan: Plan, { key: hit, kind }: Fault, key: string): boolean {
  if (hit === null || hit === key) return true;
  return accountFaults.includes(kind) && accountOf(plan, hit) === accountOf(plan, key);
}

/** What a call asks for. */
export interface Request {
  readonly model: string;
  readonly outputTokensMax: number;
  readonly slotMeanMs: number;
}

export class Upstream {
  readonly judge: Judge;
  /** Of calls that were served in full, by account. */
  readonly #tokens = new Map<string, { readonly arrivedAt: number; readonly tokens: number }[]>();
  readonly #plan: Plan;
  readonly #timeline: Timeline;
  readonly #random: Random;

  constructor(plan: Plan, timeline: Timeline, random: Random) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#random = random;
    this.judge = createJudge(plan.truth, timeline, (keyId) => accountOf(plan, keyId));
    for (const fault of plan.faults) {
      if (fault.kind !== "fewer_slots" || plan.truth.concurrencyMax === null) continue;
      timeline.at(fault.from, () => this.judge.setLimits({ concurrencyMax: 1 }));
      timeline.at(fault.until, () => this.judge.setLimits({ concurrencyMax: plan.truth.concurrencyMax }));
    }
  }

  send(key: string, request: Request, listener: AnswerListener): Exchange {
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
      const fault = this.#hit(key);
      if (fault?.kind === "unreachable") {
        back(() => listener.refused(unreachable));
        return;
      }
      visit = this.judge.arrive(key);
      const arrivedAt = this.#timeline.now();
      this.#serve(visit, visit.enter(request.model), fault, request, listener, back, (tokens) => {
        const account = accountOf(this.#plan, key);
        const ofAccount = this.#tokens.get(account) ?? [];
        this.#tokens.set(account, ofAccount);
        ofAccount.push({ arrivedAt, tokens });
      });
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
    fault: Fault | null,
    { slotMeanMs, outputTokensMax }: Request,
    listener: AnswerListener,
    back: (tell: () => void) => void,
    count: (tokens: number) => void,
  ): void {
    if (refused !== null) {
      const kind = refused === "1302" ? "over_limit" : "too_fast";
      back(() => listener.refused({ kind, code: refused, waitMs: null }));
      return;
    }
    const refusal = fault && codes[fault.kind];
    if (refusal) {
      visit.leave();
      const waitMs = fault.kind === "quota" ? fault.until - this.#timeline.now() : null;
      back(() => listener.refused({ ...refusal, waitMs }));
      return;
    }
    const slotMs = 50 + drawPause(this.#random, slotMeanMs) + (fault?.kind === "slow" ? 30_000 : 0);
    const completionTokens = 1 + this.#random.below(outputTokensMax);
    const breaksAfter = fault?.kind === "reset" ? this.#random.below(frameCount) : Number.POSITIVE_INFINITY;
    for (let frame = 1; frame <= frameCount; frame++) {
      this.#timeline.after((slotMs * frame) / frameCount, () => {
        if (frame > breaksAfter + 1) return;
        const isLast = frame === frameCount;
        if (isLast || frame === breaksAfter + 1) visit.leave();
        if (frame === breaksAfter + 1) back(() => (breaksAfter === 0 ? listener.refused(reset) : listener.broke()));
        else if (isLast) {
          const usage = { promptTokens, completionTokens, cachedTokens: 0, reasoningTokens: 0 };
          back(() => listener.ended(usage, () => count(promptTokens + completionTokens)));
        } else back(() => listener.frame(500));
      });
    }
  }

  /** The most tokens of calls that came to one account within a minute. */
  get tokensMax(): number {
    let max = 0;
    for (const calls of this.#tokens.values()) {
      const inOrder = calls.toSorted((a, b) => a.arrivedAt - b.arrivedAt);
      let [sum, oldest] = [0, 0];
      for (const { arrivedAt, tokens } of inOrder) {
        sum += tokens;
        for (let old = inOrder[oldest]; old && old.arrivedAt <= arrivedAt - minuteMs; old = inOrder[++oldest]) {
          sum -= old.tokens;
        }
        max = Math.max(max, sum);
      }
    }
    return max;
  }

  #hit(key: string): Fault | null {
    const now = this.#timeline.now();
    const isOn = (fault: Fault) =>
      fault.from <= now && now < fault.until && isOfCalls(fault.kind) && hits(this.#plan, fault, key);
    return this.#plan.faults.find((fault) => isOn(fault) && chance(this.#random, fault.share)) ?? null;
  }

  #delay(): number {
    const { delayMs, jitterMs } = this.#plan.network;
    return delayMs + this.#random.next() * jitterMs;
  }
}

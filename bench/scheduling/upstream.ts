// GLM in virtual time: judges arrivals with the simulator's own judge, then takes as long as the answer's length says.
//
//   send ── jitter ──▶ arrival, judged ──▶ first token ── tokens ──▶ end ── jitter ──▶ told
//                              └── refused: 1302, 1303, or what the script says ──▶ told

import type { Usage } from "../../src/base/answer.ts";
import type { Verdict } from "../../src/base/verdict.ts";
import { createJudge, type Limits, type Visit } from "../../src/simulator/judge.ts";
import { drawNormal } from "./statistics.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export interface UpstreamOptions {
  readonly limits: Limits;
  /** Each way over the network takes between nothing and this. */
  readonly jitterMs: number;
  /** Median time to the first token, lognormal with `firstTokenSigma`. */
  readonly firstTokenMs: number;
  readonly firstTokenSigma: number;
  readonly tokenMs: number;
}

export interface UpstreamListener {
  /** How often bytes are told of; null: never. */
  readonly progressEveryMs: number | null;
  onProgress(bytes: number): void;
  onRefused(verdict: Verdict): void;
  onEnd(usage: Usage): void;
}

export interface Lengths {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface Upstream {
  send(lengths: Lengths, listener: UpstreamListener): UpstreamCall;
  /** Somebody else's call with the same key. Never counted as ours. */
  visit(lengths: Lengths): void;
  setLimits(changed: Partial<Limits>): void;
  /** Asked at each arrival: what to answer instead of serving; null: serve. */
  fault: () => Verdict | null;
  readonly report: UpstreamReport;
}

export interface UpstreamCall {
  /** The connection is closed. */
  abort(): void;
}

/** A call that is served. */
export interface Stay {
  readonly from: number;
  to: number;
  /** As given to `send`: the same object. */
  readonly lengths: Lengths;
}

export interface UpstreamReport {
  sendCount: number;
  /** When it judged that we exceeded its limits. */
  readonly violationTimes: number[];
  /** Answers to us that were no. */
  readonly refusals: { at: number; code: string }[];
  /** Our calls that it served: from the arrival to the end. */
  readonly stays: Stay[];
  /** Others' calls that it served. */
  readonly strangerStays: Stay[];
}

export const plainUpstream = { jitterMs: 15, firstTokenMs: 400, firstTokenSigma: 0.5, tokenMs: 20 } as const;
export const noLimits: Limits = {
  concurrencyMax: null,
  requestsPerSecond: null,
  windowMs: 1_000,
  releaseLagMs: 0,
  rateCode: "1302",
};

const upstreamKey = "key";
const model = "glm-4.5-flash";
/** Bytes of a stream's frame with one token. */
const bytesPerToken = 120;
/** How long the upstream takes to say no, and to notice a closed connection. */
const refusalMs = 30;
const noticeMs = 100;

export function createUpstream(clock: VirtualClock, options: UpstreamOptions): Upstream {
  const judge = createJudge(options.limits, clock, () => upstreamKey);
  const report: UpstreamReport = { sendCount: 0, violationTimes: [], refusals: [], stays: [], strangerStays: [] };
  const drawDelay = () => clock.random() * options.jitterMs;

  function drawServiceMs(outputTokens: number): { firstMs: number; allMs: number } {
    const firstMs = options.firstTokenMs * Math.exp(options.firstTokenSigma * drawNormal(clock.random));
    return { firstMs, allMs: firstMs + outputTokens * options.tokenMs };
  }

  function send(lengths: Lengths, listener: UpstreamListener): UpstreamCall {
    report.sendCount++;
    let visit: Visit | null = null;
    let stay: Stay | null = null;
    let isAborted = false;
    let cancelEnd = () => {};
    let cancelProgress = () => {};
    // Drawn now, so that what one call takes does not depend on how others were treated.
    const delays = { there: drawDelay(), back: drawDelay() };
    const service = drawServiceMs(lengths.outputTokens);

    clock.after(delays.there, () => {
      if (isAborted) return;
      visit = judge.arrive(upstreamKey);
      const code = visit.enter(model);
      if (code !== null) report.violationTimes.push(clock.now());
      const verdict = code === null ? upstream.fault() : toVerdict(code);
      if (verdict) refuse(verdict);
      else serve();
    });

    function refuse(verdict: Verdict): void {
      visit?.leave();
      report.refusals.push({ at: clock.now(), code: verdict.code ?? verdict.kind });
      cancelEnd = clock.after(refusalMs + delays.back, () => listener.onRefused(verdict));
    }

    function serve(): void {
      stay = { from: clock.now(), to: Number.POSITIVE_INFINITY, lengths };
      report.stays.push(stay);
      cancelEnd = clock.after(service.allMs, () => {
        leave();
        cancelEnd = clock.after(delays.back, () => listener.onEnd(toUsage(lengths)));
      });
      if (listener.progressEveryMs !== null) cancelProgress = clock.after(service.firstMs, progress);
    }

    function progress(): void {
      const everyMs = listener.progressEveryMs as number;
      listener.onProgress((everyMs / options.tokenMs) * bytesPerToken);
      cancelProgress = clock.after(everyMs, progress);
    }

    function leave(): void {
      cancelProgress();
      visit?.leave();
      if (stay && stay.to === Number.POSITIVE_INFINITY) stay.to = clock.now();
    }

    return {
      abort() {
        isAborted = true;
        cancelEnd();
        cancelProgress();
        clock.after(noticeMs, leave);
      },
    };
  }

  function visit(lengths: Lengths): void {
    const stranger = judge.arrive(upstreamKey);
    if (stranger.enter(model) !== null) return;
    const stay = { from: clock.now(), to: clock.now() + drawServiceMs(lengths.outputTokens).allMs, lengths };
    report.strangerStays.push(stay);
    clock.at(stay.to, () => stranger.leave());
  }

  const upstream: Upstream = { send, visit, setLimits: judge.setLimits, fault: () => null, report };
  return upstream;
}

/** What GLM's code for too much means to a gateway. */
function toVerdict(code: "1302" | "1303"): Verdict {
  return { kind: code === "1303" ? "too_fast" : "over_limit", code, waitMs: null };
}

function toUsage({ inputTokens, outputTokens }: Lengths): Usage {
  return { promptTokens: inputTokens, completionTokens: outputTokens, cachedTokens: 0, reasoningTokens: 0 };
}

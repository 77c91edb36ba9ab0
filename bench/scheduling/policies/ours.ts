// Our scheduler's core as a policy: what the gateway's shell does with promises and timers, done with virtual events.

import type { Grant, Price, SchedulerCore, Waiter } from "../../../src/admission/core.ts";
import { createFairCore } from "../../../src/admission/fair-core.ts";
import type { AdmissionLimits } from "../../../src/admission/scheduler.ts";
import type { CallHistory, Policy, PolicyChoice, PolicyLimits, PolicySetup } from "../policy.ts";

interface Choice {
  readonly name: string;
  readonly refusesEarly?: boolean;
  readonly deadlineWindow?: number;
  /** In what users are charged; lane-seconds when nothing is said. */
  readonly price?: Price;
  readonly limits?: Partial<PolicyLimits>;
}

/** More rounds of one turn than that: the core asks to be called again without end. */
const roundsMax = 10_000;
/** The bytes of a request for each of its tokens. */
const inputBytesPerToken = 4;

export function chooseOurs({ name, refusesEarly = false, deadlineWindow, price, limits: own }: Choice): PolicyChoice {
  return {
    name,
    adapt: (limits) => ({ ...limits, ...own }),
    create({ limits, clock, host }: PolicySetup): Policy {
      const core = createFairCore({
        limits: toAdmissionLimits(limits, refusesEarly),
        random: clock.random,
        ...(deadlineWindow !== undefined && { deadlineWindow }),
        ...(price && { price }),
      });
      return createOurs(core, { clock, host });
    },
  };
}

export function toAdmissionLimits(limits: PolicyLimits, refusesEarly: boolean): AdmissionLimits {
  const { startsPerSecond, concurrencyMax, queueCapacity, queueTimeoutMs, sendGuardMs } = limits;
  return {
    keys: [{ name: "key", models: null, startsPerSecond, concurrencyMax, tokensPerMinute: null }],
    models: [],
    user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
    userQueueCapacity: null,
    queueCapacity,
    queueTimeoutMs,
    refusesEarly,
    sendGuardMs,
    abortLingerMs: 300,
  };
}

function createOurs(core: SchedulerCore, { clock, host }: Pick<PolicySetup, "clock" | "host">): Policy {
  const byWaiter = new Map<Waiter, CallHistory>();
  const waiters = new Map<CallHistory, Waiter>();
  const grants = new Map<CallHistory, Grant>();
  let cancelAlarm = () => {};

  function offer(call: CallHistory, grant: Grant | null): number {
    const { userId, weight, class: trafficClass, flowId, inputTokens, retryCount } = call.plan;
    const offered = core.offer(
      {
        callId: call.callId,
        userId,
        weight,
        class: trafficClass,
        flowId,
        model: "glm-4.5-flash",
        patienceMs: null,
        inputBytes: inputTokens * inputBytesPerToken,
        outputTokensMax: null,
        retryCount,
        place: grant ? grant.place : null,
      },
      clock.now(),
    );
    if (offered.kind === "granted") begin(call, offered.grant);
    else if (offered.kind === "refused") host.refuse(call, offered.no.reason, offered.no.facts.retryAfterMs ?? null);
    else {
      byWaiter.set(offered.waiter, call);
      waiters.set(call, offered.waiter);
    }
    turn();
    return offered.kind === "waiting" ? offered.waiter.etaMsAtArrival : 0;
  }

  function begin(call: CallHistory, grant: Grant): void {
    grants.set(call, grant);
    core.sent(grant, clock.now());
    host.start(call);
  }

  function forget(waiter: Waiter): CallHistory {
    const call = byWaiter.get(waiter);
    if (!call) throw new Error(`${waiter.call.callId} was answered although it does not wait`);
    byWaiter.delete(waiter);
    waiters.delete(call);
    return call;
  }

  function turn(): void {
    cancelAlarm();
    for (let round = 0; ; round++) {
      if (round > roundsMax) throw new Error("the core does not come to rest");
      const { granted, refused, wakeAt } = core.tick(clock.now());
      for (const { waiter, grant } of granted) begin(forget(waiter), grant);
      for (const { waiter, no } of refused) host.refuse(forget(waiter), no.reason, no.facts.retryAfterMs ?? null);
      if (granted.length + refused.length > 0) continue;
      if (wakeAt < Number.POSITIVE_INFINITY) cancelAlarm = clock.at(wakeAt, turn);
      return;
    }
  }

  function finish(call: CallHistory, how: "ended" | "aborted", settle: (grant: Grant) => void): Grant {
    const grant = grants.get(call) as Grant;
    grants.delete(call);
    core.release(grant, how, clock.now());
    settle(grant);
    return grant;
  }

  return {
    arrive: (call) => offer(call, null),
    cancel(call) {
      const waiter = waiters.get(call) as Waiter;
      if (!core.cancel(waiter, clock.now())) throw new Error(`${call.callId} could not leave the queue`);
      forget(waiter);
      turn();
    },
    progress(call, bytes) {
      core.progress(grants.get(call) as Grant, bytes, clock.now());
      turn();
    },
    refusedUpstream(call, verdict) {
      const isWorthAnotherTry = core.report(grants.get(call) as Grant, verdict, clock.now());
      const grant = finish(call, "ended", (ended) => core.settle(ended, null, clock.now()));
      if (isWorthAnotherTry && call.outcome === "open") offer(call, grant);
      else turn();
      return isWorthAnotherTry;
    },
    ended(call, how, usage) {
      if (how === "ended")
        core.report(grants.get(call) as Grant, { kind: "good", code: null, waitMs: null }, clock.now());
      finish(call, how, (grant) => core.settle(grant, usage, clock.now()));
      turn();
    },
    audit() {
      const { waiting, running } = core.gauges(clock.now());
      const complaints = [];
      if (waiting !== byWaiter.size) complaints.push(`says that ${waiting} wait, ${byWaiter.size} do`);
      if (running !== grants.size) complaints.push(`says that ${running} run, ${grants.size} do`);
      if (byWaiter.size > 0) complaints.push(`${byWaiter.size} were never answered`);
      return complaints;
    },
  };
}

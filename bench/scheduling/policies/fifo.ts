// First come, first served, as the product began: an exact sliding window, calls at once, a queue with a bound and a
// timeout. With `estimates`, whoever could not start in time is refused at the arrival.

import { createWindowLog, toWindowLimits } from "../../../src/admission/window-log.ts";
import type { CallHistory, Policy, PolicyChoice, PolicyLimits, PolicySetup } from "../policy.ts";

interface Choice {
  readonly name: string;
  readonly estimates?: boolean;
  readonly limits?: Partial<PolicyLimits>;
}

/** How much one call's time moves the running mean that estimates are made of. */
const meanShare = 0.2;

export function chooseFifo({ name, estimates = false, limits: own }: Choice): PolicyChoice {
  return {
    name,
    adapt: (limits) => ({ ...limits, ...own }),
    create: (setup) => createFifo(setup, estimates),
  };
}

function createFifo({ limits, clock, host }: PolicySetup, estimates: boolean): Policy {
  const concurrencyMax = limits.concurrencyMax ?? Number.POSITIVE_INFINITY;
  const window = createWindowLog(toWindowLimits(limits.startsPerSecond ?? 1e6, limits.sendGuardMs));
  /** In order of arrival, each with what cancels its timeout. */
  const queue = new Map<CallHistory, () => void>();
  let inFlight = 0;
  let meanHoldMs = 0;
  let cancelAlarm = () => {};

  function estimateWaitMs(): number {
    const forRateMs = window.freeAfter(queue.size, clock.now()) - clock.now();
    const busy = inFlight + queue.size + 1 - concurrencyMax;
    return Math.max(forRateMs, busy > 0 ? (busy / concurrencyMax) * meanHoldMs : 0);
  }

  function arrive(call: CallHistory): number {
    const etaMs = queue.size === 0 && findStartAt() <= clock.now() ? 0 : estimateWaitMs();
    const retryAfterMs = Math.max(1_000, Math.ceil((etaMs - limits.queueTimeoutMs / 2) / 1_000) * 1_000);
    const isHopeless = estimates && etaMs > limits.queueTimeoutMs;
    if (etaMs > 0 && (isHopeless || queue.size >= limits.queueCapacity)) {
      host.refuse(call, "queue_full", estimates ? retryAfterMs : null);
      return etaMs;
    }
    const cancelTimeout = clock.after(limits.queueTimeoutMs, () => {
      queue.delete(call);
      host.refuse(call, "queue_timeout", null);
      startWaiters();
    });
    queue.set(call, cancelTimeout);
    startWaiters();
    return etaMs;
  }

  function findStartAt(): number {
    return inFlight >= concurrencyMax ? Number.POSITIVE_INFINITY : window.freeAt(clock.now());
  }

  function startWaiters(): void {
    cancelAlarm();
    for (const [call, cancelTimeout] of queue) {
      const startAt = findStartAt();
      if (startAt > clock.now()) {
        if (startAt < Number.POSITIVE_INFINITY) cancelAlarm = clock.at(startAt, startWaiters);
        return;
      }
      queue.delete(call);
      cancelTimeout();
      inFlight++;
      window.reserve();
      window.stamp(clock.now());
      host.start(call);
    }
  }

  function finish(call: CallHistory): void {
    inFlight--;
    const holdMs = clock.now() - call.startedAt;
    meanHoldMs += (holdMs - meanHoldMs) * (meanHoldMs === 0 ? 1 : meanShare);
    startWaiters();
  }

  return {
    arrive,
    cancel(call) {
      queue.get(call)?.();
      queue.delete(call);
    },
    refusedUpstream(call) {
      finish(call);
      return false;
    },
    ended: finish,
    audit: () => (inFlight === 0 && queue.size === 0 ? [] : [`${inFlight} still run, ${queue.size} still wait`]),
  };
}

// Bottleneck as a gateway's author would use it: an even pace, calls at once, and a bound on what waits. It can't take
// a waiting job out, so a call that has timed out still uses its turn up.

import Bottleneck from "bottleneck";
import type { CallHistory, Policy, PolicyChoice, PolicySetup } from "../policy.ts";

export interface BottleneckOptions {
  /** Jobs that may wait in it, those that have timed out included. Default: the queue's capacity. */
  readonly highWater?: number;
  /** With our guard added to each second, as somebody would who knows of delays on the way. */
  readonly isGuarded?: boolean;
}

export function chooseBottleneck(name: string, options: BottleneckOptions = {}): PolicyChoice {
  return { name, usesGlobalTimers: true, create: (setup) => createBottleneck(setup, options) };
}

function createBottleneck({ limits, clock, host }: PolicySetup, options: BottleneckOptions): Policy {
  const { startsPerSecond, concurrencyMax, queueCapacity, queueTimeoutMs, sendGuardMs } = limits;
  const { highWater = queueCapacity, isGuarded = false } = options;
  const secondMs = 1_000 + (isGuarded ? sendGuardMs : 0);
  const limiter = new Bottleneck({
    minTime: startsPerSecond === null ? 0 : secondMs / startsPerSecond,
    maxConcurrent: concurrencyMax,
  });
  /** Each waiting call with what cancels its timeout. */
  const waiting = new Map<CallHistory, () => void>();
  const finishers = new Map<CallHistory, () => void>();
  // Its own highWater does not see jobs that wait only for the pace, so they are counted here.
  let jobCount = 0;

  function finish(call: CallHistory): void {
    finishers.get(call)?.();
    finishers.delete(call);
  }

  function leave(call: CallHistory): void {
    waiting.get(call)?.();
    waiting.delete(call);
  }

  return {
    arrive(call) {
      if (jobCount >= highWater) {
        host.refuse(call, "queue_full", null);
        return null;
      }
      jobCount++;
      const cancelTimeout = clock.after(queueTimeoutMs, () => {
        leave(call);
        host.refuse(call, "queue_timeout", null);
      });
      waiting.set(call, cancelTimeout);
      void limiter.schedule(() => {
        jobCount--;
        if (!waiting.has(call)) return Promise.resolve();
        leave(call);
        const { promise, resolve } = Promise.withResolvers<void>();
        finishers.set(call, resolve);
        host.start(call);
        return promise;
      });
      return null;
    },
    cancel: leave,
    refusedUpstream(call) {
      finish(call);
      return false;
    },
    ended: finish,
  };
}

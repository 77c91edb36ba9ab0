// p-queue as a gateway's author would use it: its rate and concurrency limits, our bound on its length, and an abort
// signal for the timeout, which takes a waiting task out of it.

import PQueue from "p-queue";
import type { CallHistory, Policy, PolicyChoice, PolicySetup } from "../policy.ts";

interface Entry {
  readonly leave: AbortController;
  readonly cancelTimeout: () => void;
  /** Gives the place among the running ones back. */
  finish: () => void;
}

export interface PQueueOptions {
  /** Counts in a sliding window; without it, which is the default, two windows' starts can meet. */
  readonly strict?: boolean;
  /** With our guard added to the window, as somebody would who knows of delays on the way. */
  readonly isGuarded?: boolean;
}

export function choosePQueue(name: string, options: PQueueOptions = {}): PolicyChoice {
  return { name, usesGlobalTimers: true, create: (setup) => createPQueue(setup, options) };
}

function createPQueue({ limits, clock, host }: PolicySetup, options: PQueueOptions): Policy {
  const { startsPerSecond, concurrencyMax, queueCapacity, queueTimeoutMs, sendGuardMs } = limits;
  const { strict = false, isGuarded = false } = options;
  const interval = 1_000 + (isGuarded ? sendGuardMs : 0);
  const queue = new PQueue({
    concurrency: concurrencyMax ?? Number.POSITIVE_INFINITY,
    ...(startsPerSecond !== null && { intervalCap: startsPerSecond, interval, strict }),
  });
  const entries = new Map<CallHistory, Entry>();

  function remove(call: CallHistory): void {
    const entry = entries.get(call);
    entries.delete(call);
    entry?.cancelTimeout();
    entry?.finish();
    entry?.leave.abort();
  }

  return {
    arrive(call) {
      if (queue.size >= queueCapacity) {
        host.refuse(call, "queue_full", null);
        return null;
      }
      const leave = new AbortController();
      const cancelTimeout = clock.after(queueTimeoutMs, () => {
        remove(call);
        host.refuse(call, "queue_timeout", null);
      });
      const entry: Entry = { leave, cancelTimeout, finish() {} };
      entries.set(call, entry);
      const run = () => {
        cancelTimeout();
        const { promise, resolve } = Promise.withResolvers<void>();
        entry.finish = resolve;
        host.start(call);
        return promise;
      };
      // Rejects when it is taken out: the call was answered then.
      queue.add(run, { signal: leave.signal }).catch(() => {});
      return null;
    },
    cancel: remove,
    refusedUpstream(call) {
      remove(call);
      return false;
    },
    ended: remove,
    audit: () => (queue.size + queue.pending === 0 ? [] : [`${queue.size} still wait, ${queue.pending} still run`]),
  };
}

// What API gateways usually offer: so many requests a minute for each user, counted from the first of the minute, and
// 429 beyond. Nothing waits, and nothing knows of the upstream's own limit.

import type { Policy, PolicyChoice, PolicySetup } from "../policy.ts";

const minuteMs = 60_000;

/** `factor` times what an equal share of the upstream would be. */
export function chooseUserRpm(name: string, factor: number): PolicyChoice {
  return { name, create: (setup) => createUserRpm(setup, factor) };
}

function createUserRpm({ limits, userCount, clock, host }: PolicySetup, factor: number): Policy {
  const startsPerMinute = Math.max(1, Math.floor((factor * (limits.startsPerSecond ?? 1) * 60) / userCount));
  const minutes = new Map<string, { from: number; count: number }>();
  return {
    arrive(call) {
      const now = clock.now();
      const known = minutes.get(call.plan.userId);
      const minute = known && now < known.from + minuteMs ? known : { from: now, count: 0 };
      minutes.set(call.plan.userId, minute);
      if (minute.count >= startsPerMinute) {
        host.refuse(call, "queue_full", minute.from + minuteMs - now);
        return null;
      }
      minute.count++;
      host.start(call);
      return null;
    },
    cancel() {},
    refusedUpstream: () => false,
    ended() {},
  };
}

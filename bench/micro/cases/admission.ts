// What the right to run takes when nobody waits, from asking for it to its settlement.

import { createMemoryScheduler } from "../../../src/admission/memory-scheduler.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { toAdmissionLimits } from "../../scheduling/policies/ours.ts";
import { seedLimits } from "../../scheduling/policy.ts";
import type { Case } from "../case.ts";

const wish = {
  callId: "call",
  model: "glm-4.5-flash",
  patienceMs: null,
  inputBytes: 1_000,
  outputTokensMax: 512,
  class: null,
  retryCount: 0,
  place: null,
} as const;
const usage = { promptTokens: 250, completionTokens: 200, cachedTokens: 0, reasoningTokens: 0 };
const users = 100;

export const admission: Case[] = [
  {
    name: "admit and release",
    note: "idle scheduler, 100 users in turn",
    bytes: null,
    prepare() {
      // No bound on starts: its window would hold as many of them as a benchmark can make.
      const limits = toAdmissionLimits({ ...seedLimits, startsPerSecond: null, concurrencyMax: 1_000 }, false);
      const scheduler = createMemoryScheduler(limits, systemClock);
      const signal = new AbortController().signal;
      const principals = Array.from({ length: users }, (_, index) => ({
        userId: `user-${index}`,
        role: "user" as const,
        weight: 1,
        class: "default" as const,
        flowId: "main",
      }));
      return {
        async run(count) {
          for (let index = 0; index < count; index++) {
            const ticket = await scheduler.admit(principals[index % users] as (typeof principals)[0], wish, signal);
            ticket.markSent();
            ticket.release("ended");
            ticket.settle(usage);
          }
        },
        async close() {
          scheduler.close();
        },
      };
    },
  },
];

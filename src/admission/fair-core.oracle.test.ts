// The core against the same rules written as plainly as possible (test/support/reference-scheduler.ts): what is done
// to both must start and refuse the same calls in the same order.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CoreDriver, type DrivenCall, usageOf } from "../../test/simulation/core-driver.ts";
import {
  calmLimits,
  limits,
  limitsOf,
  limitsOfAccounts,
  limitsOfTokens,
  play,
  type Step,
  steps,
  wishes,
} from "../../test/simulation/schedules.ts";
import { type ReferenceAnswer, ReferenceScheduler } from "../../test/support/reference-scheduler.ts";
import type { AdmissionLimits } from "./scheduler.ts";

/** Plays the schedule on both and compares what they answer after each step. */
function compare(given: AdmissionLimits, schedule: readonly Step[]): void {
  const driver = new CoreDriver(given, { deadlineWindow: 0 });
  mirror(driver, new ReferenceScheduler(given));
  driver.usageOf = ({ offered }) => {
    if (offered.inputBytes > 0) return null;
    const share = (Number(offered.callId.slice("call-".length)) % 4) / 3;
    return usageOf(Math.floor((offered.outputTokensMax ?? 0) * share));
  };
  for (const step of schedule) play(driver, step);
  driver.serve(700);
}

/** Does to the reference whatever is done to the core. */
function mirror(driver: CoreDriver, reference: ReferenceScheduler): void {
  const known = new Map<DrivenCall, DrivenCall["state"]>();
  let expected: ReferenceAnswer[] = [];
  let granted: string[] = [];
  driver.onGrant = (_, { offered }) => void granted.push(offered.callId);
  driver.beforeStep = () => {
    for (const call of driver.calls) {
      const { callId } = call.offered;
      const before = known.get(call);
      if (before === call.state) continue;
      if (before === undefined) expected.push(...reference.offer(call.offered, driver.now));
      else if (call.state === "sent") reference.sent(callId, driver.now);
      else if (call.state === "ended") reference.release(callId, call.endedHow, call.usedTokens, driver.now);
      else if (call.state === "cancelled") reference.cancel(callId);
    }
  };
  driver.onStep = () => {
    expected.push(...reference.tick(driver.now));
    const refused = driver.calls.filter((call) => call.no && known.get(call) !== "refused");
    for (const call of driver.calls) known.set(call, call.state);
    const expectedGrants = expected.filter(({ kind }) => kind === "granted").map(({ callId }) => callId);
    const expectedRefusals = expected.flatMap((answer) =>
      answer.kind === "refused" ? [`${answer.callId} ${answer.reason}`] : [],
    );
    assert.deepEqual(granted, expectedGrants, `granted at ${driver.now}`);
    // What is refused at the same moment is refused in no order.
    assert.deepEqual(
      refused.map(({ offered, no }) => `${offered.callId} ${no?.reason}`).sort(),
      expectedRefusals.sort(),
      `refused at ${driver.now}`,
    );
    expected = [];
    granted = [];
  };
}

const runs = { numRuns: 400 };

describe("the fair core and its reference", () => {
  it("14: start the same calls in the same order, whatever the limits of one key, its models and the users", () => {
    const oneKey = limits({ refusesEarly: false }).map((given) => ({
      ...given,
      keys: given.keys.slice(0, 1) as AdmissionLimits["keys"],
    }));
    const schedules = steps([], wishes({ hasPatience: true, hasRetries: true }));
    const property = fc.property(oneKey, schedules, (given, schedule) => compare(given, schedule));
    fc.assert(property, { ...runs, examples: [[calmLimits, []]] });
  });

  it("14: do so with several keys, of which some serve one model alone and some have limits of tokens", () => {
    const wish = wishes({ hasPatience: true, hasTokens: true });
    const schedules = fc.tuple(fc.array(wish, { maxLength: 20 }), steps([], wish));
    const property = fc.property(limitsOfTokens({ refusesEarly: false }), schedules, (given, [wished, schedule]) => {
      compare(given, [...wished.map((wish) => ({ kind: "offer" as const, wish })), ...schedule]);
    });
    fc.assert(property, runs);
  });

  it("14: do so with keys of one account, and keys of different weights", () => {
    const wish = wishes({ hasTokens: true });
    const schedules = fc.tuple(fc.array(wish, { maxLength: 20 }), steps([], wish));
    const property = fc.property(limitsOfAccounts({ refusesEarly: false }), schedules, (given, [wished, schedule]) => {
      compare(given, [...wished.map((wish) => ({ kind: "offer" as const, wish })), ...schedule]);
    });
    fc.assert(property, runs);
  });

  it("14: do so for long backlogs of weighted users, classes and flows", () => {
    const offers = fc.array(wishes(), { minLength: 30, maxLength: 60 });
    const keys = fc.constantFrom(
      limitsOf({ startsPerSecond: 2 }),
      limitsOf({ startsPerSecond: 3, concurrencyMax: 2 }),
      limitsOf({ startsPerSecond: null, concurrencyMax: 1 }),
    );
    const property = fc.property(keys, offers, steps(), (given, wished, schedule) => {
      compare(given, [...wished.map((wish) => ({ kind: "offer" as const, wish })), ...schedule]);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("14: put out the same calls when the queue is full", () => {
    const offers = fc.array(wishes(), { minLength: 10, maxLength: 60 });
    const property = fc.property(fc.constantFrom(1, 2, 3, 5, 8), offers, (queueCapacity, wished) => {
      const given = limitsOf({ startsPerSecond: 1 }, { queueCapacity, queueTimeoutMs: 5_000 });
      compare(
        given,
        wished.map((wish) => ({ kind: "offer" as const, wish })),
      );
    });
    fc.assert(property, runs);
  });
});

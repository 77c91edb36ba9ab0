// What the fair core never does, whatever happens: random schedules of arrivals, sends, ends, refusals of the upstream,
// reloads and stalls, judged after every step by books of the test's own. Fairness has its own file.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CoreDriver, type DrivenCall } from "../../test/simulation/core-driver.ts";
import {
  assertConcurrency,
  assertConservation,
  assertDeadlines,
  assertFinite,
  assertOrderInFlow,
  assertRate,
  assertSnapshot,
  assertSpacing,
  assertWorkConservation,
} from "../../test/simulation/invariants.ts";
import {
  calmLimits,
  delays,
  drain,
  limits,
  limitsOf,
  play,
  progress,
  refusals,
  reloads,
  type Step,
  steps,
  wishes,
} from "../../test/simulation/schedules.ts";
import type { AdmissionLimits } from "./scheduler.ts";

const runs = { numRuns: 300 };

function playAll(given: AdmissionLimits, schedule: readonly Step[], watch: (driver: CoreDriver) => void): CoreDriver {
  const driver = new CoreDriver(given);
  watch(driver);
  for (const step of schedule) play(driver, step);
  return driver;
}

/** The queue is large and patient, so that nothing but the limits keeps a call from its start. */
const patient = { queueCapacity: 1_000, userQueueCapacity: null, queueTimeoutMs: 1_000_000, refusesEarly: false };

describe("the fair core, whatever happens", () => {
  it("1: sends no more in any window than the key, the model and the user are allowed", () => {
    fc.assert(
      fc.property(limits(), steps([delays]), (given, schedule) => {
        playAll(given, schedule, (driver) => {
          driver.onStep = (_, sent) => sent && assertRate(driver, sent);
        });
      }),
      runs,
    );
  });

  it("1: lets no stretch of time hold more starts than its share, and what may come at once", () => {
    fc.assert(
      fc.property(limits(patient), steps([delays, progress, refusals(["over_limit", "failed"])]), (given, schedule) => {
        const driver = playAll(given, schedule, (watched) => {
          watched.onGrant = assertSpacing;
        });
        drain(driver);
      }),
      runs,
    );
  });

  it("2: has no more calls in flight than the key, the model and the user are allowed, aborted ones included", () => {
    fc.assert(
      fc.property(limits(), steps([delays]), (given, schedule) => {
        playAll(given, schedule, (driver) => {
          driver.onGrant = assertConcurrency;
        });
      }),
      runs,
    );
  });

  it("1, 2: does neither for calls that want a key, or are bound to one, with whatever keys of whatever accounts", () => {
    fc.assert(
      fc.property(limits(), steps([delays], wishes({ hasKeys: true })), (given, schedule) => {
        playAll(given, schedule, (driver) => {
          driver.onStep = (_, sent) => sent && assertRate(driver, sent);
          driver.onGrant = (_, granted) => {
            assertConcurrency(driver, granted);
            assertBound(driver, granted);
          };
        });
      }),
      runs,
    );
  });

  it("3: counts as running what was granted and not released, and as waiting what was not answered", () => {
    fc.assert(
      fc.property(
        limits(),
        steps([progress, delays], wishes({ hasPatience: true, hasRetries: true })),
        (given, schedule) => {
          const driver = playAll(given, schedule, (watched) => {
            watched.onStep = () => {
              assertConservation(watched);
              assertSnapshot(watched);
            };
          });
          drain(driver);
          assertAllIsOver(driver);
        },
      ),
      runs,
    );
  });

  it("4: leaves the limits as they were when it does not let a call in", () => {
    fc.assert(
      fc.property(limits(), steps(), wishes(), (given, schedule, wish) => {
        const driver = playAll(given, schedule, () => {});
        driver.advance(0);
        const userId = wish.userId as string;
        const look = () => [driver.core.gauges(driver.now).lanes, driver.core.allowances(userId, driver.now)];
        const before = look();
        if (driver.offer(wish).state !== "refused") return;
        assert.deepEqual(look(), before);
      }),
      runs,
    );
  });

  it("5: lets nobody wait whom all limits let start", () => {
    fc.assert(
      fc.property(limits(), steps([delays]), (given, schedule) => {
        const driver = new CoreDriver(given);
        driver.onStep = () => assertWorkConservation(driver);
        for (const step of schedule) {
          play(driver, step);
          // Whatever became possible while time passed has woken the core.
          if (step.kind === "advance") assertWorkConservation(driver);
        }
      }),
      runs,
    );
  });

  it("9: starts the calls of a flow in their order, none at its deadline or later, and answers them then", () => {
    fc.assert(
      fc.property(limits(), steps([delays], wishes({ hasPatience: true })), (given, schedule) => {
        playAll(given, schedule, (driver) => {
          driver.onStep = () => assertDeadlines(driver);
          driver.onGrant = (_, call) => {
            assertOrderInFlow(driver, call);
            assert.ok(driver.now < call.deadlineAt, "granted too late");
          };
        });
      }),
      runs,
    );
  });

  it("12: keeps virtual times finite and debts bounded", () => {
    fc.assert(
      fc.property(
        limits(patient),
        steps([progress, refusals(["over_limit", "too_fast", "failed"])]),
        (given, schedule) => {
          const driver = playAll(given, schedule, (watched) => {
            watched.onStep = () => assertFinite(watched);
          });
          drain(driver, 100_000);
        },
      ),
      runs,
    );
  });

  it("13: keeps all that through reloads, and no reload refuses who waits", () => {
    fc.assert(
      fc.property(limits(), steps([reloads(limits()), delays]), (given, schedule) => {
        const driver = playAll(given, schedule, (watched) => {
          watched.onStep = (_, sent) => {
            if (sent) assertRate(watched, sent);
            assertConservation(watched);
            assertWorkConservation(watched);
            assertDeadlines(watched);
          };
          watched.onGrant = assertConcurrency;
        });
        drain(driver);
        assertAllIsOver(driver);
      }),
      runs,
    );
  });

  it("13: counts what was sent under the old limits against new ones, whichever are stricter", () => {
    const phases = fc.array(
      fc.record({ rate: fc.constantFrom(0.5, 1, 1.5, 2, 2.5, 3, 10), ms: fc.constantFrom(0, 300, 700, 1_000, 2_500) }),
      { minLength: 2, maxLength: 10 },
    );
    const property = fc.property(phases, (given) => {
      const driver = new CoreDriver(limitsOf({ startsPerSecond: 1 }));
      driver.onStep = (_, sent) => sent && assertRate(driver, sent);
      for (let index = 0; index < 150; index++) driver.offer();
      for (const { rate, ms } of given) {
        driver.configure(limitsOf({ startsPerSecond: rate }));
        driver.serve(1, ms);
      }
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("13: lets a call that waits through a reload keep its place and its deadline", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), limits({ refusesEarly: false }), (count, changed) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond: 0.001 }, { queueTimeoutMs: 50_000 }));
        for (let index = 0; index <= count; index++) driver.offer();
        const waiting = driver.waiting;
        driver.configure({ ...changed, user: calmLimits.user });
        for (const call of waiting) assert.notEqual(call.state, "refused");
        driver.serve(1);
        const started = waiting.filter(({ state }) => state === "ended");
        assert.deepEqual(
          started.map(({ grantOrdinal }) => grantOrdinal),
          started.map((_, index) => index + 1),
        );
        for (const { state, no } of waiting) assert.ok(state === "ended" || no?.reason === "queue_timeout");
      }),
      runs,
    );
  });

  it("keeps all that while the upstream refuses, and serves everybody once it does no more", () => {
    fc.assert(
      fc.property(
        limits(),
        steps(
          [
            progress,
            delays,
            reloads(limits()),
            refusals([
              "over_limit",
              "too_fast",
              "overloaded",
              "quota",
              "account",
              "model_barred",
              "restricted",
              "failed",
              "unreachable",
            ]),
          ],
          wishes({ hasPatience: true, hasKeys: true }),
        ),
        (given, schedule) => {
          const driver = playAll(given, schedule, (watched) => {
            watched.onStep = (_, sent) => {
              if (sent) assertRate(watched, sent);
              assertConservation(watched);
              assertDeadlines(watched);
              assertFinite(watched);
            };
            watched.onGrant = assertConcurrency;
          });
          drain(driver);
          assertAllIsOver(driver);
        },
      ),
      runs,
    );
  });

  it("answers nobody twice and forgets nobody when it is cleared", () => {
    fc.assert(
      fc.property(limits(), steps(), (given, schedule) => {
        const driver = playAll(given, schedule, () => {});
        driver.advance(0);
        const expected = driver.waiting.map(({ waiter }) => waiter);
        const cleared = driver.core.clear();
        assert.deepEqual(new Set(cleared), new Set(expected));
        assert.equal(cleared.length, expected.length);
        assert.equal(driver.core.gauges(driver.now).waiting, 0);
      }),
      runs,
    );
  });
});

/** It goes to the key that it is bound to, or to one of that key's account. */
function assertBound({ limits: { keys } }: CoreDriver, { offered, grant }: DrivenCall): void {
  const accountOf = (name: string | undefined) => keys.find((key) => key.name === name)?.account ?? name;
  if (!offered.upstreamKey) return;
  assert.equal(accountOf(grant?.upstreamKey), accountOf(offered.upstreamKey));
}

function assertAllIsOver(driver: CoreDriver): void {
  assert.deepEqual(
    driver.calls.filter(({ state }) => state !== "ended" && state !== "cancelled" && state !== "refused"),
    [],
  );
  driver.advance(60_000);
  const gauges = driver.core.gauges(driver.now);
  assert.deepEqual([gauges.waiting, gauges.running], [0, 0]);
  for (const lane of gauges.lanes) assert.equal(lane.running, 0, `${lane.upstreamKey} ${lane.model}`);
  for (const user of gauges.users) assert.deepEqual([user.waiting, user.running], [0, 0]);
}

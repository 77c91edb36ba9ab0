// How fair the core is, in numbers: the bounds of start-time fair queueing (Goyal 1997), widened by the deadline window
// of one call's cost, and what waiting clients are told.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CoreDriver, type DrivenCall } from "../../test/simulation/core-driver.ts";
import { limitsOf, users, wishes } from "../../test/simulation/schedules.ts";
import type { OfferedCall } from "./core.ts";

const runs = { numRuns: 100 };
// Costs without a rounding error: what is equal must be equal to the last bit.
const rate = fc.constantFrom(0.5, 1, 2, 4, 8);
const weight = fc.constantFrom(0.5, 1, 2, 3, 4, 8);

function costOf(startsPerSecond: number): number {
  return 1_000 / startsPerSecond;
}

/** Each grant's user, in order. */
function grantsOf(driver: CoreDriver, userId: string): DrivenCall[] {
  return driver.granted.filter(({ offered }) => offered.userId === userId);
}

describe("the fair core's shares", () => {
  it("6: lets a call start after at most a bounded number of others, however much these ask for", () => {
    const arrivals = fc.array(fc.record({ user: fc.constantFrom(...users), count: fc.integer({ min: 1, max: 10 }) }), {
      minLength: 5,
      maxLength: 30,
    });
    const property = fc.property(rate, arrivals, fc.constantFrom(0, 1), (startsPerSecond, bursts, deadlineWindow) => {
      const driver = new CoreDriver(limitsOf({ startsPerSecond }), { deadlineWindow });
      // Since when, in grants, a call has been its user's next one.
      const nextSince = new Map<DrivenCall, number>();
      driver.onStep = () => {
        for (const { userId } of users) {
          const next = driver.waiting.find(({ offered }) => offered.userId === userId);
          if (next && !nextSince.has(next)) nextSince.set(next, driver.granted.length);
        }
      };
      for (const { user, count } of bursts) {
        for (let index = 0; index < count; index++) driver.offer(user);
        driver.serve(1, costOf(startsPerSecond) * 2);
      }
      driver.serve(1);
      for (const [call, since] of nextSince) {
        const others = users.filter(({ userId }) => userId !== call.offered.userId);
        // What others get until their virtual time has passed this one's, its last call and twice the window included.
        const most = others.reduce(
          (sum, other) => sum + other.weight / call.offered.weight + 2 * deadlineWindow * other.weight + 1,
          1,
        );
        const before = call.grantOrdinal - since;
        assert.ok(before <= most, `${call.offered.callId} let ${before} others go first, ${most} at most`);
      }
    });
    fc.assert(property, runs);
  });

  it("6: serves each class while others ask for more than there is", () => {
    const driver = new CoreDriver(limitsOf({ startsPerSecond: 2 }));
    for (let index = 0; index < 200; index++) {
      for (const trafficClass of ["interactive", "default", "batch"] as const) {
        driver.offer({ class: trafficClass, userId: `${trafficClass} user` });
      }
    }
    driver.serve(1, 105_000);
    const counts = ["interactive", "default", "batch"].map((name) => grantsOf(driver, `${name} user`).length);
    const total = counts.reduce((sum, count) => sum + count, 0);
    for (const [index, share] of [16 / 21, 4 / 21, 1 / 21].entries()) {
      assert.ok(Math.abs((counts[index] as number) - total * share) <= 2, `${counts} of ${total}`);
    }
  });

  it("7: gives two users that always wait service by their weights, in every interval", () => {
    const property = fc.property(
      rate,
      weight,
      weight,
      fc.array(fc.nat({ max: 20 }), { maxLength: 10 }),
      fc.constantFrom(0, 1),
      (startsPerSecond, adaWeight, bobWeight, thirds, deadlineWindow) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond }), { deadlineWindow });
        const each = 60;
        for (let index = 0; index < each; index++) {
          driver.offer({ userId: "ada", weight: adaWeight });
          driver.offer({ userId: "bob", weight: bobWeight });
        }
        const first = driver.granted.length;
        for (const count of thirds) {
          for (let index = 0; index < count; index++) driver.offer({ userId: "eve", weight: 1 });
          driver.serve(1, costOf(startsPerSecond) * 3);
        }
        driver.serve(1);
        // What ada is ahead of bob after each start, in calls by weight, while both have calls waiting.
        let [ahead, most, least] = [0, 0, 0];
        const last = Math.min(...["ada", "bob"].map((userId) => grantsOf(driver, userId)[each - 1]?.grantOrdinal ?? 0));
        for (const { offered } of driver.granted.slice(first, last)) {
          if (offered.userId === "ada") ahead += 1 / adaWeight;
          if (offered.userId === "bob") ahead -= 1 / bobWeight;
          most = Math.max(most, ahead);
          least = Math.min(least, ahead);
        }
        const bound = 1 / adaWeight + 1 / bobWeight + 2 * deadlineWindow;
        assert.ok(most - least <= bound + 1e-9, `${most - least} calls apart, ${bound} allowed`);
      },
    );
    fc.assert(property, runs);
  });

  it("7: does so for calls of unknown length, with as many in flight as are allowed", () => {
    const slots = fc.array(fc.integer({ min: 100, max: 20_000 }), { minLength: 200, maxLength: 200 });
    const property = fc.property(
      fc.constantFrom(1, 2, 3, 5),
      weight,
      weight,
      slots,
      (concurrencyMax, adaWeight, bobWeight, slotsMs) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond: null, concurrencyMax }));
        for (let index = 0; index < 100; index++) {
          driver.offer({ userId: "ada", weight: adaWeight });
          driver.offer({ userId: "bob", weight: bobWeight });
        }
        const endOf = (call: DrivenCall) => call.sentAt + (slotsMs[call.grantOrdinal] as number);
        let [ada, bob, most, least] = [0, 0, 0, 0];
        while (driver.waiting.length > 0) {
          for (const call of driver.in("granted")) driver.send(call);
          const first = driver.in("sent").reduce((a, b) => (endOf(b) < endOf(a) ? b : a));
          driver.advance(endOf(first) - driver.now);
          driver.finish(first);
          const served = endOf(first) - first.sentAt;
          if (first.offered.userId === "ada") ada += served / concurrencyMax / adaWeight;
          else bob += served / concurrencyMax / bobWeight;
          const isBacklogged = ["ada", "bob"].every((userId) =>
            driver.waiting.some(({ offered }) => offered.userId === userId),
          );
          if (!isBacklogged) break;
          most = Math.max(most, ada - bob);
          least = Math.min(least, ada - bob);
        }
        const costMax = 20_000 / concurrencyMax;
        const perCall = costMax / adaWeight + costMax / bobWeight;
        // In flight and guessed wrongly are D calls; the window is a mean cost, at most the largest.
        const bound = (concurrencyMax + 1) * perCall + concurrencyMax * perCall + 2 * costMax;
        assert.ok(most - least <= bound, `${most - least} ms apart, ${bound} allowed`);
      },
    );
    fc.assert(property, runs);
  });

  it("7: lets nobody save up service while its only call runs long", () => {
    const driver = new CoreDriver(limitsOf({ startsPerSecond: 2 }));
    driver.send(driver.offer({ userId: "ada" }));
    for (let second = 0; second < 300; second++) {
      const bob = driver.offer({ userId: "bob" });
      driver.send(bob);
      driver.finish(bob);
      driver.advance(1_020);
    }
    for (let index = 0; index < 20; index++) {
      driver.offer({ userId: "ada" });
      driver.offer({ userId: "bob" });
    }
    const before = driver.granted.length;
    for (let round = 0; round < 20; round++) {
      for (const call of driver.in("granted")) driver.send(call);
      driver.advance(510);
    }
    const bobs = driver.granted.slice(before).filter(({ offered }) => offered.userId === "bob").length;
    assert.ok(bobs >= 9, `of 20 starts bob had ${bobs}`);
  });

  it("7: takes turns between the flows of a user", () => {
    const driver = new CoreDriver(limitsOf({ startsPerSecond: 1 }));
    for (let index = 0; index < 30; index++) driver.offer({ flowId: "agent" });
    driver.serve(1, 5_000);
    for (let index = 0; index < 3; index++) driver.offer({ flowId: "chat" });
    driver.serve(1, 8_000);
    assert.equal(driver.waiting.filter(({ offered }) => offered.flowId === "chat").length, 0);
  });

  it("8: never refuses a light user and hardly delays it, whatever a flood beside it does", () => {
    const property = fc.property(
      fc.constantFrom(1, 2, 5),
      fc.constantFrom(1, 2, 4),
      fc.integer({ min: 10, max: 30 }),
      fc.integer({ min: 1, max: 40 }),
      (startsPerSecond, floodWeight, queueCapacity, burst) => {
        const cost = costOf(startsPerSecond);
        const driver = new CoreDriver(
          limitsOf({ startsPerSecond }, { queueCapacity, queueTimeoutMs: 60_000, sendGuardMs: 0 }),
        );
        // Half of what its weight entitles it to.
        const every = Math.ceil((1 + floodWeight) * 2);
        for (let round = 0; round < 200; round++) {
          for (let index = 0; index < burst; index++) driver.offer({ userId: "flood", weight: floodWeight });
          if (round % every === 0) driver.offer({ userId: "light", weight: 1 });
          driver.serve(1, cost);
        }
        // The flood's share until the light user's last call is made up for, the window on both sides, and the burst
        // of starts that a window of one second lets go at once.
        const mostMs = (floodWeight * 3 + 3 + startsPerSecond) * cost;
        for (const { state, no, offered, arrivedAt, sentAt } of driver.calls) {
          if (offered.userId !== "light") continue;
          assert.notEqual(state, "refused", `${offered.callId}: ${no?.reason}`);
          assert.ok(!(sentAt - arrivedAt > mostMs), `${offered.callId} waited ${sentAt - arrivedAt} of ${mostMs} ms`);
        }
      },
    );
    fc.assert(property, { numRuns: 40 });
  });

  it("8: keeps a light user safe from a flood even while somebody of little weight waits", () => {
    const driver = new CoreDriver(limitsOf({ startsPerSecond: 0.1 }, { queueCapacity: 20 }));
    driver.offer({ userId: "first" });
    driver.offer({ userId: "small", class: "batch", weight: 0.1 });
    for (let index = 0; index < 19; index++) driver.offer({ userId: "flood" });
    const light = driver.offer({ userId: "light" });
    assert.equal(light.state, "waiting", "the newest call of the flood makes room");
  });
});

interface Arrival {
  readonly wish: Partial<OfferedCall>;
  readonly pause: number;
}

const arrivals = (maxLength: number): fc.Arbitrary<Arrival[]> =>
  fc.array(fc.record({ wish: wishes(), pause: fc.constantFrom(0, 0, 0, 100, 500, 1_700) }), {
    minLength: 1,
    maxLength,
  });

function arrive(driver: CoreDriver, list: readonly Arrival[]): void {
  for (const { wish, pause } of list) {
    driver.offer(wish);
    driver.serve(1, pause);
  }
}

/** When each of those that wait will start, as they are told now. */
function foresee(driver: CoreDriver): Map<DrivenCall, number> {
  return new Map(
    driver.waiting.map((call) => {
      assert.ok(call.waiter);
      return [call, driver.now + driver.core.standing(call.waiter, driver.now).etaMs];
    }),
  );
}

describe("the fair core's forecasts", () => {
  const oneFlow = (list: readonly Arrival[]): Arrival[] =>
    list.map(({ wish, pause }) => ({ wish: { ...wish, class: "default", flowId: "main" }, pause }));

  it("10: tells the exact wait of each call when all cost the same and nobody comes later", () => {
    fc.assert(
      fc.property(rate, arrivals(30), (startsPerSecond, list) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond }), { deadlineWindow: 0 });
        arrive(driver, oneFlow(list));
        const foreseen = foresee(driver);
        driver.serve(1);
        for (const [call, at] of foreseen) {
          assert.ok(Math.abs(call.sentAt - at) <= 1, `${call.offered.callId}: ${at} foreseen, ${call.sentAt} it was`);
        }
      }),
      runs,
    );
  });

  it("10: never tells more than the wait turns out to be when others come later", () => {
    fc.assert(
      fc.property(rate, arrivals(30), arrivals(30), (startsPerSecond, list, later) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond }), { deadlineWindow: 0 });
        arrive(driver, oneFlow(list));
        const foreseen = foresee(driver);
        arrive(driver, oneFlow(later));
        driver.serve(1);
        for (const [call, at] of foreseen) {
          assert.ok(call.sentAt >= at - 1, `${call.offered.callId}: ${at} foreseen, ${call.sentAt} it was`);
        }
      }),
      runs,
    );
  });

  it("10: numbers those who wait in the order in which they start, when all cost the same", () => {
    fc.assert(
      fc.property(rate, arrivals(30), (startsPerSecond, list) => {
        const driver = new CoreDriver(limitsOf({ startsPerSecond }), { deadlineWindow: 0 });
        arrive(driver, list);
        const foreseen = driver.core.snapshot(driver.now).waitingCalls.map(({ callId }) => callId);
        const before = driver.granted.length;
        driver.serve(1);
        assert.deepEqual(
          driver.granted.slice(before).map(({ offered }) => offered.callId),
          foreseen,
        );
      }),
      runs,
    );
  });

  it("11: admits a lone client that comes back when it was told to", () => {
    const property = fc.property(
      fc.constantFrom<{ startsPerSecond: number | null; concurrencyMax: number | null }>(
        { startsPerSecond: 0.5, concurrencyMax: null },
        { startsPerSecond: 2, concurrencyMax: null },
        { startsPerSecond: 5, concurrencyMax: null },
        { startsPerSecond: null, concurrencyMax: 1 },
        { startsPerSecond: 2, concurrencyMax: 3 },
      ),
      fc.integer({ min: 0, max: 30 }),
      fc.constantFrom(2_000, 5_000, 30_000),
      fc.boolean(),
      fc.integer({ min: 200, max: 4_000 }),
      (gates, queueCapacity, queueTimeoutMs, refusesEarly, slotMs) => {
        const driver = new CoreDriver(limitsOf(gates, { queueCapacity, queueTimeoutMs, refusesEarly }));
        // What its calls take is known.
        for (let index = 0; index < 10; index++) {
          driver.offer();
          driver.serve(slotMs, slotMs + 5_000);
        }
        let refused: DrivenCall | null = null;
        for (let count = 0; count <= queueCapacity + 20 && !refused; count++) {
          const call = driver.offer();
          if (call.state === "refused") refused = call;
        }
        assert.ok(refused?.no, "the queue has an end");
        const { retryAfterMs } = refused.no.facts;
        assert.ok(retryAfterMs !== undefined && retryAfterMs > 0, "it is told when to come back");
        driver.serve(slotMs, retryAfterMs);
        const second = driver.offer();
        driver.serve(slotMs);
        assert.equal(second.state, "ended", `refused again with ${second.no?.reason}, after ${retryAfterMs} ms`);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});

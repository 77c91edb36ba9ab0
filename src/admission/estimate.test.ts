import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { limitsOf, type TestLimits } from "../../test/contracts/scheduler.contract.ts";
import { Alarms } from "./alarms.ts";
import type { OfferedCall } from "./core.ts";
import { Costs } from "./costs.ts";
import { anywhere } from "./destination.ts";
import { adviseRetryMs, Estimator } from "./estimate.ts";
import { Gates, Hold } from "./gates.ts";
import { KeyPool } from "./key-pool.ts";
import { LimitedUsers } from "./limited-users.ts";
import { RunningCalls } from "./running-calls.ts";
import type { AdmissionLimits, GateLimits } from "./scheduler.ts";
import { Share } from "./share.ts";
import { QueuedWaiter, type RunningGrant } from "./waiter.ts";

const model = "glm-4.5-flash";
const unlimited = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const dayMs = 24 * 3_600_000;

/** An estimator with what it reads, all of it real. */
function setUp(limits: AdmissionLimits) {
  const pool = new KeyPool(limits);
  const costs = new Costs(pool);
  const running = new RunningCalls(pool, costs, new LimitedUsers(limits.user), new Alarms());
  const estimator = new Estimator(pool, costs, running.grants);
  const root = new Share("", 1, null);

  /** A call starts at `now`, by the pool's choice. */
  function start(now: number, tokens = 0, model = "glm-4.5-flash"): RunningGrant {
    const call: OfferedCall = {
      callId: "call",
      userId: "ada",
      weight: 1,
      class: "default",
      flowId: "chat",
      model,
      patienceMs: null,
      inputBytes: 0,
      outputTokensMax: null,
      retryCount: 0,
      place: null,
    };
    const session = root.child("default", 4).child("ada", 1).child("chat", 1);
    session.enter();
    const place = {
      sequence: 0,
      arrivedAt: now,
      deadlineAt: now + 5_000,
      tryCount: 0,
      upstreamRefusal: null,
      triedKeys: [],
    };
    const waiter = new QueuedWaiter(call, session, place, { tokens, isDebt: false });
    const choice = pool.choose(anywhere(model), tokens, now);
    assert.ok(choice, "a key is open");
    const grant = running.start(waiter, choice, now, Number.POSITIVE_INFINITY);
    running.send(grant, now);
    return grant;
  }

  /** A call starts and ends well, so that calls are known to take `slotMs` and so many tokens. */
  function teach(slotMs: number, completionTokens = 0): void {
    const grant = start(0);
    grant.isGood = true;
    running.settle(grant, { promptTokens: 0, completionTokens, cachedTokens: 0, reasoningTokens: 0 }, slotMs);
    running.release(grant, 0, slotMs);
  }

  const waitsMs = (now: number, counts: readonly number[]) =>
    counts.map((ahead) => estimator.waitMs(anywhere(model), 0, ahead, now));
  return { pool, costs, running, estimator, start, teach, waitsMs };
}

/** Without a guard, so that numbers are round. */
function limits(changes: TestLimits): AdmissionLimits {
  return limitsOf({ sendGuardMs: 0, startsPerSecond: null, ...changes });
}

describe("the wait that is foreseen", () => {
  it("is none where nothing is limited", () => {
    const { waitsMs } = setUp(limits({}));
    assert.deepEqual(waitsMs(5, [0, 1_000]), [0, 0]);
  });

  it("follows the rate: one start for each space, from when the window opens", () => {
    const { start, waitsMs } = setUp(limits({ startsPerSecond: 2 }));
    start(0);
    start(100);
    assert.deepEqual(waitsMs(300, [0, 1, 2, 3, 4]), [700, 1_200, 1_700, 2_200, 2_700]);
  });

  it("divides those ahead among the keys, by their rates", () => {
    const keys = [
      { ...unlimited, name: "fast", models: null, startsPerSecond: 3 },
      { ...unlimited, name: "slow", models: null, startsPerSecond: 1 },
    ];
    const { start, waitsMs } = setUp({ ...limits({}), keys });
    for (let count = 0; count < 4; count++) start(0);
    assert.deepEqual(waitsMs(0, [0, 3, 4, 8]), [1_000, 1_000, 2_000, 3_000]);
  });

  it("is that of a pause or block, when it lasts longer", () => {
    const { pool, waitsMs } = setUp(limits({ startsPerSecond: 1 }));
    pool.keys[0]?.health.pause(10_000, "1302");
    assert.deepEqual(waitsMs(1_000, [0]), [9_000]);
  });

  it("follows the places: they become free as running calls end, then once for each call", () => {
    const { teach, start, waitsMs } = setUp(limits({ concurrencyMax: 2 }));
    teach(1_000);
    start(2_000);
    start(2_300);
    assert.deepEqual(waitsMs(2_700, [0, 1, 2, 3, 4]), [300, 600, 1_300, 1_600, 2_300]);
  });

  it("counts on a place that is free", () => {
    const { teach, start, waitsMs } = setUp(limits({ concurrencyMax: 2 }));
    teach(1_000);
    start(2_000);
    assert.deepEqual(waitsMs(2_100, [0, 1, 2]), [0, 900, 1_000]);
  });

  it("takes what runs for longer than usual to run as long again as it has", () => {
    const { teach, start, waitsMs } = setUp(limits({ concurrencyMax: 1 }));
    teach(1_000);
    start(2_000);
    assert.deepEqual(waitsMs(3_000, [0]), [0]);
    assert.deepEqual(waitsMs(3_001, [0, 1]), [1_001, 2_001]);
    assert.deepEqual(waitsMs(6_000, [0]), [4_000]);
  });

  it("waits for all that must end first after the limit was lowered", () => {
    const { pool, teach, start, waitsMs } = setUp(limits({ concurrencyMax: 3 }));
    teach(1_000);
    for (const at of [2_000, 2_100, 2_200]) start(at);
    pool.configure(limits({ concurrencyMax: 1 }));
    assert.deepEqual(waitsMs(2_500, [0, 1]), [700, 1_700]);
  });

  it("takes ends as evenly spread where very many run at once", () => {
    const { teach, start, waitsMs } = setUp(limits({ concurrencyMax: 300 }));
    teach(3_000);
    for (let count = 0; count < 300; count++) start(4_000);
    assert.deepEqual(waitsMs(4_000, [0, 99, 299]), [10, 1_000, 3_000]);
  });

  it("follows the tokens: those of the calls ahead at the pace of the limit", () => {
    const { teach, estimator } = setUp(limits({ tokensPerMinute: 6_000 }));
    teach(1_000, 100);
    assert.equal(estimator.waitMs(anywhere(model), 5_900, 0, 1_000), 0);
    assert.equal(estimator.waitMs(anywhere(model), 100, 3, 1_000), 3_000, "100 tokens a second");
    const oneTooMany = estimator.waitMs(anywhere(model), 5_901, 0, 1_000);
    assert.ok(oneTooMany >= 60_000 && oneTooMany <= 60_100, String(oneTooMany));
  });

  it("counts neither calls nor tokens of keys that are not for the model", () => {
    const given = limits({});
    const own = { ...unlimited, name: "own", models: ["glm-4.5-*"], concurrencyMax: 2, tokensPerMinute: 1_000 };
    const other = { ...own, name: "other", models: ["glm-5*"] };
    const { pool, running, start, teach, estimator, waitsMs } = setUp({ ...given, keys: [own, other] });
    teach(1_000);
    for (const at of [2_000, 2_100]) start(at, 0, "glm-5");
    assert.deepEqual(waitsMs(2_200, [0, 1, 2]), [0, 0, 1_000], "both of its places are free");
    for (const grant of running.grants) running.release(grant, 0, 2_300);
    pool.keys[0]?.gates.tokens?.spend(0, 1_000, 2_300);
    assert.equal(estimator.waitMs(anywhere(model), 1, 0, 2_300), 60_100, "the other key's tokens are of no use");
  });

  it("is the longest of all", () => {
    const { teach, start, waitsMs } = setUp(limits({ startsPerSecond: 1, concurrencyMax: 1 }));
    teach(4_000);
    start(5_000);
    assert.deepEqual(waitsMs(5_500, [0, 1]), [3_500, 7_500]);
  });

  it("is told as a day where it has no end", () => {
    const keys = [{ ...unlimited, name: "other", models: ["glm-5*"], startsPerSecond: 1 }];
    const { estimator } = setUp({ ...limits({}), keys });
    assert.equal(estimator.waitMs(anywhere(model), 0, 0, 0), dayMs);
  });
});

describe("the wait for a user's own limits", () => {
  function ofUser(changes: Partial<GateLimits>): Gates {
    const gates = new Gates();
    gates.configure({ ...unlimited, ...changes }, 0, 1);
    return gates;
  }

  it("is none without any", () => {
    const { estimator } = setUp(limits({}));
    assert.equal(estimator.userWaitMs(ofUser({}), model, 50, 0), 0);
  });

  it("follows its rate", () => {
    const { estimator } = setUp(limits({}));
    const gates = ofUser({ startsPerSecond: 1 });
    new Hold(gates, { tokens: 0, isDebt: false, hasWaited: false }, 0).stamp(0);
    assert.deepEqual(
      [0, 2].map((ahead) => estimator.userWaitMs(gates, model, ahead, 400)),
      [600, 2_600],
    );
  });

  it("follows its places: one typical call for each that takes the same", () => {
    const { teach, estimator } = setUp(limits({}));
    teach(1_000);
    const gates = ofUser({ concurrencyMax: 2 });
    assert.equal(estimator.userWaitMs(gates, model, 1, 2_000), 0);
    for (let count = 0; count < 2; count++) new Hold(gates, { tokens: 0, isDebt: false, hasWaited: false }, 0);
    assert.deepEqual(
      [0, 1, 3].map((ahead) => estimator.userWaitMs(gates, model, ahead, 2_000)),
      [500, 1_000, 2_000],
    );
  });
});

describe("what nine of ten calls stay below", () => {
  it("is what was foreseen, while waits are as foreseen", () => {
    const { estimator } = setUp(limits({}));
    assert.equal(estimator.toP90(3_000), 3_000);
    for (let count = 0; count < 20; count++) estimator.noteWait(3_000, 3_000);
    assert.equal(estimator.toP90(3_000), 3_000);
  });

  it("is longer when those who came later push others back, and never less than foreseen", () => {
    const { estimator } = setUp(limits({}));
    for (let count = 0; count < 20; count++) estimator.noteWait(900, 1_900);
    assert.ok(Math.abs(estimator.toP90(900) - 1_900) < 1, String(estimator.toP90(900)));
    for (let count = 0; count < 500; count++) estimator.noteWait(900, 0);
    assert.equal(estimator.toP90(900), 900);
  });
});

describe("adviseRetryMs()", () => {
  const nothing = { waitMs: 0, mayWaitMs: 0, placeMs: 0, hasWaited: false };

  it("says one second at least, and two to a call that has waited in vain", () => {
    assert.equal(adviseRetryMs(nothing, 0), 1_000);
    assert.equal(adviseRetryMs({ ...nothing, hasWaited: true }, 0), 2_000);
  });

  it("says when half of the time that a call may wait will do", () => {
    assert.equal(adviseRetryMs({ ...nothing, waitMs: 9_000, mayWaitMs: 5_000 }, 0), 6_500);
  });

  it("never says a time before a place is free, and spreads clients by a fifth", () => {
    const ms = fc.nat(1e6);
    const facts = fc.record({ waitMs: ms, mayWaitMs: ms, placeMs: ms, hasWaited: fc.boolean() });
    fc.assert(
      fc.property(facts, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (known, random) => {
        const adviceMs = adviseRetryMs(known, random);
        const leastMs = Math.max(known.placeMs, known.waitMs - known.mayWaitMs / 2, known.hasWaited ? 2_000 : 1_000);
        assert.ok(Number.isInteger(adviceMs));
        assert.ok(adviceMs >= leastMs && adviceMs <= Math.ceil(leastMs * 1.2), `${adviceMs} for ${leastMs}`);
      }),
    );
  });
});

// Several keys with limits of tokens: who is next and lacks tokens keeps one key, and the others stay at work.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CoreDriver, type DrivenCall, usageOf, type Wish } from "../../test/simulation/core-driver.ts";
import { assertKeysAtWork, assertOrderInFlow, assertTokens } from "../../test/simulation/invariants.ts";
import {
  calmLimits,
  delays,
  drain,
  limitsOfTokens,
  play,
  steps,
  users,
  wishes,
} from "../../test/simulation/schedules.ts";
import type { AdmissionLimits, KeyLimits, ModelLimits } from "./scheduler.ts";

const flash = "glm-4.5-flash";
const large = "glm-4.7";
const minuteMs = 60_000;

function key(name: string, rest: Partial<KeyLimits> = {}): KeyLimits {
  return { name, models: null, startsPerSecond: null, concurrencyMax: null, tokensPerMinute: 1_000, ...rest };
}

function createDriver(limits: AdmissionLimits): CoreDriver {
  const driver = new CoreDriver(limits);
  driver.usageOf = ({ offered }) => usageOf(offered.outputTokensMax ?? 0);
  return driver;
}

function setUp(keys: readonly KeyLimits[], rest: Partial<AdmissionLimits> = {}) {
  const driver = createDriver({ ...calmLimits, sendGuardMs: 0, keys, ...rest });
  /** A call that says how many tokens it takes at most. */
  const offer = (userId: string, tokens: number, wish: Wish = {}) =>
    driver.offer({ userId, outputTokensMax: tokens, inputBytes: 0, ...wish });
  /** Lets it take them all, at once. */
  const use = (call: DrivenCall) => {
    driver.send(call);
    driver.finish(call);
  };
  return { driver, offer, use };
}

/** Its key, or its state. */
function keyOf({ grant, state }: DrivenCall): string {
  return grant?.upstreamKey ?? state;
}

describe("a call that is next and lacks tokens of its key", () => {
  it("does not hold up calls that another key serves", () => {
    const { offer, use } = setUp([key("one", { models: [large] }), key("two", { models: [flash] })]);
    use(offer("ada", 600, { model: large }));
    assert.equal(keyOf(offer("bob", 900, { model: large })), "waiting");
    assert.equal(keyOf(offer("eve", 10, { model: large })), "waiting", "nobody passes it on its key");
    assert.equal(keyOf(offer("dan", 10, { model: flash })), "two");
  });

  it("keeps one of the keys that serve it, the one that has its tokens first", () => {
    const { driver, offer, use } = setUp([key("one"), key("two")]);
    use(offer("ada", 600));
    driver.advance(1_000);
    use(offer("ada", 600));
    const next = offer("bob", 900);
    assert.equal(keyOf(next), "waiting");
    assert.deepEqual(
      [10, 300, 80].map((tokens) => keyOf(offer("eve", tokens))),
      ["two", "two", "two"],
    );
    assert.equal(keyOf(offer("eve", 20)), "waiting", "it has 390 of its 400 left");
    driver.advance(minuteMs - 1_000);
    assert.equal(keyOf(next), "waiting");
    driver.advance(100);
    assert.equal(keyOf(next), "one");
  });

  it("keeps a key of which nobody knows yet when it has tokens, if there is no other", () => {
    const { driver, offer, use } = setUp([key("one"), key("two", { models: [flash] })]);
    const running = offer("ada", 600, { model: large });
    const next = offer("bob", 900, { model: large });
    assert.deepEqual([keyOf(offer("eve", 10)), keyOf(offer("eve", 10, { model: large }))], ["two", "waiting"]);
    use(running);
    driver.advance(minuteMs + 100);
    assert.equal(keyOf(next), "one");
  });

  it("is passed on the other keys by nobody of its own session", () => {
    const { driver, offer, use } = setUp([key("one"), key("two")]);
    for (const _ of [1, 2]) use(offer("ada", 600));
    const next = offer("bob", 900);
    assert.equal(keyOf(next), "waiting");
    assert.equal(keyOf(offer("bob", 10)), "waiting");
    assert.equal(keyOf(offer("bob", 10, { flowId: "side" })), "two");
    driver.advance(minuteMs + 100);
    assert.equal(keyOf(next), "one");
  });

  it("goes to a key that opens for it meanwhile", () => {
    const { driver, offer, use } = setUp([key("one"), key("two", { concurrencyMax: 1 })]);
    use(offer("ada", 600));
    const busy = offer("ada", 500);
    assert.equal(keyOf(busy), "two");
    driver.send(busy);
    const next = offer("bob", 450);
    assert.equal(keyOf(next), "waiting");
    driver.end(busy, "ended", usageOf(0));
    assert.equal(keyOf(next), "two");
  });

  it("lets its key go in the same moment when a limit of its user comes first", () => {
    const keys = [key("one", { models: [large], tokensPerMinute: null }), key("two", { models: [flash] })];
    const user = { startsPerSecond: 1, concurrencyMax: null, tokensPerMinute: null };
    const { driver, offer, use } = setUp(keys, { user });
    use(offer("ada", 600, { weight: 1_000 }));
    use(offer("dan", 10));
    const next = offer("ada", 900, { weight: 1_000, flowId: "first" });
    const elsewhere = offer("ada", 10, { weight: 1_000, flowId: "second", model: large });
    const other = offer("dan", 10);
    assert.deepEqual([next, elsewhere, other].map(keyOf), ["waiting", "waiting", "waiting"], "each has had its call");
    driver.advance(1_000);
    assert.deepEqual([next, elsewhere, other].map(keyOf), ["waiting", "one", "two"]);
  });

  it("is passed on its key by who is before it in fair order, as soon as that one may start", () => {
    const models: ModelLimits[] = [{ pattern: large, startsPerSecond: 1, concurrencyMax: null, tokensPerMinute: null }];
    const { driver, offer, use } = setUp([key("one")], { models });
    use(offer("ada", 300, { model: large }));
    const before = offer("bob", 100, { model: large });
    const next = offer("ada", 900);
    assert.deepEqual([before, next].map(keyOf), ["waiting", "waiting"]);
    driver.advance(999);
    assert.equal(keyOf(before), "waiting");
    driver.advance(1);
    assert.deepEqual([before, next].map(keyOf), ["one", "waiting"]);
  });

  it("keeps of a key no more than its model where it lacks the model's own tokens", () => {
    const models: ModelLimits[] = [
      { pattern: large, startsPerSecond: null, concurrencyMax: null, tokensPerMinute: 500 },
    ];
    const { driver, offer, use } = setUp([key("one"), key("two")], { models });
    use(offer("ada", 300, { model: large }));
    driver.advance(1_000);
    use(offer("ada", 300, { model: large }));
    const next = offer("bob", 400, { model: large });
    assert.equal(keyOf(next), "waiting");
    assert.equal(keyOf(offer("eve", 100, { model: large })), "two", "small enough for the other key");
    assert.equal(keyOf(offer("eve", 10, { model: large })), "two");
    assert.equal(keyOf(offer("eve", 500, { model: flash })), "one", "another model");
    driver.advance(minuteMs);
    assert.equal(keyOf(next), "one");
  });
});

describe("the fair core with several keys and limits of tokens, whatever happens", () => {
  const patient = { queueCapacity: 1_000, userQueueCapacity: null, queueTimeoutMs: 1_000_000 };
  const schedules = steps([delays], wishes({ hasTokens: true }));
  /** A part of what they said, another one for each. */
  const partly = ({ offered }: DrivenCall) => {
    const share = (Number(offered.callId.slice("call-".length)) % 4) / 3;
    return usageOf(Math.floor((offered.outputTokensMax ?? 0) * share));
  };

  it("5: lets no key stand idle for a call, unless it is kept for one that is next", () => {
    const property = fc.property(limitsOfTokens(), schedules, (given, schedule) => {
      const driver = createDriver(given);
      driver.usageOf = partly;
      driver.onStep = () => assertKeysAtWork(driver);
      for (const step of schedule) {
        play(driver, step);
        // Whatever became possible while time passed has woken the core.
        if (step.kind === "advance") assertKeysAtWork(driver);
      }
      drain(driver);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("lets no more tokens run and have run on a key within any minute than allowed, and passes nobody in a flow", () => {
    const property = fc.property(limitsOfTokens(patient), schedules, (given, schedule) => {
      const driver = createDriver(given);
      driver.usageOf = partly;
      driver.onGrant = (_, call) => {
        assertTokens(driver);
        assertOrderInFlow(driver, call);
      };
      for (const step of schedule) play(driver, step);
      drain(driver);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it("6: serves a large call soon, however many small ones come", () => {
    const keys = fc.array(
      fc.record({ tokensPerMinute: fc.constantFrom(500, 1_000), startsPerSecond: fc.constantFrom(null, 5) }),
      { minLength: 1, maxLength: 3 },
    );
    const property = fc.property(
      keys,
      fc.integer({ min: 300, max: 500 }),
      fc.constantFrom(10, 40, 100),
      fc.constantFrom(200, 3_000),
      (given, wanted, small, slotMs) => {
        const names = given.map((rest, index) => key(`key-${index + 1}`, rest));
        const { driver, offer } = setUp(names, { queueCapacity: 10_000 });
        const crowd = (count: number) => {
          for (let index = 0; index < count; index++) offer(users[1 + (index % 3)]?.userId ?? "", small);
        };
        crowd(300);
        driver.serve(slotMs, 20_000);
        const patient = offer("ada", wanted);
        for (let seconds = 0; patient.state === "waiting" && seconds < 120; seconds++) {
          crowd(5);
          driver.serve(slotMs, 1_000);
        }
        assert.notEqual(patient.state, "waiting", "it waits for two minutes");
      },
    );
    fc.assert(property, { numRuns: 30 });
  });
});

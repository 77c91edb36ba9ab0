import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { anywhere } from "./destination.ts";
import { Hold } from "./gates.ts";
import { KeyChoice } from "./key-choice.ts";
import { KeyPool } from "./key-pool.ts";
import type { AdmissionLimits, KeyLimits } from "./scheduler.ts";
import type { UpstreamKey } from "./upstream-key.ts";

function keysOf(...described: Partial<KeyLimits>[]): UpstreamKey[] {
  const keys = described.map((more, index): KeyLimits => {
    const name = `key-${index + 1}`;
    return { name, models: null, startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null, ...more };
  });
  const limits: AdmissionLimits = {
    keys,
    models: [],
    user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
    userQueueCapacity: null,
    queueCapacity: 1,
    queueTimeoutMs: 1,
    refusesEarly: false,
    sendGuardMs: 0,
    abortLingerMs: 0,
  };
  return new KeyPool(limits).keys;
}

function createChoice(keys: readonly UpstreamKey[]): KeyChoice {
  const choice = new KeyChoice();
  choice.configure(keys);
  return choice;
}

function occupy(key: UpstreamKey | undefined, count = 1): void {
  assert.ok(key);
  for (let index = 0; index < count; index++) new Hold(key.gates, { tokens: 0, isDebt: false, hasWaited: false }, 0);
}

const withAffinity = (affinity: string) => ({ ...anywhere("glm-4.5-flash"), affinity });
const none = anywhere("glm-4.5-flash");

/** How often each key is taken, by its name. */
function countPicks(choice: KeyChoice, keys: readonly UpstreamKey[], times: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < times; index++) {
    const key = choice.pick(keys, none);
    assert.ok(key);
    choice.take(key);
    counts[key.name] = (counts[key.name] ?? 0) + 1;
  }
  return counts;
}

describe("the choice of a key", () => {
  it("is none of none", () => {
    assert.equal(createChoice([]).pick([], none), null);
  });

  it("takes turns among idle keys, by weight", () => {
    const keys = keysOf({ weight: 1 }, { weight: 0.5 }, { weight: 2.5 });
    assert.deepEqual(countPicks(createChoice(keys), keys, 80), { "key-1": 20, "key-2": 10, "key-3": 50 });
  });

  it("gives a key that could not be chosen for a while no more than its part afterwards", () => {
    const keys = keysOf({}, {});
    const choice = createChoice(keys);
    assert.deepEqual(countPicks(choice, keys.slice(0, 1), 50), { "key-1": 50 });
    const after = countPicks(choice, keys, 10);
    assert.ok(Math.abs((after["key-1"] ?? 0) - (after["key-2"] ?? 0)) <= 1, JSON.stringify(after));
  });

  it("falls on the least loaded for its places and weight", () => {
    const keys = keysOf({ concurrencyMax: 4 }, { concurrencyMax: 2 }, { concurrencyMax: 4, weight: 2 });
    occupy(keys[0]);
    occupy(keys[1]);
    occupy(keys[2], 2);
    const choice = createChoice(keys);
    // 1/4, 1/2, 2/8: the first and the third are equal, and the first has had no more turns.
    assert.equal(choice.pick(keys, none), keys[0]);
    occupy(keys[0]);
    assert.equal(choice.pick(keys, none), keys[2]);
  });

  it("counts a key without a bound as four times the largest", () => {
    const keys = keysOf({ concurrencyMax: 10 }, {});
    occupy(keys[0]);
    occupy(keys[1], 3);
    const choice = createChoice(keys);
    assert.equal(choice.pick(keys, none), keys[1]);
    occupy(keys[1], 2);
    assert.equal(choice.pick(keys, none), keys[0]);
  });
});

describe("affinity", () => {
  const names = Array.from({ length: 2_000 }, (_, index) => `user-${index} session`);

  it("spreads over the keys by weight", () => {
    const keys = keysOf({}, { weight: 3 }, {});
    const choice = createChoice(keys);
    const counts = Map.groupBy(names, (affinity) => choice.pick(keys, withAffinity(affinity))?.name);
    const shares = keys.map(({ name }) => (counts.get(name)?.length ?? 0) / names.length);
    for (const [index, expected] of [0.2, 0.6, 0.2].entries()) {
      assert.ok(Math.abs((shares[index] ?? 0) - expected) < 0.04, String(shares));
    }
  });

  it("moves nobody but those of the key that goes, and of the one that comes", () => {
    const keys = keysOf({}, {}, {}, {});
    const choice = createChoice(keys);
    const [gone, ...left] = keys;
    for (const affinity of names) {
      const before = choice.pick(keys, withAffinity(affinity));
      const after = choice.pick(left, withAffinity(affinity));
      if (before !== gone) assert.equal(after, before);
    }
  });

  it("does not depend on the order of the keys", () => {
    fc.assert(
      fc.property(fc.string(), fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (affinity, order) => {
        const keys = keysOf({}, {}, {}, {});
        const choice = createChoice(keys);
        const shuffled = order.map((index) => keys[index] as UpstreamKey);
        assert.equal(choice.pick(shuffled, withAffinity(affinity)), choice.pick(keys, withAffinity(affinity)));
      }),
    );
  });

  it("gives way when the preferred key has a third more of its places taken than the best", () => {
    const keys = keysOf({ concurrencyMax: 6 }, { concurrencyMax: 6 });
    const choice = createChoice(keys);
    const home = choice.pick(keys, withAffinity("ada")) ?? undefined;
    occupy(home, 2);
    assert.equal(choice.pick(keys, withAffinity("ada")), home, "a third is not much");
    occupy(home);
    assert.notEqual(choice.pick(keys, withAffinity("ada")), home);
  });
});

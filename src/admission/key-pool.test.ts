import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CoreDriver } from "../../test/simulation/core-driver.ts";
import { limitsOf } from "../../test/simulation/schedules.ts";
import { anywhere } from "./destination.ts";
import { Hold } from "./gates.ts";
import { KeyPool } from "./key-pool.ts";
import type { AdmissionLimits, GateLimits, KeyLimits, ModelLimits } from "./scheduler.ts";

const account = { kind: "account", code: "1001", waitMs: null } as const;

function key(name: string, more: Partial<KeyLimits> = {}): KeyLimits {
  return { name, models: null, startsPerSecond: 100, concurrencyMax: 2, tokensPerMinute: null, ...more };
}

function drive(...keys: KeyLimits[]): CoreDriver {
  return new CoreDriver({ ...limitsOf({}), keys, queueTimeoutMs: 60_000 });
}

/** Offers a call and sends it; tells which key it got. */
function start(driver: CoreDriver, model = "glm-4.5-flash"): string | undefined {
  const call = driver.offer({ model });
  if (call.state === "granted") driver.send(call);
  return call.grant?.upstreamKey;
}

describe("a pool of several keys", () => {
  it("sends each call with the key that has the most room, and bears what all of them bear", () => {
    const driver = drive(key("one"), key("two"));
    const used = [start(driver), start(driver), start(driver), start(driver), start(driver)];
    assert.deepEqual(used, ["one", "two", "one", "two", undefined]);
  });

  it("goes on with the others when one is refused, without anybody's notice", () => {
    const driver = drive(key("one"), key("two"));
    const first = driver.offer();
    driver.send(first);
    driver.core.report(first.grant as NonNullable<typeof first.grant>, account, driver.now);
    assert.deepEqual([start(driver), start(driver), start(driver)], ["two", "two", undefined]);
  });

  it("refuses at once when the last one is refused", () => {
    const driver = drive(key("one"), key("two"));
    for (const call of [driver.offer(), driver.offer()]) {
      driver.send(call);
      driver.core.report(call.grant as NonNullable<typeof call.grant>, account, driver.now);
    }
    assert.equal(driver.offer().no?.reason, "upstream_account");
  });

  it("sends a model's calls with the keys that are for it, and lets other models pass", () => {
    const driver = drive(
      key("flash", { models: ["glm-4.5-*"] }),
      key("large", { models: ["glm-5*"], concurrencyMax: 1 }),
    );
    assert.equal(start(driver, "glm-5"), "large");
    assert.equal(start(driver, "glm-5"), undefined);
    assert.equal(start(driver), "flash");
  });

  it("counts each key's starts for itself", () => {
    const slow = { startsPerSecond: 1, concurrencyMax: null };
    const driver = drive(key("one", slow), key("two", slow));
    assert.deepEqual([start(driver), start(driver), start(driver)], ["one", "two", undefined]);
  });

  it("learns a limit for the key and model that was refused, and for no other", () => {
    const driver = drive(key("one", { concurrencyMax: null }), key("two", { concurrencyMax: null }));
    const calls = [1, 2, 3, 4].map(() => driver.offer());
    for (const call of calls) driver.send(call);
    const refused = calls[2]?.grant;
    assert.equal(refused?.upstreamKey, "one");
    driver.core.report(
      refused as NonNullable<typeof refused>,
      { kind: "over_limit", code: "1302", waitMs: null },
      driver.now,
    );
    const learned = driver.core.gauges(driver.now).lanes.filter(({ model }) => model !== null);
    assert.deepEqual(
      learned.map(({ upstreamKey, learnedConcurrency }) => [upstreamKey, learnedConcurrency]),
      [
        ["one", 1],
        ["two", null],
      ],
    );
  });
});

describe("tries after failures", () => {
  const failed = { kind: "failed", code: "1234", waitMs: null } as const;

  it("are two for each call, and a tenth of all calls beyond the first two", () => {
    const driver = drive(key("one", { concurrencyMax: null }));
    const reports: boolean[] = [];
    for (let index = 0; index < 30; index++) {
      const call = driver.offer();
      driver.send(call);
      reports.push(driver.core.report(call.grant as NonNullable<typeof call.grant>, failed, driver.now));
      driver.stall(1_000);
    }
    assert.deepEqual(reports.slice(0, 3), [true, true, false]);
    const tries = reports.filter(Boolean).length;
    assert.ok(tries === 4 || tries === 5, `${tries} of 30`);
  });
});

const infinity = Number.POSITIVE_INFINITY;
const flash = "glm-4.5-flash";
const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };

function poolLimits(keys: KeyLimits[], models: ModelLimits[] = []): AdmissionLimits {
  return { ...limitsOf({}), keys, models, sendGuardMs: 0 };
}

function createPool(...keys: KeyLimits[]): KeyPool {
  return new KeyPool(poolLimits(keys));
}

/** A call in flight on the named key, and on the model there. */
function occupy(pool: KeyPool, name: string, model = flash, tokens = 0, now = 0): Hold[] {
  const found = pool.keys.find(({ limits }) => limits.name === name);
  assert.ok(found);
  const holds = [found.gates, pool.modelOn(found, model).gates].map(
    (gates) => new Hold(gates, { tokens, isDebt: false, hasWaited: false }, now),
  );
  for (const hold of holds) hold.stamp(now);
  return holds;
}

function chosen(pool: KeyPool, model = flash, tokens = 0): string | undefined {
  return pool.choose(anywhere(model), tokens, 0)?.key.limits.name;
}

describe("the choice among keys", () => {
  it("falls on the one with the largest part of its places free, the first among equals", () => {
    const pool = createPool(key("small", { concurrencyMax: 2 }), key("large", { concurrencyMax: 10 }));
    assert.equal(chosen(pool), "small");
    occupy(pool, "large");
    assert.equal(chosen(pool), "small");
    occupy(pool, "small");
    assert.equal(chosen(pool), "large");
  });

  it("falls on one without a bound before one that is in use", () => {
    const pool = createPool(key("bound"), key("free", { concurrencyMax: null }));
    for (const name of ["free", "free", "bound"]) occupy(pool, name);
    assert.equal(chosen(pool), "free");
  });

  it("passes over keys that are blocked, paced or full, and falls on none when all are", () => {
    const pool = createPool(key("one", { startsPerSecond: 1 }), key("two", { concurrencyMax: 1 }), key("three"));
    assert.equal(chosen(pool), "one");
    occupy(pool, "one");
    occupy(pool, "two");
    assert.equal(chosen(pool), "three");
    pool.keys[2]?.health.trip(5_000, "1113", "upstream_account", 0);
    assert.equal(chosen(pool), undefined);
    assert.equal(pool.openAt(anywhere(flash), 0, 0), 1_000, "the first that opens by itself");
  });

  it("falls on one whose tokens are enough for the call", () => {
    const pool = createPool(key("few", { tokensPerMinute: 100 }), key("many", { tokensPerMinute: 10_000 }));
    occupy(pool, "few", flash, 50);
    occupy(pool, "many", flash, 50);
    assert.deepEqual([chosen(pool, flash, 50), chosen(pool, flash, 51)], ["few", "many"]);
    assert.equal(pool.openAt(anywhere(flash), 9_951, 0), infinity);
    assert.equal(pool.laneOpenAt(anywhere(flash), 9_951, 0), 0, "who is next waits for tokens, with all others behind");
  });

  it("passes over a key on which the model's own limit is reached", () => {
    const rules = [{ ...unlimited, pattern: "glm-5*", concurrencyMax: 1 }];
    const pool = new KeyPool(poolLimits([key("one"), key("two")], rules));
    assert.equal(chosen(pool, "glm-5"), "one");
    occupy(pool, "one", "glm-5");
    assert.equal(chosen(pool, "glm-5"), "two", "each key may run one");
    occupy(pool, "two", "glm-5");
    assert.deepEqual([chosen(pool, "glm-5"), chosen(pool)], [undefined, "one"]);
    assert.equal(pool.findBlocker(anywhere("glm-5"), 0, 0), "model_concurrency");
  });

  it("is none for a model that no key is for", () => {
    const pool = createPool(key("one", { models: ["glm-4.5-*"] }));
    assert.deepEqual(
      [pool.serves(anywhere("glm-5")), chosen(pool, "glm-5"), pool.openAt(anywhere("glm-5"), 0, 0)],
      [false, undefined, infinity],
    );
  });
});

describe("limits of models", () => {
  it("are those of the first pattern that matches", () => {
    const rules = [
      { ...unlimited, pattern: "glm-5-air", concurrencyMax: 3 },
      { ...unlimited, pattern: "glm-5*", concurrencyMax: 1 },
    ];
    const pool = new KeyPool(poolLimits([key("one", { concurrencyMax: null })], rules));
    assert.deepEqual(
      ["glm-5-air", "glm-5", flash].map((model) => pool.concurrencyOf(model)),
      [3, 1, infinity],
    );
    assert.deepEqual([pool.isApart("glm-5"), pool.isApart(flash)], [true, false]);
  });

  it("are remembered with their windows when nothing of the model runs, and those without are not", () => {
    const rules = [{ ...unlimited, pattern: "glm-5", startsPerSecond: 1 }];
    const pool = new KeyPool(poolLimits([key("one")], rules));
    const [only] = pool.keys;
    assert.ok(only);
    for (const model of ["glm-5", flash]) {
      for (const hold of occupy(pool, "one", model)) hold.free();
      pool.forget(pool.modelOn(only, model), 0);
    }
    assert.deepEqual([...only.models.keys()], ["glm-5"]);
    assert.equal(pool.findBlocker(anywhere("glm-5"), 0, 500), "model_rate");
  });

  it("are remembered while their windows count when a reload takes them away: another may put them back", () => {
    const rules = [{ ...unlimited, pattern: flash, startsPerSecond: 1, tokensPerMinute: 1_000 }];
    const pool = new KeyPool(poolLimits([key("one")], rules));
    const [only] = pool.keys;
    assert.ok(only);
    const end = (now: number) => {
      for (const hold of occupy(pool, "one", flash, 0, now)) {
        hold.free();
        hold.spend(0, now);
      }
      pool.forget(pool.modelOn(only, flash), now);
    };
    end(0);
    pool.configure(poolLimits([key("one")]));
    end(500);
    pool.configure(poolLimits([key("one")], rules));
    assert.equal(pool.modelOn(only, flash).gates.openAt(1_200, 0), 1_500, "a second after the call without a limit");
    pool.configure(poolLimits([key("one")]));
    end(10_000);
    pool.forget(pool.modelOn(only, flash), 11_000);
    assert.deepEqual([...only.models.keys()], []);
  });

  it("are kept for a bounded number of idle models, since clients may send any name", () => {
    const pool = createPool(key("one"));
    const [only] = pool.keys;
    assert.ok(only);
    const [running] = [occupy(pool, "one", "in use")];
    for (let index = 0; index < 3_000; index++) pool.modelOn(only, `model ${index}`);
    assert.ok(only.models.size <= 1_000, String(only.models.size));
    assert.ok(only.models.has("in use"), "what runs is still counted");
    for (const hold of running) hold.free();
  });

  it("queue a model apart for what was learned of it or for its trouble, too", () => {
    const pool = createPool(key("one"));
    const [only] = pool.keys;
    assert.ok(only);
    pool.modelOn(only, "glm-5").learned.lower(3, 0, 10);
    pool.modelOn(only, "glm-6").health.trip(1_000, "1305", null, 0);
    assert.deepEqual([pool.isApart("glm-5"), pool.isApart("glm-6"), pool.isApart(flash)], [true, true, false]);
  });
});

describe("what a pool bears", () => {
  it("is the sum over the keys that serve the model", () => {
    const pool = createPool(
      key("one", { startsPerSecond: 3, concurrencyMax: 2, tokensPerMinute: 60_000 }),
      key("two", { startsPerSecond: 1, concurrencyMax: 5, tokensPerMinute: 30_000, models: ["glm-5*"] }),
    );
    assert.deepEqual(
      [pool.ratePerMs("glm-5"), pool.concurrencyOf("glm-5"), pool.tokensPerMs("glm-5")],
      [0.004, 7, 1.5],
    );
    assert.deepEqual([pool.ratePerMs(flash), pool.concurrencyOf(flash), pool.tokensPerMs(flash)], [0.003, 2, 1]);
  });

  it("has no bound when one of them has none", () => {
    const pool = createPool(key("one"), { ...unlimited, name: "two", models: null });
    assert.deepEqual(
      [pool.ratePerMs(flash), pool.concurrencyOf(flash), pool.tokensPerMs(flash)],
      [infinity, infinity, infinity],
    );
  });

  it("is less by what was learned", () => {
    const pool = createPool(key("one", { concurrencyMax: 8 }), key("two", { concurrencyMax: 8 }));
    const [one] = pool.keys;
    assert.ok(one);
    const keyModel = pool.modelOn(one, flash);
    keyModel.learned.lower(4, 0, 10);
    keyModel.applyLearned();
    assert.equal(pool.concurrencyOf(flash), 11);
    one.account.pace.slow(0, 10);
    one.account.pace.slow(20, 30);
    assert.ok(Math.abs(pool.ratePerMs(flash) - (0.1 + 0.1 / 1.25)) < 1e-9);
  });
});

describe("a reload", () => {
  it("keeps what runs, what was sent and what was learned, by the key's name", () => {
    const pool = createPool(key("one", { startsPerSecond: 1 }), key("two"));
    occupy(pool, "one");
    const [one] = pool.keys;
    assert.ok(one);
    pool.modelOn(one, flash).learned.lower(5, 0, 10);
    pool.configure(poolLimits([key("new"), key("one", { startsPerSecond: 0.5 })]));
    assert.equal(pool.keys[1], one);
    const [ofKey, ofModel] = pool.lanes(0).filter(({ upstreamKey }) => upstreamKey === "one");
    assert.deepEqual([ofKey?.running, ofModel?.running, ofModel?.learnedConcurrency], [1, 1, 4]);
    assert.equal(pool.openAt(anywhere(flash), 0, 0), 0, "the new key is open");
    assert.equal(one.gates.openAt(0, 0), 2_000, "what was sent counts in the longer window");
  });

  it("still counts the calls of a key that comes back", () => {
    const pool = createPool(key("one", { concurrencyMax: 1 }));
    const holds = occupy(pool, "one");
    pool.configure(poolLimits([key("two")]));
    assert.equal(chosen(pool), "two");
    pool.configure(poolLimits([key("one", { concurrencyMax: 1 })]));
    assert.equal(chosen(pool), undefined);
    for (const hold of holds) hold.free();
    assert.equal(chosen(pool), "one");
  });

  it("ends blocks: whoever changes something wants another try", () => {
    const pool = createPool(key("one"));
    const [one] = pool.keys;
    assert.ok(one);
    one.health.trip(60_000, "1113", "upstream_account", 0);
    pool.modelOn(one, flash).health.trip(60_000, "1308", "upstream_quota", 0);
    assert.equal(chosen(pool), undefined);
    pool.configure(poolLimits([key("one")]));
    assert.equal(chosen(pool), "one");
  });

  it("lets a configured limit hold that is lower than the learned one", () => {
    const pool = createPool(key("one"));
    const [one] = pool.keys;
    assert.ok(one);
    pool.modelOn(one, flash).learned.lower(5, 0, 10);
    const rules = [{ ...unlimited, pattern: flash, concurrencyMax: 2 }];
    pool.configure(poolLimits([key("one", { concurrencyMax: null })], rules));
    assert.equal(pool.concurrencyOf(flash), 2);
  });
});

describe("a block that a call can't outlive", () => {
  it("is one as long as every key that serves its model has one, and then the first that ends", () => {
    const pool = createPool(key("one"), key("two"), key("other", { models: ["glm-5*"] }));
    const [one, two] = pool.keys;
    assert.ok(one && two);
    one.health.trip(60_000, "1113", "upstream_account", 0);
    assert.equal(pool.blockBeyond({ ...anywhere(flash), deadlineAt: 5_000 }), null, "the second key may serve it");
    const ofModel = pool.modelOn(two, flash).health;
    ofModel.trip(30_000, "1308", "upstream_quota", 0);
    assert.equal(pool.blockBeyond({ ...anywhere(flash), deadlineAt: 5_000 }), ofModel);
    assert.equal(
      pool.blockBeyond({ ...anywhere(flash), deadlineAt: 30_001 }),
      null,
      "it ends before the call's time does",
    );
  });

  it("is none while the upstream is only overloaded: that may end any moment", () => {
    const pool = createPool(key("one"));
    const [one] = pool.keys;
    assert.ok(one);
    pool.modelOn(one, flash).health.trip(30_000, "1305", null, 0);
    assert.equal(pool.blockBeyond({ ...anywhere(flash), deadlineAt: 5_000 }), null);
    assert.equal(pool.findBlocker(anywhere(flash), 0, 0), "model_hold");
  });
});

describe("a learned limit", () => {
  it("opens by itself when its time has come, other than a configured one", () => {
    const pool = createPool(key("one", { concurrencyMax: null }));
    const [one] = pool.keys;
    assert.ok(one);
    occupy(pool, "one");
    const keyModel = pool.modelOn(one, flash);
    keyModel.learned.lower(2, 0, 10);
    keyModel.applyLearned();
    assert.equal(pool.openAt(anywhere(flash), 0, 10), 30_010);
    const risen: (string | undefined)[] = [];
    pool.relax(flash, 30_009, () => risen.push("too early"));
    pool.relax(flash, 30_010, (_, raised) => risen.push(raised?.model));
    assert.deepEqual(risen, [flash]);
    assert.equal(pool.openAt(anywhere(flash), 0, 30_010), 30_010);
  });

  it("waits for ten typical calls, where these are long", () => {
    const pool = createPool(key("one", { concurrencyMax: null }));
    pool.slotMsOf = () => 20_000;
    const [one] = pool.keys;
    assert.ok(one);
    occupy(pool, "one");
    const keyModel = pool.modelOn(one, flash);
    keyModel.learned.lower(2, 0, 0);
    keyModel.applyLearned();
    assert.equal(pool.openAt(anywhere(flash), 0, 0), 200_000);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CoreDriver } from "../../test/simulation/core-driver.ts";
import { limitsOf } from "../../test/simulation/schedules.ts";
import type { KeyLimits } from "./scheduler.ts";

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

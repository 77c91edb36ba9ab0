import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Hold } from "./gates.ts";
import { LimitedUsers } from "./limited-users.ts";
import type { GateLimits } from "./scheduler.ts";

const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const minuteMs = 60_000;
/** Tokens are forgotten by the tenth of a second. */
const stepMs = 100;

function setUp(limits: Partial<GateLimits>) {
  const users = new LimitedUsers({ ...unlimited, ...limits });
  const isKnownAfterSweep = (now: number) => {
    users.sweep(now);
    return users.find("ada") !== undefined;
  };
  const start = (tokens = 0, isDebt = false) =>
    new Hold(users.take("ada").gates, { tokens, isDebt, hasWaited: false }, 0);
  return { users, start, isKnownAfterSweep };
}

describe("LimitedUsers.sweep()", () => {
  it("forgets who has nothing in flight and nothing that counts", () => {
    const { users, isKnownAfterSweep } = setUp({});
    users.take("ada");
    assert.equal(isKnownAfterSweep(0), false);
  });

  it("keeps who has a call in flight, sent or not", () => {
    const { start, isKnownAfterSweep } = setUp({});
    const hold = start();
    assert.equal(isKnownAfterSweep(minuteMs), true);
    hold.refund();
    hold.free();
    assert.equal(isKnownAfterSweep(minuteMs), false);
  });

  it("keeps who waits for a limit of its own", () => {
    const { users, isKnownAfterSweep } = setUp({});
    const user = users.take("ada");
    user.isBarred = true;
    assert.equal(isKnownAfterSweep(0), true);
    user.isBarred = false;
    assert.equal(isKnownAfterSweep(0), false);
  });

  it("keeps whose starts count, up to the end of their window", () => {
    const { start, isKnownAfterSweep } = setUp({ startsPerSecond: 0.1 });
    const hold = start();
    hold.stamp(500);
    hold.free();
    assert.equal(isKnownAfterSweep(10_499), true);
    assert.equal(isKnownAfterSweep(10_500), false);
  });

  for (const isDebt of [false, true]) {
    it(`keeps who has a call that is released but not settled, ${isDebt ? "whatever it was guessed to take" : "for what it reserved"}`, () => {
      const { users, start, isKnownAfterSweep } = setUp({ tokensPerMinute: 1_000 });
      const hold = start(10, isDebt);
      hold.stamp(0);
      hold.free();
      assert.equal(isKnownAfterSweep(5 * minuteMs), true);
      hold.spend(700, 5 * minuteMs);
      assert.equal(users.find("ada")?.gates.tokens?.used(5 * minuteMs), isDebt ? 690 : 700);
      assert.equal(isKnownAfterSweep(6 * minuteMs), true);
      assert.equal(isKnownAfterSweep(6 * minuteMs + stepMs), false);
    });
  }

  it("keeps what counted towards a limit that was taken away: it may come back", () => {
    const limits = { ...unlimited, startsPerSecond: 0.1, tokensPerMinute: 1_000 };
    const { users, start, isKnownAfterSweep } = setUp(limits);
    const hold = start(700);
    hold.stamp(0);
    hold.free();
    hold.spend(700, 0);
    users.configure(unlimited);
    assert.equal(isKnownAfterSweep(5_000), true);
    users.configure(limits);
    assert.equal(users.find("ada")?.gates.openAt(5_000, 0), 10_000);
    users.configure(unlimited);
    assert.equal(isKnownAfterSweep(20_000), true, "the minute of its tokens is not over");
    assert.equal(isKnownAfterSweep(minuteMs + stepMs), false);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limitsOf } from "../../test/contracts/scheduler.contract.ts";
import { Gates, Hold } from "./gates.ts";
import { KeyPool } from "./key-pool.ts";
import { describeUsers, listAllowances } from "./report.ts";
import type { GateLimits, KeyLimits } from "./scheduler.ts";
import { Share } from "./share.ts";

const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };

function poolOf(...keys: Partial<KeyLimits>[]): KeyPool {
  return new KeyPool({
    ...limitsOf({ sendGuardMs: 20 }),
    keys: keys.map((changes, index) => ({ ...unlimited, name: `key ${index}`, models: null, ...changes })),
  });
}

function userGates(limits: Partial<GateLimits>): Gates {
  const gates = new Gates();
  gates.configure({ ...unlimited, ...limits }, 0, 1);
  return gates;
}

/** A call that holds so many tokens and was sent. */
function send(gates: Gates | undefined, at: number, tokens = 0): Hold {
  assert.ok(gates);
  const hold = new Hold(gates, { tokens, isDebt: false, hasWaited: false }, at);
  hold.stamp(at);
  return hold;
}

describe("listAllowances()", () => {
  it("tells nothing where nothing is limited", () => {
    assert.deepEqual(listAllowances(poolOf({}), userGates({}), 0), []);
  });

  it("tells of each limit how much there is, what is left, and when all of it is again", () => {
    const pool = poolOf({ startsPerSecond: 10, concurrencyMax: 4, tokensPerMinute: 1_000 });
    const gates = pool.keys[0]?.gates;
    send(gates, 0);
    send(gates, 400).spend(0, 400);
    const byName = new Map(listAllowances(pool, userGates({}), 500).map((limit) => [limit.name, limit]));
    assert.deepEqual(byName.get("upstream"), {
      name: "upstream",
      limit: 10,
      remaining: 8,
      windowMs: 1_000,
      resetMs: 920,
    });
    assert.deepEqual(byName.get("upstream-streams"), {
      name: "upstream-streams",
      limit: 4,
      remaining: 2,
      windowMs: null,
      resetMs: null,
    });
    assert.deepEqual(byName.get("upstream-tokens"), {
      name: "upstream-tokens",
      limit: 1_000,
      remaining: 1_000,
      windowMs: 60_000,
      resetMs: 0,
    });
  });

  it("counts the tokens of calls that run as used, and tells when those that ended are back", () => {
    const pool = poolOf({ tokensPerMinute: 1_000 });
    const gates = pool.keys[0]?.gates;
    send(gates, 0, 300);
    send(gates, 0, 500).spend(100, 2_000);
    const [tokens] = listAllowances(pool, userGates({}), 2_000);
    assert.equal(tokens?.remaining, 600);
    assert.ok(Math.abs((tokens?.resetMs ?? 0) - 60_000) <= 200, String(tokens?.resetMs));
  });

  it("lists the scarcest first", () => {
    const pool = poolOf({ startsPerSecond: 10, concurrencyMax: 4 });
    const user = userGates({ startsPerSecond: 2, tokensPerMinute: 100 });
    send(pool.keys[0]?.gates, 0);
    send(user, 0, 80);
    assert.deepEqual(
      listAllowances(pool, user, 0).map(({ name, remaining, limit }) => [name, remaining / limit]),
      [
        ["user-tokens", 0.2],
        ["user", 0.5],
        ["upstream-streams", 0.75],
        ["upstream", 0.9],
      ],
    );
  });

  it("adds the keys up", () => {
    const pool = poolOf({ startsPerSecond: 3, concurrencyMax: 2 }, { startsPerSecond: 1, concurrencyMax: 5 });
    send(pool.keys[0]?.gates, 0);
    assert.deepEqual(
      listAllowances(pool, userGates({}), 0).map(({ name, limit, remaining }) => [name, limit, remaining]),
      [
        ["upstream", 4, 3],
        ["upstream-streams", 7, 6],
      ],
    );
  });

  it("tells of no limit that one of the keys does not have: there is no end of it", () => {
    const pool = poolOf({ startsPerSecond: 3, concurrencyMax: 2, tokensPerMinute: 10 }, {});
    assert.deepEqual(listAllowances(pool, userGates({}), 0), []);
  });

  it("never tells less than nothing, when more runs than a lowered limit allows", () => {
    const user = userGates({ concurrencyMax: 3, tokensPerMinute: 100, startsPerSecond: 3 });
    for (let count = 0; count < 3; count++) send(user, 0, 30);
    user.configure({ concurrencyMax: 1, tokensPerMinute: 50, startsPerSecond: 1 }, 0, 1);
    assert.deepEqual(
      listAllowances(poolOf({}), user, 0).map(({ remaining }) => remaining),
      [0, 0, 0],
    );
  });
});

describe("describeUsers()", () => {
  it("tells of each user in each class who waits, runs, was served and is ahead of its share", () => {
    const root = new Share("", 1, null);
    const ada = root.child("default", 4).child("ada", 2);
    const bob = root.child("batch", 1).child("bob", 1);
    ada.enter();
    ada.charge(3_000, Number.POSITIVE_INFINITY);
    ada.countRunning(1);
    bob.enter();
    bob.countWaiting(1);
    assert.deepEqual(describeUsers(root), [
      {
        userId: "ada",
        class: "default",
        weight: 2,
        waiting: 0,
        running: 1,
        servedSeconds: 3,
        aheadSeconds: 3,
      },
      { userId: "bob", class: "batch", weight: 1, waiting: 1, running: 0, servedSeconds: 0, aheadSeconds: 0 },
    ]);
  });
});

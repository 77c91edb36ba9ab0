import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Gates, Hold } from "./gates.ts";
import type { GateLimits } from "./scheduler.ts";

const minuteMs = 60_000;
const infinity = Number.POSITIVE_INFINITY;
const unlimited: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };

function createGates(limits: Partial<GateLimits> = {}): Gates {
  const gates = new Gates();
  gates.configure({ ...unlimited, ...limits }, 0, 1);
  return gates;
}

function take(gates: Gates, tokens: number, isDebt = false): Hold {
  return new Hold(gates, { tokens, isDebt, hasWaited: false }, 0);
}

/** What is left of each limit: as before, if nothing has leaked. */
function stateOf({ inFlight, window, tokens }: Gates, now: number) {
  return { inFlight, starts: window?.remaining(now).count, tokens: tokens?.used(now) };
}

describe("Gates", () => {
  it("are open without any limit, for any number of calls", () => {
    const gates = createGates();
    for (let count = 0; count < 100; count++) take(gates, 1_000);
    assert.equal(gates.openAt(5, 1e9), 5);
    assert.equal(gates.findBlocker(5, 1e9), null);
  });

  it("open when the last of them does", () => {
    const gates = createGates({ startsPerSecond: 1, tokensPerMinute: 100 });
    const hold = take(gates, 100);
    hold.stamp(0);
    hold.spend(100, 200);
    const openAt = gates.openAt(200, 100);
    assert.ok(openAt >= 200 + minuteMs, String(openAt));
    assert.equal(gates.openAt(200, 0), 1_000, "without tokens, only the rate is in the way");
  });

  it("name what is in the way", () => {
    const gates = createGates({ startsPerSecond: 1, concurrencyMax: 2, tokensPerMinute: 100 });
    assert.equal(gates.findBlocker(0, 100), null);
    const hold = take(gates, 50);
    hold.stamp(0);
    assert.equal(gates.findBlocker(500, 10), "rate");
    assert.equal(gates.findBlocker(1_000, 51), "tokens");
    take(gates, 0).stamp(1_000);
    assert.equal(gates.findBlocker(1_000, 0), "concurrency");
  });

  it("know of a limit that was taken away and comes back what its window has seen meanwhile", () => {
    const limits: GateLimits = { ...unlimited, startsPerSecond: 1, tokensPerMinute: 100 };
    const gates = createGates(limits);
    const before = take(gates, 60, true);
    before.stamp(0);
    gates.configure(unlimited, 0, 1);
    assert.equal(gates.findBlocker(100, 1_000), null, "nothing limits now");
    const during = take(gates, 40, true);
    during.stamp(500);
    gates.configure(limits, 0, 1);
    assert.equal(gates.openAt(600, 0), 1_500, "the second after the send without a limit");
    assert.equal(gates.tokens?.used(600), 100);
    assert.ok(gates.openAt(600, 1) >= minuteMs);
  });

  it("are shut without an end while as many run as may", () => {
    const gates = createGates({ concurrencyMax: 1 });
    const hold = take(gates, 0);
    assert.equal(gates.openAt(0, 0), infinity);
    hold.free();
    assert.equal(gates.openAt(0, 0), 0);
  });

  it("add the guard to the window, and stretch it by the slowdown", () => {
    const gates = new Gates();
    gates.configure({ ...unlimited, startsPerSecond: 2 }, 20, 1.5);
    for (const at of [0, 10]) take(gates, 0).stamp(at);
    assert.equal(gates.openAt(10, 0), 1_520);
  });

  it("keep counting what was sent and what runs when limits change", () => {
    const gates = createGates({ startsPerSecond: 2, concurrencyMax: 2, tokensPerMinute: 100 });
    take(gates, 60).stamp(0);
    gates.configure({ startsPerSecond: 1, concurrencyMax: 1, tokensPerMinute: 50 }, 0, 1);
    assert.deepEqual(stateOf(gates, 100), { inFlight: 1, starts: 0, tokens: 60 });
    assert.equal(gates.openAt(100, 0), infinity);
  });
});

describe("Hold", () => {
  const all: GateLimits = { startsPerSecond: 1, concurrencyMax: 1, tokensPerMinute: 100 };

  it("takes a place of every kind at once", () => {
    const gates = createGates(all);
    take(gates, 40);
    assert.deepEqual(stateOf(gates, 0), { inFlight: 1, starts: 0, tokens: 40 });
  });

  it("leaves nothing behind when its call was never sent", () => {
    const gates = createGates(all);
    const hold = take(gates, 40);
    hold.refund();
    hold.free();
    hold.spend(40, 10);
    assert.deepEqual(stateOf(gates, 10), { inFlight: 0, starts: 1, tokens: 0 });
  });

  it("gives nothing back once its call was sent", () => {
    const gates = createGates(all);
    const hold = take(gates, 40);
    hold.stamp(0);
    hold.refund();
    assert.deepEqual(stateOf(gates, 10), { inFlight: 1, starts: 0, tokens: 40 });
  });

  it("counts the tokens that were reserved to the end, and then those that were used", () => {
    const gates = createGates({ tokensPerMinute: 100 });
    const hold = take(gates, 80);
    hold.stamp(0);
    assert.equal(gates.tokens?.used(2 * minuteMs), 80);
    hold.spend(30, 2 * minuteMs);
    assert.equal(gates.tokens?.used(2 * minuteMs), 30);
    assert.equal(gates.tokens?.used(3 * minuteMs + 100), 0);
  });

  it("in debt, counts the guess from the send on, and adds at the end what it lacked", () => {
    const gates = createGates({ tokensPerMinute: 100 });
    const hold = take(gates, 30, true);
    hold.stamp(0);
    hold.spend(90, 10_000);
    assert.equal(gates.tokens?.used(10_000), 90);
    assert.equal(gates.tokens?.used(minuteMs + 100), 60, "the guess has left, what was added has not");
    assert.equal(gates.tokens?.used(minuteMs + 10_100), 0);
  });

  it("in debt, takes back at the end what was guessed too much", () => {
    const gates = createGates({ tokensPerMinute: 100 });
    const hold = take(gates, 80, true);
    hold.stamp(0);
    hold.spend(20, 10_000);
    assert.equal(gates.tokens?.used(10_000), 20);
  });

  it("holds nothing of a limit that came after it, and gives back to the one that it took", () => {
    const gates = createGates({ concurrencyMax: 2 });
    const early = take(gates, 40);
    gates.configure(all, 0, 1);
    assert.deepEqual(stateOf(gates, 0), { inFlight: 1, starts: 1, tokens: 0 });
    early.stamp(0);
    early.free();
    early.spend(500, 10);
    assert.deepEqual(stateOf(gates, 10), { inFlight: 0, starts: 1, tokens: 0 });

    const late = take(gates, 40);
    gates.configure(unlimited, 0, 1);
    late.stamp(10);
    late.free();
    late.spend(40, 20);
    gates.configure(all, 0, 1);
    assert.deepEqual(stateOf(gates, 20), { inFlight: 0, starts: 0, tokens: 40 }, "sent while nothing limited");
  });

  it("frees, spends and refunds once, in whatever order and however often it is told", () => {
    const action = fc.constantFrom("stamp", "refund", "free", "spend");
    fc.assert(
      fc.property(fc.array(action, { maxLength: 12 }), fc.boolean(), (actions, isDebt) => {
        const gates = createGates({ startsPerSecond: 10, concurrencyMax: 10, tokensPerMinute: 1_000 });
        // Another call is in flight all the time, so that too much given back would show.
        take(gates, 100).stamp(0);
        const hold = take(gates, 50, isDebt);
        let isSent = false;
        let isRefunded = false;
        let isSpent = false;
        for (const name of actions) {
          if (name === "stamp") {
            // Whoever owns a hold sends once, and never what it has given up.
            if (isSent || isRefunded || isSpent) continue;
            isSent = true;
            hold.stamp(0);
          } else if (name === "refund") {
            hold.refund();
            isRefunded ||= !isSent && !isSpent;
          } else if (name === "free") {
            hold.free();
          } else if (isSent || isRefunded) {
            hold.spend(70, 0);
            isSpent = true;
          }
        }
        const isFree = actions.includes("free");
        const ofTokens = isRefunded ? 0 : isSpent ? 70 : 50;
        assert.deepEqual(stateOf(gates, 0), {
          inFlight: isFree ? 1 : 2,
          starts: isRefunded ? 9 : 8,
          tokens: 100 + ofTokens,
        });
      }),
    );
  });
});

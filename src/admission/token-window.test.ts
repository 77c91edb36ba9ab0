import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TokenWindow } from "./token-window.ts";

const minuteMs = 60_000;
const infinity = Number.POSITIVE_INFINITY;

describe("TokenWindow", () => {
  it("counts what is reserved until it is spent, and what is spent for a whole window", () => {
    const window = new TokenWindow(1_000, 60_000);
    window.reserve(600);
    assert.equal(window.freeAt(0, 500), Number.POSITIVE_INFINITY);
    assert.equal(window.freeAt(0, 400), 0);
    window.spend(600, 600, 1_000);
    const freeAt = window.freeAt(1_000, 500);
    assert.ok(freeAt >= 61_000 && freeAt <= 61_200, String(freeAt));
    assert.equal(window.freeAt(freeAt, 500), freeAt, "it is open at the time it named");
  });

  it("gives back at once what was reserved and not used", () => {
    const window = new TokenWindow(1_000, 60_000);
    window.reserve(900);
    window.spend(900, 100, 0);
    assert.equal(window.used(0), 100);
    assert.equal(window.freeAt(0, 900), 0);
  });

  it("takes back what a guess was too high by", () => {
    const window = new TokenWindow(1_000, 60_000);
    window.reserve(800);
    window.spend(800, 800, 50);
    window.refund(700, 50, 20_000);
    assert.equal(window.used(20_000), 100);
  });

  it("lets what wants more than all of it start when nothing else counts", () => {
    const window = new TokenWindow(1_000, 60_000);
    assert.equal(window.freeAt(0, 5_000), 0);
    window.reserve(1);
    assert.equal(window.freeAt(0, 5_000), Number.POSITIVE_INFINITY);
  });

  it("knows when it is empty, and keeps no more than its window", () => {
    const window = new TokenWindow(1e9, 60_000);
    for (let now = 0; now < 600_000; now += 50) window.spend(0, 1, now);
    assert.ok(window.used(600_000) <= 1_203, String(window.used(600_000)));
    const emptyAt = window.emptyAt(600_000);
    assert.equal(window.used(emptyAt), 0);
  });

  it("counts a reservation for as long as its call runs, however long that is", () => {
    const window = new TokenWindow(1_000, minuteMs);
    window.reserve(700);
    assert.equal(window.used(10 * minuteMs), 700);
    assert.equal(window.freeAt(10 * minuteMs, 301), infinity);
  });

  it("opens as soon as enough has left, not when all has", () => {
    const window = new TokenWindow(1_000, minuteMs);
    window.spend(0, 500, 0);
    window.spend(0, 500, 30_000);
    assert.ok(window.freeAt(30_000, 500) <= minuteMs + 100);
    assert.ok(window.freeAt(30_000, 501) >= 30_000 + minuteMs);
  });

  it("lets nothing beside what wants more than all of it, nor that in the minute after anything else", () => {
    const window = new TokenWindow(1_000, minuteMs);
    window.spend(0, 1, 0);
    const freeAt = window.freeAt(0, 5_000);
    assert.ok(freeAt >= minuteMs && freeAt <= minuteMs + 100, String(freeAt));
    window.reserve(5_000);
    assert.equal(window.freeAt(freeAt, 1), infinity);
  });

  it("takes back nothing of what no longer counts", () => {
    const window = new TokenWindow(1_000, minuteMs);
    window.spend(0, 700, 0);
    window.spend(0, 500, 2 * minuteMs);
    window.refund(700, 0, 2 * minuteMs);
    assert.equal(window.used(2 * minuteMs), 500);
  });

  it("lets never more than the limit run and have run within any minute, and opens when it says", () => {
    const call = fc.record({
      gapMs: fc.nat(20_000),
      tokens: fc.integer({ min: 1, max: 1_000 }),
      usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
      slotMs: fc.integer({ min: 1, max: 90_000 }),
    });
    fc.assert(
      fc.property(fc.array(call, { minLength: 5, maxLength: 60, size: "max" }), (calls) => {
        const window = new TokenWindow(1_000, minuteMs);
        const running: { tokens: number; used: number; from: number; until: number }[] = [];
        const all: { used: number; from: number; until: number }[] = [];
        let now = 0;
        function endUntil(time: number): void {
          running.sort((a, b) => a.until - b.until);
          while (running[0] && running[0].until <= time) {
            const { tokens, used, until } = running.shift() as (typeof running)[number];
            window.spend(tokens, used, until);
          }
        }
        for (const { gapMs, tokens, usedShare, slotMs } of calls) {
          now += gapMs;
          endUntil(now);
          for (let freeAt = window.freeAt(now, tokens); freeAt > now; freeAt = window.freeAt(now, tokens)) {
            now = Math.min(freeAt, running[0]?.until ?? infinity);
            assert.ok(now < infinity, "with nothing running it opens by itself");
            endUntil(now);
          }
          window.reserve(tokens);
          const started = { tokens, used: Math.floor(tokens * usedShare), from: now, until: now + slotMs };
          running.push(started);
          all.push(started);
        }
        // At any moment of its run the upstream may count all of a call; the worst minute ends at a start.
        for (const { from: end } of all) {
          const counted = all.filter(({ from, until }) => from <= end && until > end - minuteMs);
          const sum = counted.reduce((total, { used }) => total + used, 0);
          assert.ok(sum <= 1_000, `${sum} tokens in the minute before ${end}`);
        }
      }),
    );
  });
});

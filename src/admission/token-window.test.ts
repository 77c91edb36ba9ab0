import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TokenWindow } from "./token-window.ts";

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
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Quantile } from "./quantile.ts";

/** Numbers in [0, 1) that look random and are the same each time. */
function createNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % (2 ** 31 - 1);
    return state / (2 ** 31 - 1);
  };
}

describe("Quantile", () => {
  it("is its initial value until something was observed", () => {
    const quantile = new Quantile(0.9, 40);
    assert.equal(quantile.isKnown, false);
    assert.ok(Math.abs(quantile.value - 40) < 1e-9);
  });

  it("is the first observation then, however far from the initial value", () => {
    const quantile = new Quantile(0.5, 1);
    quantile.add(25_000);
    assert.equal(quantile.isKnown, true);
    assert.ok(Math.abs(quantile.value - 25_000) < 1e-6);
  });

  it("stays where it is while all observations are the same", () => {
    const quantile = new Quantile(0.5, 1);
    for (let count = 0; count < 100; count++) quantile.add(300);
    assert.ok(Math.abs(quantile.value - 300) < 1e-6);
  });

  it("stays a positive number when nothing takes any time", () => {
    const quantile = new Quantile(0.5, 1);
    for (const value of [0, -5, 0]) quantile.add(value);
    assert.ok(quantile.value > 0 && Number.isFinite(quantile.value));
  });

  for (const share of [0.5, 0.9]) {
    it(`lets ${share * 100} % of what comes stay below it, whatever the scale`, () => {
      fc.assert(
        fc.property(fc.constantFrom(0.01, 1, 1_000, 1e6), fc.integer({ min: 1, max: 2 ** 20 }), (unit, seed) => {
          const next = createNumbers(seed);
          const quantile = new Quantile(share, 1);
          let belowCount = 0;
          for (let count = 0; count < 3_000; count++) {
            // Most are short and some are long, as answers are.
            const value = unit * Math.exp(2 * next());
            if (count >= 500 && value < quantile.value) belowCount++;
            quantile.add(value);
          }
          const below = belowCount / 2_500;
          assert.ok(Math.abs(below - share) < 0.03, `${below} stayed below it`);
        }),
        { numRuns: 50 },
      );
    });
  }

  it("follows when what it observes becomes ten times longer", () => {
    const quantile = new Quantile(0.5, 1);
    for (let count = 0; count < 200; count++) quantile.add(100);
    for (let count = 0; count < 200; count++) quantile.add(1_000);
    assert.ok(quantile.value > 900 && quantile.value < 1_100, String(quantile.value));
  });
});

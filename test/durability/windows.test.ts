// A few of the trials of `npm run test:windows`, and what its judge finds.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge, tryWindows, type WindowLimits } from "./window-trial.ts";

const unlimited: WindowLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };

describe("limits of the upstream, over gateways that are stopped, killed and given new settings", () => {
  for (const [seed, limits, startsMin] of [
    [1, { ...unlimited, startsPerSecond: 0.5 }, 3],
    [3, { startsPerSecond: 5, concurrencyMax: 2, tokensPerMinute: 2_000 }, 3],
  ] as const) {
    it(`hold: ${JSON.stringify(limits)}`, async () => {
      const { problems, starts } = await tryWindows({ seed, limits, lives: 3, lifeMsMax: 700, waitMsMax: 8_000 });
      assert.deepEqual(problems, []);
      assert.ok(starts >= startsMin, `${starts} starts: each window opens again`);
    });
  }

  it("are seen to be broken by one start too many, one call too many, and tokens too many", () => {
    const starts = [0, 100, 200, 300, 400];
    assert.deepEqual(judge({ ...unlimited, startsPerSecond: 5 }, [...starts, 1_000], []), []);
    assert.equal(judge({ ...unlimited, startsPerSecond: 5 }, [...starts, 999], []).length, 1);
    assert.equal(judge({ ...unlimited, startsPerSecond: 0.5 }, [0, 1_999], []).length, 1);
    assert.equal(judge({ ...unlimited, tokensPerMinute: 250 }, [...starts, 59_999], []).length, 1);
    const atOnce = [
      [0, 1],
      [5, -1],
      [5, 1],
      [6, 1],
      [7, -1],
      [8, -1],
    ] as const;
    assert.deepEqual(judge({ ...unlimited, concurrencyMax: 2 }, [], atOnce), []);
    assert.equal(judge({ ...unlimited, concurrencyMax: 1 }, [], atOnce).length, 1);
  });
});

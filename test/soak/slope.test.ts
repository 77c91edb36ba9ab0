import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findSlope } from "./slope.ts";

describe("findSlope()", () => {
  it("finds how steep a series rises, and how sure that is", () => {
    const at = (minutes: number, megabytes: number) => ({ atMs: minutes * 60_000, megabytes });
    assert.deepEqual(findSlope([at(0, 100), at(30, 103), at(60, 106)]), { perHour: 6, error: 0 });
    const { perHour, error } = findSlope([at(0, 100), at(20, 90), at(40, 110), at(60, 100)]);
    assert.ok(Math.abs(perHour - 6) < 1e-9 && error > 5, `${perHour} ${error}`);
  });
});

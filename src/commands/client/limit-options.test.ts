import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandError } from "../command-error.ts";
import { applyLimits, describeLimits, parseLimits } from "./limit-options.ts";

const refusalOf = (...typed: string[]) => {
  try {
    parseLimits(typed);
  } catch (error) {
    assert.ok(error instanceof CommandError);
    assert.equal(error.exitCode, 2);
    return error.message;
  }
  return assert.fail("it was taken");
};

describe("--limit", () => {
  it("sets what is named, takes away with none, and leaves the others", () => {
    const changes = parseLimits(["requests/day=1000", "cost/month=0.5", "concurrency=none"]);
    assert.deepEqual(applyLimits({ concurrency: 2, "tokens/day": 5, "requests/day": 1 }, changes), {
      "tokens/day": 5,
      "requests/day": 1_000,
      "cost/month": 0.5,
    });
  });

  it("says which name was meant, and what an amount must be", () => {
    assert.match(refusalOf("request/day=5"), /did you mean requests\/day\?/);
    assert.match(refusalOf("bananas=5"), /known are requests\/minute, /);
    for (const text of ["requests/day", "requests/day=", "requests/day=-1", "requests/day=many", "requests/day=1e3"]) {
      assert.match(refusalOf(text), /must be a number, or none/, text);
    }
    assert.match(refusalOf("requests/day=1.5"), /must be a whole number/);
  });

  it("is read back in a fixed order", () => {
    assert.equal(describeLimits({ concurrency: 2, "requests/day": 1_000 }), "1,000 requests/day, 2 concurrency");
    assert.equal(describeLimits({}), null);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCallRules } from "./rules.ts";

const defaults = { totalMs: 20_000, firstByteMs: null, idleMs: null };

describe("createCallRules()", () => {
  it("gives a model the times of the first pattern that matches, field by field over the defaults", () => {
    const rules = createCallRules(
      defaults,
      [
        { pattern: "glm-5*", timeouts: { totalMs: 600_000 } },
        { pattern: "glm-*-flash", timeouts: { idleMs: 5_000 } },
        { pattern: "*", timeouts: { firstByteMs: 1_000 } },
      ],
      new Map(),
    );
    assert.deepEqual(rules.timeoutsFor({ model: "glm-5.3-flash", upload: null }), { ...defaults, totalMs: 600_000 });
    assert.deepEqual(rules.timeoutsFor({ model: "glm-4.5-flash", upload: null }), { ...defaults, idleMs: 5_000 });
    assert.deepEqual(rules.timeoutsFor({ model: "glm--flas", upload: null }), { ...defaults, firstByteMs: 1_000 });
    assert.deepEqual(rules.timeoutsFor({ model: "other", upload: null }), { ...defaults, firstByteMs: 1_000 });
  });

  it("takes a pattern for text, not for a regular expression", () => {
    const rules = createCallRules(defaults, [{ pattern: "glm-4.5*a*b", timeouts: { totalMs: 1 } }], new Map());
    assert.equal(rules.timeoutsFor({ model: "glm-4.5-xaxb", upload: null }).totalMs, 1);
    assert.equal(rules.timeoutsFor({ model: "glm-4.5ab", upload: null }).totalMs, 1);
    assert.equal(rules.timeoutsFor({ model: "glm-4x5ab", upload: null }).totalMs, 20_000);
    assert.equal(rules.timeoutsFor({ model: "glm-4.5b", upload: null }).totalMs, 20_000);
  });

  it("lets an API key ask those models alone that it is for", () => {
    const rules = createCallRules(defaults, [], new Map());
    rules.requireModel({ models: null }, "glm-4.6");
    rules.requireModel({ models: ["embedding-3", "glm-4*"] }, "glm-4.6");
    assert.throws(() => rules.requireModel({ models: ["embedding-3", "glm-4*"] }, "glm-5"), {
      reason: "model_not_allowed",
      status: 403,
    });
    assert.throws(() => rules.requireModel({ models: [] }, "glm-5"), { reason: "model_not_allowed" });
  });
});

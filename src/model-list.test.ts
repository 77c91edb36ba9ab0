import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Caller } from "./base/principal.ts";
import { listModels } from "./model-list.ts";
import { createCallRules } from "./rules.ts";

const timeouts = { totalMs: 1, firstByteMs: null, idleMs: null };
const rules = createCallRules(timeouts, [], new Map([["gpt-4o", "glm-4.7"]]));
const caller = (models: readonly string[] | null) => ({ models }) as Caller;
const others = new Set(["web_search"]);

describe("listModels()", () => {
  it("has GLM's, those that the configuration names, and aliases, each once and in order", () => {
    const keys = [
      { kind: "glm", models: ["glm-4.7", "glm-4.5-*", "web_search"] },
      { kind: "openai", models: ["qwen-7b"] },
    ] as const;
    const names = listModels(keys, rules, caller(null), others);
    assert.deepEqual(names, [
      "glm-4.5-air",
      "glm-4.5-airx",
      "glm-4.5-flash",
      "glm-4.5-x",
      "glm-4.7",
      "gpt-4o",
      "qwen-7b",
    ]);
  });

  it("has all of GLM's for a key of GLM's without patterns, and none of them for another server", () => {
    assert.ok(listModels([{ kind: "glm", models: null }], rules, caller(null), others).includes("glm-5.3"));
    assert.deepEqual(listModels([{ kind: "openai", models: null }], rules, caller(["x"]), others), []);
  });

  it("shows a caller what its key may use alone, by an alias too", () => {
    const keys = [{ kind: "glm", models: null }] as const;
    assert.deepEqual(listModels(keys, rules, caller(["glm-4.7"]), others), ["glm-4.7", "gpt-4o"]);
    assert.deepEqual(listModels(keys, rules, caller([]), others), []);
  });
});

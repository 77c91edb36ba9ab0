import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compilePattern } from "./name-pattern.ts";

function matching(pattern: string, names: readonly string[]): string[] {
  return names.filter(compilePattern(pattern));
}

describe("compilePattern()", () => {
  it("means the name itself when there is no star", () => {
    assert.deepEqual(matching("glm-4.6", ["glm-4.6", "glm-4x6", "GLM-4.6", "glm-4.6-air", ""]), ["glm-4.6"]);
  });

  it("lets a star stand for any run of characters, the empty one included", () => {
    assert.deepEqual(matching("*", ["", "glm-5"]), ["", "glm-5"]);
    assert.deepEqual(matching("glm-4*", ["glm-4", "glm-4.6", "my-glm-4"]), ["glm-4", "glm-4.6"]);
    assert.deepEqual(matching("*-air", ["-air", "glm-4.5-air", "air"]), ["-air", "glm-4.5-air"]);
    assert.deepEqual(matching("glm-*-air*", ["glm-4-air", "glm-4-airx", "glm-air"]), ["glm-4-air", "glm-4-airx"]);
  });

  it("never uses a character of the name twice", () => {
    assert.deepEqual(matching("ab*ba", ["aba", "abba", "abXba"]), ["abba", "abXba"]);
    assert.deepEqual(matching("a*bc*c", ["abc", "abcc", "aXbcXc"]), ["abcc", "aXbcXc"]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { resetAheadMs, toErrorBody, toGlmError } from "./glm-errors.ts";
import { createGlmId, formatBeijing } from "./glm-id.ts";
import { createRandom } from "./random.ts";

const now = Date.UTC(2026, 10, 23, 12, 15);

describe("errors of the simulated GLM", () => {
  it("have a status and words in both languages", () => {
    assert.deepEqual(toGlmError("1302", "en", now), {
      status: 429,
      code: "1302",
      message: "Rate limit reached for requests",
    });
    assert.match(toGlmError("1302", "zh", now).message, /速率限制/);
    assert.equal(toGlmError("1220", "en", now).status, 403);
  });

  it("name the parameter that is at fault", () => {
    assert.match(toGlmError("1214", "en", now, "temperature").message, /^Invalid temperature parameter/);
    assert.match(toGlmError("1213", "zh", now, "model").message, /model参数/);
  });

  it("name the time of a quota's reset in Beijing's time", () => {
    const reset = formatBeijing(now + resetAheadMs);
    assert.equal(reset, "2026-11-23 21:15:00");
    for (const code of ["1308", "1310", "1316", "1321"]) {
      assert.ok(toGlmError(code, "en", now).message.includes(reset), code);
      assert.ok(toGlmError(code, "zh", now).message.includes(reset), code);
    }
  });

  it("come as 500 when the code is unknown", () => {
    assert.deepEqual(toGlmError("9999", "en", now), { status: 500, code: "9999", message: "Error 9999" });
  });

  it("have a body of code and message alone, but for what the content filter looked at", () => {
    assert.deepEqual(toErrorBody({ status: 400, code: "1210", message: "no" }), {
      error: { code: "1210", message: "no" },
    });
    assert.deepEqual(Object.keys(toErrorBody(toGlmError("1301", "en", now))), ["contentFilter", "error"]);
  });
});

describe("ids of the simulated GLM", () => {
  it("begin with Beijing's time and differ within a second", () => {
    const random = createRandom(1);
    const [first, second] = [createGlmId(random, now), createGlmId(random, now)];
    assert.match(first, /^20261123201500[0-9a-f]{16}$/);
    assert.notEqual(first, second);
  });
});

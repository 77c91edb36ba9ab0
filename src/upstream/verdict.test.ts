import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeError, readErrorBody, readRetryAfter } from "./verdict.ts";

const wallNow = Date.parse("2026-11-23T12:00:00Z");

function judge(status: number, code: string | null, message = "", retryAfterMs: number | null = null) {
  return judgeError({ status, code, message, retryAfterMs }, wallNow).refusal;
}

describe("judgeError()", () => {
  // [what GLM said, what the client gets]
  const cases: [status: number, code: string | null, reason: string, ourStatus: number, shouldRetry: boolean][] = [
    [401, "401", "upstream_account", 502, false],
    [401, "1001", "upstream_account", 502, false],
    [403, null, "upstream_account", 502, false],
    [429, "1112", "upstream_account", 502, false],
    [429, "1113", "upstream_quota", 429, false],
    [429, "1304", "upstream_quota", 429, false],
    [429, "1302", "upstream_rate_limited", 429, true],
    [429, "1303", "upstream_rate_limited", 429, true],
    [200, "1302", "upstream_rate_limited", 429, true],
    [429, null, "upstream_rate_limited", 429, true],
    [429, "1305", "upstream_busy", 503, true],
    [529, "1305", "upstream_busy", 503, true],
    [200, "1305", "upstream_busy", 503, true],
    [429, "1313", "upstream_account", 502, false],
    [400, "1214", "upstream_rejected", 400, false],
    [200, "1214", "upstream_rejected", 400, false],
    [400, "1261", "upstream_rejected", 400, false],
    [422, null, "upstream_rejected", 422, false],
    [404, null, "upstream_rejected", 404, false],
    [500, "1234", "upstream_failed", 502, true],
    [500, null, "upstream_failed", 502, true],
    [200, "9999", "upstream_failed", 502, true],
    [302, null, "upstream_unexpected", 502, false],
    [402, null, "upstream_quota", 429, false],
    [429, "insufficient_quota", "upstream_quota", 429, false],
    [401, "invalid_api_key", "upstream_account", 502, false],
    [200, "400", "upstream_rejected", 400, false],
    [200, "503", "upstream_busy", 503, true],
  ];
  for (const [status, code, reason, ourStatus, shouldRetry] of cases) {
    it(`reads ${status} with code ${code} as ${reason}: ${ourStatus}, ${shouldRetry ? "" : "no "}retry`, () => {
      const refusal = judge(status, code);
      assert.deepEqual([refusal.reason, refusal.status, refusal.shouldRetry], [reason, ourStatus, shouldRetry]);
    });
  }

  // [what GLM said, what it means for the key]
  const verdicts: [status: number, code: string | null, kind: string][] = [
    [200, "1302", "over_limit"],
    [429, null, "over_limit"],
    [429, "1303", "too_fast"],
    [529, "1305", "overloaded"],
    [429, "1312", "overloaded"],
    [429, "1308", "quota"],
    [429, "1113", "quota"],
    [401, null, "account"],
    [429, "1121", "account"],
    [429, "1311", "model_barred"],
    [429, "1313", "restricted"],
    [500, "1234", "failed"],
    [502, null, "failed"],
    [402, null, "quota"],
    [402, "invalid_request_error", "quota"],
    [429, "insufficient_quota", "quota"],
    [429, "exceeded_current_quota_error", "quota"],
    [400, "1301", "rejected"],
    [404, null, "rejected"],
  ];
  for (const [status, code, kind] of verdicts) {
    it(`takes ${status} with code ${code} as ${kind}`, () => {
      const error = { status, code, message: "", retryAfterMs: null };
      const { verdict } = judgeError(error, wallNow);
      assert.deepEqual([verdict.kind, verdict.code], [kind, code]);
    });
  }

  it("ends a day's quota at midnight in Beijing", () => {
    // 12:00 UTC is 20:00 there.
    const error = { status: 429, code: "1304", message: "", retryAfterMs: null };
    assert.equal(judgeError(error, wallNow).verdict.waitMs, 4 * 3_600_000);
  });

  it("passes the upstream's own code and words on when the request was at fault", () => {
    const refusal = judge(400, "1214", "messages must not be empty");
    assert.equal(refusal.code, "1214");
    assert.equal(refusal.facts.upstreamMessage, "messages must not be empty");
  });

  it("reads the reset time of a quota in Beijing's time", () => {
    const message = "Usage limit reached for 5 hour. Your limit will reset at 2026-11-23 20:30:00";
    assert.equal(judge(429, "1308", message).facts.retryAfterMs, 30 * 60_000);
    assert.equal(judge(429, "1308", "no time named").facts.retryAfterMs, undefined);
  });

  it("takes the upstream's Retry-After over its own idea", () => {
    assert.equal(judge(429, "1302", "", 7_000).facts.retryAfterMs, 7_000);
  });
});

describe("readErrorBody()", () => {
  it("reads every shape that GLM's surfaces have", () => {
    assert.deepEqual(readErrorBody({ error: { code: "1302", message: "m" } }), { code: "1302", message: "m" });
    assert.deepEqual(readErrorBody({ error: { code: 1302, message: "m" } }), { code: "1302", message: "m" });
    assert.deepEqual(readErrorBody({ code: 1001, msg: "m", success: false }), { code: "1001", message: "m" });
    assert.deepEqual(readErrorBody({ error: "m" }), { code: null, message: "m" });
  });

  it("reads the shapes of compatible servers, words alone only where it is known to be an error", () => {
    const cases: [object, string | null, string, isSure: boolean][] = [
      [{ object: "error", message: "too long", type: "BadRequestError", code: 400 }, "400", "too long", true],
      [
        { error: { code: "insufficient_quota", message: "m", type: "x", param: null } },
        "insufficient_quota",
        "m",
        true,
      ],
      [{ error: { message: "m", type: "exceeded_current_quota_error" } }, "exceeded_current_quota_error", "m", true],
      [{ success: false, message: "m" }, null, "m", true],
      [{ error: { detail: "m" } }, null, "m", true],
      [{ message: "too long", code: 400 }, "400", "too long", false],
      [{ detail: "model not loaded" }, null, "model not loaded", false],
      [
        { detail: [{ loc: ["body", "messages"], msg: "field required" }, { msg: "x" }, null, 7] },
        null,
        "body.messages: field required; x",
        false,
      ],
    ];
    for (const [body, code, message, isSure] of cases) {
      assert.deepEqual(readErrorBody(body, undefined, true), { code, message });
      assert.deepEqual(readErrorBody(body), isSure ? { code, message } : null);
    }
  });

  it("is null for what is no error", () => {
    const success = { code: 200, msg: "success", data: {} };
    for (const body of [undefined, null, "x", [], {}, { choices: [] }, { error: null, choices: [] }, success]) {
      assert.equal(readErrorBody(body), null);
    }
  });

  it("takes control characters out of messages and bounds them", () => {
    assert.equal(readErrorBody({ error: { message: "a\u001b[31mb\nc" } })?.message, "a [31mb c");
    assert.equal(readErrorBody({ error: { message: "x".repeat(5_000) } })?.message.length, 1_000);
  });
});

describe("readRetryAfter()", () => {
  it("reads seconds, dates and milliseconds, and caps them at ten minutes", () => {
    assert.equal(readRetryAfter("3", null, wallNow), 3_000);
    assert.equal(readRetryAfter("Mon, 23 Nov 2026 12:00:05 GMT", null, wallNow), 5_000);
    assert.equal(readRetryAfter("3", "250", wallNow), 250);
    assert.equal(readRetryAfter("86400", null, wallNow), 600_000);
    for (const nonsense of [null, "", "soon", "-1", "NaN"]) assert.equal(readRetryAfter(nonsense, null, wallNow), null);
  });
});

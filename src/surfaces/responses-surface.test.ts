import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal, refusalReasons } from "../base/refusal.ts";
import { responsesSurface } from "./responses-surface.ts";

interface Failed {
  readonly type: string;
  readonly response: { readonly status: string; readonly error: { readonly code: string; readonly message: string } };
}

function fail(refusal: Refusal): Failed {
  const event = responsesSurface.formatStreamError(refusal, "id-1", "en");
  const match = /^event: response\.failed\ndata: (.*)\n\n$/.exec(event);
  return JSON.parse(match?.[1] ?? "null") as Failed;
}

describe("the dialect of Responses", () => {
  it("has one event for every failure within a stream", () => {
    for (const reason of refusalReasons) {
      const { type, response } = fail(new Refusal(reason));
      assert.deepEqual([type, response.status], ["response.failed", "failed"]);
      assert.ok(response.error.message.length > 10, reason);
    }
  });

  it("names the time to wait where Codex waits by it", () => {
    const { error } = fail(new Refusal("queue_timeout", { retryAfterMs: 2_100 })).response;
    assert.equal(error.code, "rate_limit_exceeded");
    assert.match(error.message, / Please try again in 3s\.$/);
    assert.equal(fail(new Refusal("upstream_truncated")).response.error.code, "server_error");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal, type RefusalReason } from "../base/refusal.ts";
import { anthropicSurface } from "./anthropic-surface.ts";

describe("Anthropic's dialect", () => {
  it("says a refusal as its clients read it, with the type that its status has there", () => {
    const types: [RefusalReason, string][] = [
      ["invalid_token", "authentication_error"],
      ["model_not_allowed", "permission_error"],
      ["not_found", "not_found_error"],
      ["body_too_large", "request_too_large"],
      ["queue_full", "rate_limit_error"],
      ["invalid_field", "invalid_request_error"],
      ["upstream_busy", "overloaded_error"],
      ["queue_timeout", "api_error"],
      ["internal_error", "api_error"],
    ];
    for (const [reason, type] of types) {
      const body = JSON.parse(anthropicSurface.formatRefusal(new Refusal(reason), "id-1", "en")) as {
        error: { type: string; message: string };
      };
      assert.deepEqual({ ...body, error: body.error.type }, { type: "error", error: type, request_id: "id-1" });
      assert.ok(body.error.message.length > 10);
    }
  });

  it("says it within a stream as an event of that name", () => {
    const event = anthropicSurface.formatStreamError(new Refusal("upstream_truncated"), "id-1", "en");
    assert.match(event, /^event: error\ndata: \{"type":"error",.*\}\n\n$/);
  });

  it("pings who waits", () => {
    assert.equal(anthropicSurface.formatHeartbeat("comment", null, "id-1"), 'event: ping\ndata: {"type":"ping"}\n\n');
  });

  it("tells Claude Code to stop trying only when a quota is used up", () => {
    const resetsAt = "2026-11-24T00:00:00+08:00";
    assert.deepEqual(anthropicSurface.adviseHeaders(new Refusal("insufficient_quota", { resetsAt })), {
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": String(Date.parse(resetsAt) / 1_000),
    });
    assert.deepEqual(anthropicSurface.adviseHeaders(new Refusal("queue_full")), {});
  });
});

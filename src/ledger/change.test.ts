import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { arrive, estimate, serve } from "../../test/support/call-records.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { Refusal } from "../base/refusal.ts";
import { finalColumns, intentColumns, shorten, toFinal, toIntent } from "./change.ts";

const clock = createManualClock(500, 1_000_000);

function toRow(columns: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  assert.equal(values.length, columns.length);
  return Object.fromEntries(columns.map((column, index) => [column, values[index]]));
}

describe("toIntent()", () => {
  it("says who calls what, and what it is charged should its end never be known", () => {
    const record = arrive(clock, { groupId: "lab", keyId: "key-1" });
    const { values } = toIntent(record, estimate, "here");
    const { id, ...row } = toRow(intentColumns, values);
    assert.equal(id, record.id);
    assert.deepEqual(row, {
      request_id: "request-1",
      instance: "here",
      state: "open",
      user_name: "ada",
      group_name: "lab",
      key_id: "key-1",
      surface: "openai",
      model: "glm-4.5-flash",
      is_stream: 1,
      arrived_at: 1_000_000,
      bytes_in: 120,
      bytes_out: 0,
      events: 0,
      tries: 0,
      requests: 1,
      prompt_tokens: 100,
      completion_tokens: 500,
      tokens_source: "estimated",
      cost_micros: 600,
    });
  });
});

describe("toFinal()", () => {
  it("says when each thing happened by the wall clock, in whole milliseconds", async () => {
    const record = arrive(clock);
    await clock.advance(100.4);
    const row = toRow(finalColumns, toFinal(serve(record, clock), "here", null).values);
    assert.deepEqual(
      [row.arrived_at, row.granted_at, row.sent_at, row.first_byte_at, row.ended_at],
      [1_000_000, 1_000_005, 1_000_006, 1_000_040, 1_000_100],
    );
    assert.deepEqual([row.state, row.status, row.reason, row.prompt_tokens], ["served", 200, null, 11]);
  });

  it("says why a call was refused", () => {
    const refusal = new Refusal("upstream_rejected", { upstreamStatus: 400, upstreamCode: "1210" });
    const row = toRow(finalColumns, toFinal(arrive(clock, { refusal }), "here", null).values);
    assert.deepEqual(
      [row.state, row.status, row.reason, row.upstream_code],
      ["refused", 400, "upstream_rejected", "1210"],
    );
    assert.deepEqual([row.granted_at, row.sent_at, row.first_byte_at], [null, null, null]);
  });
});

describe("shorten()", () => {
  it("leaves 256 characters alone and cuts what is longer", () => {
    assert.equal(shorten("x".repeat(256)), "x".repeat(256));
    assert.equal(shorten("x".repeat(257)), "x".repeat(256));
    assert.equal(shorten(null), null);
  });

  it("never cuts a character in halves", () => {
    assert.equal(shorten(`${"x".repeat(255)}😀`), "x".repeat(255));
    assert.equal(shorten(`${"x".repeat(254)}😀😀`), `${"x".repeat(254)}😀`);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (text) => {
        const short = shorten(text);
        assert.ok(text.startsWith(short) && short.length <= 256);
        assert.equal(short.isWellFormed(), true);
      }),
    );
  });
});

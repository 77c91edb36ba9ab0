import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallJson } from "./client/wire.ts";
import { measureWidth } from "./output/display-width.ts";
import { createStyle, plainStyle } from "./output/style.ts";
import { layoutCall } from "./tail-command.ts";

const served: CallJson = {
  id: "c1",
  request_id: "01a206d4-7299-7ad3-85b8-13c7f1e90c58",
  state: "served",
  user: "ada",
  group: null,
  key_id: null,
  model: "glm-4.5-flash",
  arrived_at: "2026-11-23T05:15:16.000Z",
  granted_at: "2026-11-23T05:15:16.250Z",
  sent_at: null,
  first_byte_at: null,
  ended_at: "2026-11-23T05:15:18.000Z",
  prompt_tokens: 9,
  completion_tokens: 80,
  tokens_source: "reported",
  cost: 0,
  status: 200,
  reason: null,
  upstream_key: "default",
  queue_position: 0,
} as unknown as CallJson;

const calls: CallJson[] = [
  served,
  { ...served, state: "refused", status: 429, reason: "user_queue_full", granted_at: null, tokens_source: "none" },
  { ...served, state: "cut", reason: "upstream_reset", user: "a.very.long.name@example.org", model: "x".repeat(90) },
  { ...served, state: "cancelled", reason: "client_gone", user: "王小明的笔记本电脑", model: null as never },
  { ...served, user: "a\u001b[2Jb\u202e", model: "m\u0007\u009b", prompt_tokens: 123_456, tokens_source: "estimated" },
];

/** The text that begins at a column of the screen. */
function from(line: string, column: number): string {
  let width = 0;
  for (const [index, character] of [...line].entries()) {
    if (width === column) return [...line].slice(index).join("");
    width += measureWidth(character);
  }
  return "";
}

describe("a line of tail", () => {
  for (const width of [40, 80, 110, 120, 200, Number.POSITIVE_INFINITY]) {
    it(`has each column at the same place, within ${width} columns`, () => {
      const lines = calls.map((call) => layoutCall(call, width, plainStyle));
      for (const [index, line] of lines.entries()) {
        assert.ok(measureWidth(line) <= width, line);
        assert.match(from(line, 10), new RegExp(`^${calls[index]?.state}`));
        assert.doesNotMatch(line, /\p{C}/u);
      }
      if (width < 80) return;
      const detailsAt = width < 110 ? 61 : 84;
      const beginnings = ["01a206d4", "429 user_q", "upstream_r", "client_gon", "01a206d4"];
      for (const [index, line] of lines.entries()) {
        assert.ok(from(line, detailsAt).startsWith(beginnings[index] as string), `${from(line, detailsAt)}\n${line}`);
        assert.ok(line[8] === " " && from(line, 19).startsWith("  "), line);
      }
    });
  }

  it("shows the whole request id at 120 columns, and the same text with colours", () => {
    assert.ok(layoutCall(served, 120, plainStyle).endsWith(served.request_id));
    const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
    for (const call of calls) {
      assert.equal(
        layoutCall(call, 100, createStyle(true, {})).replace(escapes, ""),
        layoutCall(call, 100, plainStyle),
      );
    }
  });
});

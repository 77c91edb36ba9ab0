import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measureWidth } from "./output/display-width.ts";
import { plainStyle } from "./output/style.ts";
import { layoutView, type View } from "./top-command.ts";

const now = new Date(2026, 10, 23, 12, 30, 5).toISOString();

function view(waitingCount: number, runningCount: number, trouble: string | null = null): View {
  const call = { user: "王小明\u001b[2J", model: "glm-4.5-flash", class: "default" as const };
  return {
    trouble,
    upstreams: [
      {
        name: "default",
        requests_per_second: 2,
        max_concurrency: null,
        tokens_per_minute: null,
        lanes: [
          {
            model: null,
            running: runningCount,
            max_concurrency: 4,
            learned_concurrency: 4,
            slowdown: 1,
            guard_ms: 20,
            blocked_ms: 0,
            blocked_because: null,
            is_disabled: false,
          },
        ],
      },
    ],
    queue: {
      waiting_count: waitingCount,
      running_count: runningCount,
      queue_capacity: 20,
      next_start_in_ms: 500,
      running: Array.from({ length: runningCount }, (_, index) => ({
        ...call,
        request_id: `running-${index}`,
        upstream_key: "default",
        running_ms: 1_500,
        is_sent: true,
      })),
      waiting: Array.from({ length: waitingCount }, (_, index) => ({
        ...call,
        request_id: `waiting-${index}`,
        position: index + 1,
        eta_ms: 500 * (index + 1),
        eta_p90_ms: 600 * (index + 1),
        waited_ms: 100,
        blocked_by: "rate",
        tries: 0,
      })),
    },
  };
}

describe("layoutView()", () => {
  it("shows limits, users, running and waiting calls", () => {
    const text = layoutView(view(2, 1), { columns: 100, rows: 40 }, plainStyle, now).join("\n");
    assert.match(text, /glm-proxy {2}12:30:05 .*q ends/);
    assert.match(text, /upstream key default: 2 starts\/s/);
    assert.match(text, /all models: 1 of 4 running; learned: 4 at once/);
    assert.match(text, /1 active user/);
    assert.match(text, /1 call runs/);
    assert.match(text, /2 calls wait, of at most 20; the next starts in 500 ms/);
  });

  it("never has more lines than rows, nor wider ones than columns, nor what others could draw with", () => {
    for (const [columns, rows] of [
      [100, 24],
      [40, 10],
      [20, 5],
      [10, 2],
    ] as const) {
      const lines = layoutView(view(200, 30), { columns, rows }, plainStyle, now);
      assert.ok(lines.length <= rows, `${lines.length} lines of ${rows}`);
      for (const line of lines) {
        assert.ok(measureWidth(line) <= columns, `${columns}: ${line}`);
        assert.doesNotMatch(line, /\p{Cc}/u);
      }
    }
  });

  it("says when it is out of date, and why", () => {
    const [first] = layoutView(view(0, 0, "Cannot reach the gateway."), { columns: 80, rows: 24 }, plainStyle, now);
    assert.equal(first, "Cannot reach the gateway.");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import type { LaneState, SchedulerGauges, UserState } from "../admission/scheduler.ts";
import { type CallRecord, openRecord } from "../ledger/record.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

const lane: LaneState = {
  upstreamKey: "default",
  model: null,
  running: 1,
  concurrencyMax: null,
  learnedConcurrency: null,
  slowdown: 1,
  guardMs: 20,
  blockedMs: 0,
  blockedBecause: null,
  isDisabled: false,
};

const user: UserState = {
  userId: "ada",
  class: "default",
  weight: 1,
  waiting: 0,
  running: 0,
  servedSeconds: 0,
  aheadSeconds: 0,
};

/** The gateway's own series, without comments and Node's. */
async function scrape(gauges: Partial<SchedulerGauges>, userLabelsMax = 0, prepare?: (metrics: Metrics) => void) {
  const all = { waiting: 0, running: 0, queueCapacity: 20, lanes: [], users: [], ...gauges };
  const metrics = createMetrics({
    version: "0",
    gauges: () => all,
    ledger: () => ({ waiting: 0, lost: 0, spooled: 0, isFailing: false }),
    cache: () => ({ entries: 1, bytes: 7, hits: 3, misses: 2, joined: 1 }),
    unsentBytes: () => 0,
    userLabelsMax: () => userLabelsMax,
  });
  prepare?.(metrics);
  await metrics.render();
  const text = await metrics.render();
  return text
    .split("\n")
    .filter((line) => /^glm_proxy_(queue_|lane_|user|alerts|upstream_refusals|calls_running)/.test(line));
}

function createServed(model: string): CallRecord {
  return { ...openRecord("id", "chat", createManualClock()), model, sentAt: 0, upstreamStatus: 200, outcome: "served" };
}

describe("metrics of the queue", () => {
  it("tell its depth and capacity, and how many users wait", async () => {
    const users = [
      { ...user, waiting: 2 },
      { ...user, class: "batch", waiting: 1 } as const,
      { ...user, userId: "bob", running: 1 },
    ];
    const lines = await scrape({ waiting: 3, running: 1, users });
    for (const line of ["glm_proxy_queue_depth 3", "glm_proxy_queue_capacity 20", "glm_proxy_calls_running 1"])
      assert.ok(lines.includes(line), line);
    assert.ok(lines.includes("glm_proxy_users_waiting 1"));
    assert.ok(!lines.some((line) => line.includes("ada")), "no label names a person");
  });
});

describe("metrics of lanes", () => {
  it("tell each limit's state, and nothing where there is no limit", async () => {
    const learned = { ...lane, model: "m", concurrencyMax: 2, learnedConcurrency: 2, slowdown: 1.5, blockedMs: 1_500 };
    const served = (metrics: Metrics) => metrics.countCall(createServed("m"));
    const lines = await scrape({ lanes: [lane, { ...learned, isDisabled: true }] }, 0, served);
    assert.deepEqual(
      lines.filter((line) => line.startsWith("glm_proxy_lane_")),
      [
        'glm_proxy_lane_running{key="default",model=""} 1',
        'glm_proxy_lane_running{key="default",model="m"} 1',
        'glm_proxy_lane_concurrency_limit{key="default",model="m"} 2',
        'glm_proxy_lane_learned_concurrency{key="default",model="m"} 2',
        'glm_proxy_lane_slowdown_ratio{key="default",model=""} 1',
        'glm_proxy_lane_slowdown_ratio{key="default",model="m"} 1.5',
        'glm_proxy_lane_guard_seconds{key="default",model=""} 0.02',
        'glm_proxy_lane_guard_seconds{key="default",model="m"} 0.02',
        'glm_proxy_lane_blocked_seconds{key="default",model=""} 0',
        'glm_proxy_lane_blocked_seconds{key="default",model="m"} 1.5',
        'glm_proxy_lane_disabled{key="default",model=""} 0',
        'glm_proxy_lane_disabled{key="default",model="m"} 1',
      ],
    );
  });

  it("take models together that the upstream never answered for", async () => {
    const lanes = Array.from({ length: 1_000 }, (_, index) => ({ ...lane, model: `x${index}`, blockedMs: index }));
    const lines = await scrape({ lanes });
    assert.ok(lines.includes('glm_proxy_lane_running{key="default",model="other"} 1000'));
    assert.ok(lines.includes('glm_proxy_lane_blocked_seconds{key="default",model="other"} 0.999'));
    assert.equal(lines.filter((line) => line.startsWith("glm_proxy_lane_running")).length, 1);
  });
});

describe("metrics of users", () => {
  const users = [
    { ...user, servedSeconds: 9, aheadSeconds: 1 },
    { ...user, userId: "bob", waiting: 3, running: 1 },
    { ...user, userId: "eve", waiting: 1 },
    { ...user, userId: "eve", class: "batch", waiting: 1 } as const,
  ];

  it("name the busiest, as many as the operator wants, and take the rest together", async () => {
    const waiting = (await scrape({ users }, 2)).filter((line) => line.startsWith("glm_proxy_user_waiting"));
    assert.deepEqual(waiting, [
      'glm_proxy_user_waiting{user="bob"} 3',
      'glm_proxy_user_waiting{user="eve"} 2',
      'glm_proxy_user_waiting{user="other"} 0',
    ]);
    const served = (await scrape({ users }, 3)).filter((line) => line.startsWith("glm_proxy_user_served"));
    assert.ok(served.includes('glm_proxy_user_served_lane_seconds{user="ada"} 9'));
  });

  it("are not there unless asked for", async () => {
    assert.deepEqual(
      (await scrape({ users })).filter((line) => line.startsWith("glm_proxy_user_")),
      [],
    );
  });
});

describe("metrics of decisions", () => {
  it("count every refusal of the upstream, and what somebody must act on", async () => {
    const lines = await scrape({}, 0, ({ countDecision }) => {
      const upstreamKey = "default";
      countDecision({ what: "upstream_refused", isAlert: false, why: "over_limit", upstreamKey, code: "1302" });
      countDecision({ what: "slowed", isAlert: false, why: "", upstreamKey });
      countDecision({ what: "disabled", isAlert: true, why: "", upstreamKey });
    });
    assert.deepEqual(
      lines.filter((line) => /upstream_refusals|alerts/.test(line)),
      [
        'glm_proxy_upstream_refusals_total{key="default",kind="over_limit",code="1302"} 1',
        'glm_proxy_alerts_total{what="disabled"} 1',
      ],
    );
  });
});

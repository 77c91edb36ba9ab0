// What the scheduler tells of its decisions, and why it made them: the observer hears of the upstream and its limits,
// the tracer of single calls.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ArrivalOptions, arrive, limitsOf, type TestLimits } from "../../test/contracts/scheduler.contract.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createMemoryScheduler } from "./memory-scheduler.ts";
import type { Decision, Ticket } from "./scheduler.ts";

function setUp(limits: TestLimits = {}) {
  const clock = createManualClock();
  const ofCalls: Decision[] = [];
  const ofUpstream: Decision[] = [];
  const state = { isTraced: true };
  const scheduler = createMemoryScheduler(
    limitsOf({ startsPerSecond: 1_000, concurrencyMax: 1, abortLingerMs: 0, ...limits }),
    clock,
    {
      observer: (decision) => ofUpstream.push(decision),
      tracer: () => (state.isTraced ? (decision) => ofCalls.push(decision) : null),
    },
  );

  async function start(options: ArrivalOptions = {}): Promise<Ticket> {
    const { ticket } = await settled(options);
    assert.ok(ticket);
    ticket.markSent();
    return ticket;
  }

  async function settled(options: ArrivalOptions) {
    const arrival = arrive(scheduler, options);
    await clock.advance(0);
    return arrival;
  }

  /** Decisions on calls since the last look: what and why. */
  const newReasons = () => ofCalls.splice(0).map(({ what, why }) => [what, why]);
  return { clock, scheduler, ofCalls, ofUpstream, state, start, newReasons };
}

describe("decisions on single calls", () => {
  it("tell which call was granted, with which key and after what wait", async () => {
    const { start, ofCalls } = setUp();
    await start({ userId: "bob", wish: { callId: "call-of-bob" } });
    assert.deepEqual(ofCalls, [
      {
        what: "granted",
        callId: "call-of-bob",
        userId: "bob",
        model: "glm-4.5-flash",
        upstreamKey: "default",
        waitedMs: 0,
        isAlert: false,
        why: "its turn, and every limit has room",
      },
    ]);
  });

  it("tell where a call queues, for about how long, and for which limit", async () => {
    const { start, scheduler, clock, ofCalls } = setUp();
    const running = await start();
    await clock.advance(2_000);
    running.report({ kind: "good", code: null, waitMs: null });
    running.release("ended");
    running.settle(null);
    await start();
    ofCalls.length = 0;
    arrive(scheduler, { userId: "bob" });
    const [queued] = ofCalls;
    assert.deepEqual([queued?.what, queued?.why, queued?.position, queued?.etaMs], ["queued", "concurrency", 1, 2_000]);
  });

  for (const [why, limits] of [
    [
      "user_concurrency",
      { concurrencyMax: null, user: { startsPerSecond: null, concurrencyMax: 1, tokensPerMinute: null } },
    ],
    ["rate", { concurrencyMax: null, startsPerSecond: 1 }],
    ["tokens", { concurrencyMax: null, tokensPerMinute: 10 }],
  ] as const) {
    it(`name ${why} as what a call waits for`, async () => {
      const { start, scheduler, newReasons } = setUp(limits);
      await start();
      newReasons();
      arrive(scheduler);
      assert.deepEqual(newReasons(), [["queued", why]]);
    });
  }

  it("tell that a call waits for nothing but its turn", async () => {
    const { start, scheduler, newReasons } = setUp({ concurrencyMax: null, tokensPerMinute: 1_000 });
    await start({ wish: { inputBytes: 0, outputTokensMax: 500 } });
    const large = { inputBytes: 0, outputTokensMax: 600 };
    arrive(scheduler, { wish: large });
    newReasons();
    arrive(scheduler, { wish: { inputBytes: 0, outputTokensMax: 10 } });
    assert.deepEqual(newReasons(), [["queued", "turn"]]);
  });

  it("tell that a call was let go after its wait", async () => {
    const { start, scheduler, clock, ofCalls } = setUp();
    const running = await start();
    arrive(scheduler, { userId: "bob" });
    await clock.advance(1_500);
    ofCalls.length = 0;
    running.release("ended");
    assert.deepEqual(
      ofCalls.map(({ what, userId, waitedMs }) => [what, userId, waitedMs]),
      [["granted", "bob", 1_500]],
    );
  });

  it("tell which call was refused on arrival, and which was evicted for it", async () => {
    const { start, scheduler, ofCalls } = setUp({ queueCapacity: 2 });
    await start({ userId: "zoe" });
    arrive(scheduler);
    arrive(scheduler, { wish: { callId: "newest" } });
    ofCalls.length = 0;
    arrive(scheduler, { wish: { callId: "one too many" } });
    arrive(scheduler, { userId: "bob", wish: { callId: "of another" } });
    assert.deepEqual(
      ofCalls.map(({ what, callId, why }) => [what, callId, why]),
      [
        ["refused", "one too many", "queue_full"],
        ["evicted", "newest", "queue_full"],
        ["queued", "of another", "concurrency"],
      ],
    );
  });

  it("tell that a user has its part of the queue full", async () => {
    const { start, scheduler, newReasons } = setUp({ userQueueCapacity: 1 });
    await start();
    arrive(scheduler);
    newReasons();
    arrive(scheduler);
    assert.deepEqual(newReasons(), [["refused", "user_queue_full"]]);
  });

  it("tell that a call waited too long, or that its client left", async () => {
    const { start, scheduler, clock, ofCalls } = setUp();
    await start();
    const client = new AbortController();
    arrive(scheduler, { signal: client.signal });
    arrive(scheduler, { userId: "bob" });
    await clock.advance(300);
    ofCalls.length = 0;
    client.abort();
    await clock.advance(4_700);
    assert.deepEqual(
      ofCalls.map(({ what, why, userId, waitedMs }) => [what, why, userId, waitedMs]),
      [
        ["left", "its client no longer wants it", "ada", 300],
        ["refused", "queue_timeout", "bob", 5_000],
      ],
    );
  });

  it("tell that a call came again after the upstream refused it", async () => {
    const { start, scheduler, newReasons } = setUp({ concurrencyMax: null });
    const ticket = await start();
    ticket.report({ kind: "overloaded", code: "1305", waitMs: 1_000 });
    ticket.release("ended");
    newReasons();
    arrive(scheduler, { wish: { place: ticket.place } });
    assert.deepEqual(newReasons(), [["requeued", "model_hold"]]);
  });

  it("are not made while nobody wants to know, and are again once somebody does", async () => {
    const { start, state, newReasons } = setUp({ concurrencyMax: null });
    state.isTraced = false;
    await start();
    assert.deepEqual(newReasons(), []);
    state.isTraced = true;
    await start();
    assert.equal(newReasons().length, 1);
  });
});

describe("decisions on the upstream's limits", () => {
  it("are told whether or not single calls are traced", async () => {
    const { start, state, ofUpstream, ofCalls } = setUp({ concurrencyMax: null });
    state.isTraced = false;
    const tickets = [await start(), await start()];
    tickets[1]?.report({ kind: "over_limit", code: "1302", waitMs: null });
    assert.deepEqual(
      ofUpstream.map(({ what, why, limit, isAlert }) => [what, why, limit, isAlert]),
      [
        ["upstream_refused", "over_limit", undefined, false],
        ["limit_lowered", "the upstream refused one of 2 calls at once (1302)", 1, false],
      ],
    );
    assert.deepEqual(ofCalls, []);
  });

  it("are an alert when somebody has to do something", async () => {
    const { start, ofUpstream } = setUp();
    (await start()).report({ kind: "account", code: "1113", waitMs: null });
    assert.deepEqual(
      ofUpstream.filter(({ isAlert }) => isAlert).map(({ what, why, forMs }) => [what, why, forMs]),
      [["disabled", "upstream_account (1113)", 60_000]],
    );
  });

  it("hold nothing but words and numbers, as a log takes them", async () => {
    const { start, ofUpstream, ofCalls } = setUp({ concurrencyMax: null });
    (await start()).report({ kind: "quota", code: "1308", waitMs: 1_000 });
    for (const decision of [...ofUpstream, ...ofCalls]) {
      for (const value of Object.values(decision)) {
        assert.ok(value === null || ["string", "number", "boolean", "undefined"].includes(typeof value));
      }
    }
  });
});

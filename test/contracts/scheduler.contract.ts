// What every scheduler promises. Called once by each implementation's own test file.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AdmissionLimits, AdmissionWish, GateLimits, Scheduler, Ticket } from "../../src/admission/scheduler.ts";
import type { Principal } from "../../src/base/principal.ts";
import { Refusal, type RefusalFacts, type RefusalReason } from "../../src/base/refusal.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";

export type SchedulerFactory = (limits: AdmissionLimits, clock: ManualClock) => Scheduler;

/** Limits with one key, by its numbers and the queue's. */
export type TestLimits = Partial<Omit<AdmissionLimits, "keys"> & GateLimits>;

/** The seed's numbers, with a guard of 20 ms, where nothing else is said. */
export function limitsOf(changes: TestLimits = {}): AdmissionLimits {
  const { startsPerSecond = 2, concurrencyMax = null, tokensPerMinute = null, ...others } = changes;
  return {
    keys: [{ name: "default", models: null, startsPerSecond, concurrencyMax, tokensPerMinute }],
    models: [],
    user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
    userQueueCapacity: null,
    queueCapacity: 20,
    queueTimeoutMs: 5_000,
    refusesEarly: false,
    sendGuardMs: 20,
    abortLingerMs: 300,
    ...others,
  };
}

const never = new AbortController().signal;
let callCount = 0;

export interface Arrival {
  ticket: Ticket | null;
  refusal: RefusalReason | null;
  facts: RefusalFacts;
}

export interface ArrivalOptions {
  readonly userId?: string;
  readonly principal?: Partial<Principal>;
  readonly wish?: Partial<AdmissionWish>;
  readonly signal?: AbortSignal;
}

export function arrive(scheduler: Scheduler, options: ArrivalOptions = {}): Arrival {
  const { userId = "ada", signal = never } = options;
  const arrival: Arrival = { ticket: null, refusal: null, facts: {} };
  const principal: Principal = {
    userId,
    role: "user",
    weight: 1,
    class: "default",
    flowId: "session",
    ...options.principal,
  };
  const wish: AdmissionWish = {
    callId: `call-${++callCount}`,
    model: "glm-4.5-flash",
    patienceMs: null,
    inputBytes: 100,
    outputTokensMax: null,
    class: null,
    retryCount: 0,
    place: null,
    ...options.wish,
  };
  scheduler.admit(principal, wish, signal).then(
    (ticket) => {
      arrival.ticket = ticket;
    },
    (error: unknown) => {
      assert.ok(error instanceof Refusal, String(error));
      arrival.refusal = error.reason;
      arrival.facts = error.facts;
    },
  );
  return arrival;
}

export function schedulerContract(name: string, createScheduler: SchedulerFactory): void {
  function setUp(limits: TestLimits = {}) {
    const clock = createManualClock();
    const scheduler = createScheduler(limitsOf(limits), clock);
    return { clock, scheduler };
  }

  /** Lets a call in and sends it at once. */
  async function startCall(scheduler: Scheduler, clock: ManualClock, userId?: string): Promise<Ticket> {
    const arrival = arrive(scheduler, userId === undefined ? {} : { userId });
    await clock.advance(0);
    assert.ok(arrival.ticket, `expected a start, got ${arrival.refusal}`);
    arrival.ticket.markSent();
    return arrival.ticket;
  }

  describe(`${name}: the rate`, () => {
    it("starts two calls at once and the third one second and the guard after the first was sent", async () => {
      const { clock, scheduler } = setUp();
      await startCall(scheduler, clock);
      await startCall(scheduler, clock);
      const third = arrive(scheduler);
      await clock.advance(1_019);
      assert.equal(scheduler.snapshot().waiting, 1);
      await clock.advance(1);
      assert.equal(third.ticket?.waitedMs, 1_020);
    });

    it("counts a call from its send, not from its grant", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      const first = arrive(scheduler);
      await clock.advance(0);
      const second = arrive(scheduler);
      await clock.advance(700);
      first.ticket?.markSent();
      await clock.advance(1_019);
      assert.equal(second.ticket, null, "the window runs from the send at 700 ms");
      await clock.advance(1);
      assert.ok(second.ticket);
    });

    it("gives the place in the window back when a call is released unsent", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      const first = arrive(scheduler);
      await clock.advance(0);
      const second = arrive(scheduler);
      await clock.advance(10);
      assert.equal(second.ticket, null);
      first.ticket?.release("aborted");
      await clock.advance(0);
      assert.ok(second.ticket);
    });

    it("keeps the place in the window when a call that was sent is aborted", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      (await startCall(scheduler, clock)).release("aborted");
      const second = arrive(scheduler);
      await clock.advance(1_019);
      assert.equal(second.ticket, null);
      await clock.advance(1);
      assert.ok(second.ticket);
    });

    it("paces half a call a second as one in two seconds", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 0.5 });
      await startCall(scheduler, clock);
      const second = arrive(scheduler);
      await clock.advance(2_019);
      assert.equal(second.ticket, null);
      await clock.advance(1);
      assert.ok(second.ticket);
    });
  });

  describe(`${name}: concurrency`, () => {
    it("starts the next call when a running one ends", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1, startsPerSecond: 100 });
      const running = await startCall(scheduler, clock);
      const next = arrive(scheduler);
      await clock.advance(4_000);
      assert.equal(next.ticket, null);
      running.release("ended");
      await clock.advance(0);
      assert.ok(next.ticket);
    });

    it("holds an aborted call's place until the upstream has had time to notice", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1, startsPerSecond: 100 });
      const running = await startCall(scheduler, clock);
      const next = arrive(scheduler);
      running.release("aborted");
      await clock.advance(299);
      assert.equal(next.ticket, null);
      await clock.advance(1);
      assert.ok(next.ticket);
    });

    it("counts a ticket's first release only", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1, startsPerSecond: 100 });
      const running = await startCall(scheduler, clock);
      running.release("ended");
      running.release("aborted");
      running[Symbol.dispose]();
      const next = await startCall(scheduler, clock);
      const third = arrive(scheduler);
      await clock.advance(400);
      assert.equal(third.ticket, null, "a double release would have let it in");
      next.release("ended");
    });
  });

  describe(`${name}: the queue`, () => {
    it("queues exactly its capacity and refuses the next one with queue_full", async () => {
      const { clock, scheduler } = setUp();
      await startCall(scheduler, clock);
      await startCall(scheduler, clock);
      for (let count = 0; count < 20; count++) arrive(scheduler);
      const last = arrive(scheduler);
      await clock.advance(0);
      assert.equal(scheduler.snapshot().waiting, 20);
      assert.equal(last.refusal, "queue_full");
      assert.deepEqual([last.facts.waiting, last.facts.limit], [20, 20]);
      // 20 wait, two start each 1.02 s: a place for the next in about 11.2 s, less half of the timeout.
      assert.ok(Math.abs((last.facts.retryAfterMs ?? 0) - 8_720) < 30, String(last.facts.retryAfterMs));
    });

    it("tells whom it refuses to come back when a running call may have ended, and never sooner than in a second", async () => {
      const { clock, scheduler } = setUp({ queueCapacity: 0, concurrencyMax: 1, startsPerSecond: 1_000 });
      const first = await startCall(scheduler, clock);
      const early = arrive(scheduler);
      await clock.advance(8_000);
      assert.equal(early.facts.retryAfterMs, 1_000);
      const late = arrive(scheduler);
      await clock.advance(0);
      assert.equal(late.facts.retryAfterMs, 8_000, "as long as the running one has run is the best guess");
      first.release("ended");
    });

    it("refuses at once when there is no queue", async () => {
      const { clock, scheduler } = setUp({ queueCapacity: 0, startsPerSecond: 1 });
      await startCall(scheduler, clock);
      const second = arrive(scheduler);
      await clock.advance(0);
      assert.equal(second.refusal, "queue_full");
    });

    it("refuses with queue_timeout after exactly the timeout, and has no trace of the call then", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1 });
      await startCall(scheduler, clock);
      const waiting = arrive(scheduler, { userId: "bob" });
      await clock.advance(4_999);
      assert.equal(waiting.refusal, null);
      await clock.advance(1);
      assert.equal(waiting.refusal, "queue_timeout");
      assert.equal(waiting.facts.elapsedMs, 5_000);
      assert.equal(scheduler.snapshot().waiting, 0);
    });

    it("starts nobody late after a stall: who waited too long is refused, who did not is started", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      await startCall(scheduler, clock);
      const stale = arrive(scheduler, { userId: "bob" });
      await clock.advance(900);
      const fresh = arrive(scheduler, { userId: "eve" });
      clock.stall(4_200);
      await clock.advance(0);
      assert.equal(stale.refusal, "queue_timeout");
      assert.ok(fresh.ticket);
    });

    it("starts no more at once after a stall than the rate allows", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 2, queueTimeoutMs: 60_000 });
      await startCall(scheduler, clock);
      const waiting = Array.from({ length: 10 }, () => arrive(scheduler));
      clock.stall(10_000);
      await clock.advance(0);
      assert.equal(waiting.filter(({ ticket }) => ticket).length, 2);
    });

    it("never queues longer than the client waits", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1 });
      await startCall(scheduler, clock);
      const hasty = arrive(scheduler, { userId: "bob", wish: { patienceMs: 1_500 } });
      await clock.advance(1_500);
      assert.equal(hasty.refusal, "queue_timeout");
    });

    it("starts calls in the order of their arrival", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      await startCall(scheduler, clock);
      const arrivals = ["bob", "eve", "gil"].map((userId) => arrive(scheduler, { userId }));
      const order: number[] = [];
      for (let turn = 0; turn < 3; turn++) {
        await clock.advance(1_020);
        const started = arrivals.findIndex(({ ticket }, index) => ticket !== null && !order.includes(index));
        order.push(started);
        arrivals[started]?.ticket?.markSent();
      }
      assert.deepEqual(order, [0, 1, 2]);
    });

    it("never starts a call whose client left, and lets the next one have its turn", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      await startCall(scheduler, clock);
      const client = new AbortController();
      const gone = arrive(scheduler, { userId: "bob", signal: client.signal });
      const next = arrive(scheduler, { userId: "eve" });
      client.abort();
      await clock.advance(1_020);
      assert.equal(gone.refusal, "client_gone");
      assert.equal(gone.ticket, null);
      assert.ok(next.ticket);
    });

    it("refuses a call whose client left before it came", async () => {
      const { clock, scheduler } = setUp();
      const gone = arrive(scheduler, { userId: "bob", signal: AbortSignal.abort() });
      await clock.advance(0);
      assert.equal(gone.refusal, "client_gone");
      assert.equal(scheduler.snapshot().running, 0);
    });
  });

  describe(`${name}: new limits`, () => {
    it("lets calls start at once when the limit was raised", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1, startsPerSecond: 100 });
      await startCall(scheduler, clock);
      const waiting = arrive(scheduler);
      scheduler.configure(limitsOf({ concurrencyMax: 2, startsPerSecond: 100 }));
      await clock.advance(0);
      assert.ok(waiting.ticket);
    });

    it("lets running calls go on and starts none while more run than the lowered limit", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 3, startsPerSecond: 100 });
      const running = [];
      for (let count = 0; count < 3; count++) running.push(await startCall(scheduler, clock));
      scheduler.configure(limitsOf({ concurrencyMax: 1, startsPerSecond: 100 }));
      const waiting = arrive(scheduler);
      running[0]?.release("ended");
      running[1]?.release("ended");
      await clock.advance(0);
      assert.equal(waiting.ticket, null);
      running[2]?.release("ended");
      await clock.advance(0);
      assert.ok(waiting.ticket);
    });

    it("counts what was sent under the old rate against the new one", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 2 });
      await startCall(scheduler, clock);
      scheduler.configure(limitsOf({ startsPerSecond: 0.5 }));
      const next = arrive(scheduler);
      await clock.advance(2_019);
      assert.equal(next.ticket, null);
      await clock.advance(1);
      assert.ok(next.ticket);
    });
  });

  describe(`${name}: the end`, () => {
    it("answers all that wait and all that come with shutting_down, and leaves no timer behind", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      const running = await startCall(scheduler, clock);
      const waiting = arrive(scheduler);
      scheduler.close();
      const late = arrive(scheduler);
      await clock.advance(0);
      assert.deepEqual([waiting.refusal, late.refusal], ["shutting_down", "shutting_down"]);
      running.release("ended");
      await clock.advance(0);
      assert.equal(clock.armedCount, 0);
    });
  });

  describe(`${name}: the snapshot`, () => {
    it("tells who runs and who waits, in which place and for about how long", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      await startCall(scheduler, clock, "ada");
      arrive(scheduler, { userId: "bob" });
      arrive(scheduler, { userId: "eve" });
      await clock.advance(20);
      const { runningCalls, waitingCalls, nextStartInMs } = scheduler.snapshot();
      assert.deepEqual(
        runningCalls.map(({ userId, runningMs, isSent }) => [userId, runningMs, isSent]),
        [["ada", 20, true]],
      );
      assert.deepEqual(
        waitingCalls.map(({ userId, position, waitedMs, etaMs }) => [userId, position, waitedMs, etaMs]),
        [
          ["bob", 1, 20, 1_000],
          ["eve", 2, 20, 2_020],
        ],
      );
      assert.equal(nextStartInMs, 1_000);
    });
  });
}

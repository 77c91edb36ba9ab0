// What every scheduler promises. Called once by each implementation's own test file.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  AdmissionLimits,
  AdmissionWish,
  GateLimits,
  Place,
  Scheduler,
  Ticket,
} from "../../src/admission/scheduler.ts";
import type { Usage } from "../../src/base/answer.ts";
import type { Principal } from "../../src/base/principal.ts";
import { Refusal, type RefusalFacts, type RefusalReason } from "../../src/base/refusal.ts";
import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
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
const noGate: GateLimits = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const usage: Usage = { promptTokens: 10, completionTokens: 10, cachedTokens: 0, reasoningTokens: 0 };
const ada: Principal = { userId: "ada", role: "user", weight: 1, class: "default", flowId: "session" };
const plainWish: Omit<AdmissionWish, "callId"> = {
  model: "glm-4.5-flash",
  patienceMs: null,
  inputBytes: 100,
  outputTokensMax: null,
  class: null,
  retryCount: 0,
  place: null,
};
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
  const wish: AdmissionWish = { ...plainWish, callId: `call-${++callCount}`, ...options.wish };
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

function verdict(kind: VerdictKind, code: string | null = null, waitMs: number | null = null): Verdict {
  return { kind, code, waitMs };
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

  describe(`${name}: the spacing of starts while calls wait`, () => {
    /** Calls that are sent as soon as they may, with the times at which that was. */
    async function flood(scheduler: Scheduler, clock: ManualClock, count: number): Promise<number[]> {
      const startedAt: number[] = [];
      for (let index = 0; index < count; index++) void startLater(scheduler, clock, startedAt);
      await clock.advance(0);
      return startedAt;
    }

    async function startLater(scheduler: Scheduler, clock: ManualClock, startedAt: number[], userId = "flood") {
      const wish = { ...plainWish, callId: `call-${++callCount}` };
      const ticket = await scheduler.admit({ ...ada, userId }, wish, never);
      ticket.markSent();
      startedAt.push(clock.now());
      return ticket;
    }

    const patient: TestLimits = { queueCapacity: 5_000, queueTimeoutMs: 600_000 };

    for (const startsPerSecond of [0.5, 2, 2.5, 20, 200]) {
      it(`starts a backlog one by one at ${startsPerSecond}/s, once the window behind the first burst has opened`, async () => {
        const { clock, scheduler } = setUp({ ...patient, startsPerSecond });
        const startsMax = Math.max(1, Math.floor(startsPerSecond));
        const windowMs = (startsMax / startsPerSecond) * 1_000 + 20;
        const startedAt = await flood(scheduler, clock, 5 * startsMax);
        await clock.advance(4 * windowMs + 1);
        const dueAt = Array.from({ length: 4 * startsMax }, (_, index) =>
          index < startsMax ? 0 : windowMs + ((index - startsMax) * windowMs) / startsMax,
        );
        assert.equal(startedAt.length, 4 * startsMax + 1);
        for (const [index, at] of dueAt.entries()) {
          assert.ok(
            Math.abs((startedAt[index] as number) - at) < 0.01,
            `start ${index} at ${startedAt[index]}, not ${at}`,
          );
        }
      });
    }

    it("lets a call next to a flood start within two spaces", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 20 });
      await flood(scheduler, clock, 1_000);
      await clock.advance(1_020);
      for (let count = 0; count < 20; count++) {
        await clock.advance(237);
        const startedAt: number[] = [];
        void startLater(scheduler, clock, startedAt, "light");
        await clock.advance(102);
        assert.equal(startedAt.length, 1, "it still waits after two spaces");
      }
    });

    it("spaces the calls of a client that calls again as soon as it was answered", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 20 });
      const startedAt: number[] = [];
      async function callAgainAndAgain(): Promise<void> {
        const ticket = await startLater(scheduler, clock, startedAt);
        clock.after(5, () => {
          ticket.release("ended");
          void callAgainAndAgain();
        });
      }
      void callAgainAndAgain();
      await clock.advance(0);
      await clock.advance(3_000);
      const waited = startedAt.slice(20);
      assert.ok(waited.length >= 38, `${waited.length} starts`);
      for (const [index, at] of waited.entries()) assert.ok(Math.abs(at - (1_020 + index * 51)) < 0.01, String(waited));
    });

    it("makes up for a late timer, and for no more than a tenth of a window after a stall", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 20 });
      const startedAt = await flood(scheduler, clock, 200);
      await clock.advance(1_020 + 51 * 5);
      clock.stall(51 + 8);
      await clock.advance(0);
      await clock.advance(51 - 8);
      assert.deepEqual(startedAt.slice(-2), [1_334, 1_377], "8 ms late, and the next one in its own time");
      clock.stall(10_000);
      await clock.advance(0);
      const before = startedAt.length;
      await clock.advance(510);
      assert.ok(startedAt.length - before <= 12, `${startedAt.length - before} starts in ten spaces`);
    });

    it("is that of each account: two keys start twice as many", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 4, sendGuardMs: 0 });
      const [first] = limitsOf({ ...patient, startsPerSecond: 4, sendGuardMs: 0 }).keys;
      assert.ok(first);
      const keys = [first, { ...first, name: "second" }];
      scheduler.configure({ ...limitsOf({ ...patient, sendGuardMs: 0 }), keys });
      const startedAt = await flood(scheduler, clock, 100);
      await clock.advance(3_000);
      assert.deepEqual(
        [8, 10, 12, 14].map((index) => startedAt.slice(index, index + 2)),
        [
          [1_000, 1_000],
          [1_250, 1_250],
          [1_500, 1_500],
          [1_750, 1_750],
        ],
      );
    });

    it("follows a new rate at once", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 1, sendGuardMs: 0 });
      const startedAt = await flood(scheduler, clock, 100);
      await clock.advance(2_500);
      scheduler.configure(limitsOf({ ...patient, startsPerSecond: 10, sendGuardMs: 0 }));
      await clock.advance(1_500);
      const after = startedAt.slice(3);
      assert.ok(after.length >= 14 && after.length <= 20, `${after.length} starts in 1.5 s`);
      const lastGaps = after.slice(-5).map((at, index, all) => (index === 0 ? 100 : at - (all[index - 1] as number)));
      for (const gap of lastGaps) assert.ok(Math.abs(gap - 100) < 0.01, String(lastGaps));
    });

    it("holds for a call that comes back after the upstream refused it", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 4, sendGuardMs: 0 });
      const refused = await startCall(scheduler, clock);
      await clock.advance(2_000);
      await refused.report(verdict("failed", "1234"));
      refused.release("ended");
      const again = arrive(scheduler, { wish: { place: refused.place } });
      await clock.advance(0);
      again.ticket?.markSent();
      assert.ok(again.ticket);
      const startedAt = await flood(scheduler, clock, 2);
      await clock.advance(500);
      assert.equal(startedAt.length, 2);
      assert.ok((startedAt[0] as number) >= 2_180 && (startedAt[1] as number) >= 2_400, String(startedAt));
    });

    it("is foreseen: each call is told the time at which it then starts", async () => {
      const { clock, scheduler } = setUp({ ...patient, startsPerSecond: 5 });
      await clock.advance(100);
      for (const gapMs of [0, 300, 10, 10, 10]) {
        await startCall(scheduler, clock);
        await clock.advance(gapMs);
      }
      const arrivals = Array.from({ length: 12 }, () => arrive(scheduler));
      await clock.advance(0);
      const foreseen = scheduler.snapshot().waitingCalls.map(({ etaMs }) => etaMs);
      assert.equal(scheduler.snapshot().nextStartInMs, foreseen[0]);
      for (let step = 0; step < 400; step++) {
        await clock.advance(10);
        for (const { ticket } of arrivals) ticket?.markSent();
      }
      const waited = arrivals.map(({ ticket }) => ticket?.waitedMs ?? Number.NaN);
      // Sends here are up to 10 ms later than starts.
      for (const [index, eta] of foreseen.entries()) {
        assert.ok(Math.abs((waited[index] as number) - eta) <= 10, `${waited[index]} ms, ${eta} foreseen`);
      }
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

  describe(`${name}: new limits for calls that wait`, () => {
    it("leave them their order and their old deadline", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1, queueTimeoutMs: 2_000 });
      await startCall(scheduler, clock);
      const waiting = ["bob", "eve", "gil"].map((userId) => arrive(scheduler, { userId }));
      scheduler.configure(limitsOf({ startsPerSecond: 1, queueTimeoutMs: 60_000 }));
      await clock.advance(1_020);
      waiting[0]?.ticket?.markSent();
      await clock.advance(979);
      assert.deepEqual(
        waiting.map(({ ticket, refusal }) => [ticket !== null, refusal]),
        [
          [true, null],
          [false, null],
          [false, null],
        ],
      );
      await clock.advance(1);
      assert.deepEqual([waiting[1]?.refusal, waiting[2]?.refusal], ["queue_timeout", "queue_timeout"]);
    });

    it("leave them in a queue that is shorter now, and let nobody else in", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 1, startsPerSecond: 100 });
      const running = await startCall(scheduler, clock);
      const waiting = [1, 2, 3].map(() => arrive(scheduler));
      scheduler.configure(limitsOf({ concurrencyMax: 1, startsPerSecond: 100, queueCapacity: 1 }));
      const late = arrive(scheduler);
      running.release("ended");
      await clock.advance(0);
      assert.deepEqual([late.refusal, scheduler.snapshot().waiting], ["queue_full", 2]);
      assert.ok(waiting[0]?.ticket);
    });

    it("hold them to a user's limit that is new, and count what runs against it", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 2, startsPerSecond: 100 });
      const first = await startCall(scheduler, clock);
      const second = await startCall(scheduler, clock, "bob");
      const [own, other] = [arrive(scheduler), arrive(scheduler, { userId: "eve" })];
      const user = { ...noGate, concurrencyMax: 1 };
      scheduler.configure(limitsOf({ concurrencyMax: 2, startsPerSecond: 100, user }));
      second.release("ended");
      await clock.advance(0);
      assert.equal(own.ticket, null);
      assert.ok(other.ticket);
      first.release("ended");
      await clock.advance(0);
      assert.ok(own.ticket);
    });
  });

  describe(`${name}: one user's own limits`, () => {
    it("of starts in a second hold up nobody else", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, user: { ...noGate, startsPerSecond: 1 } });
      await startCall(scheduler, clock);
      const second = arrive(scheduler);
      for (const userId of ["bob", "eve"]) await startCall(scheduler, clock, userId);
      assert.equal(second.ticket, null);
      assert.equal(scheduler.snapshot().waitingCalls[0]?.blockedBy, "user_rate");
    });

    it("of tokens in a minute hold up nobody else, and give back what was not used", async () => {
      const user = { ...noGate, tokensPerMinute: 1_000 };
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, queueTimeoutMs: 120_000, user });
      const wish = { inputBytes: 0, outputTokensMax: 700 };
      const first = arrive(scheduler, { wish });
      const second = arrive(scheduler, { wish });
      const other = arrive(scheduler, { userId: "bob", wish });
      await clock.advance(0);
      assert.deepEqual([first.ticket !== null, second.ticket, other.ticket !== null], [true, null, true]);
      assert.equal(scheduler.snapshot().waitingCalls[0]?.blockedBy, "user_tokens");
      first.ticket?.markSent();
      first.ticket?.release("ended");
      first.ticket?.settle(usage);
      await clock.advance(0);
      assert.ok(second.ticket);
    });

    it("are free at once when a call is aborted: it is the upstream that needs time to notice", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, user: { ...noGate, concurrencyMax: 1 } });
      const first = await startCall(scheduler, clock);
      const second = arrive(scheduler);
      first.release("aborted");
      await clock.advance(0);
      assert.ok(second.ticket);
    });

    it("are told beside the upstream's, the scarcest first", async () => {
      const { clock, scheduler } = setUp({
        startsPerSecond: 10,
        concurrencyMax: 4,
        user: { startsPerSecond: 2, concurrencyMax: 3, tokensPerMinute: 1_000 },
      });
      arrive(scheduler, { wish: { inputBytes: 0, outputTokensMax: 900 } });
      await clock.advance(0);
      assert.deepEqual(
        scheduler.allowances(ada).map(({ name, limit, remaining }) => [name, limit, remaining]),
        [
          ["user-tokens", 1_000, 100],
          ["user", 2, 1],
          ["user-streams", 3, 2],
          ["upstream-streams", 4, 3],
          ["upstream", 10, 9],
        ],
      );
    });

    it("are told to who has not called yet, or not for a while", async () => {
      const user = { startsPerSecond: 2, concurrencyMax: 3, tokensPerMinute: null };
      const { clock, scheduler } = setUp({ startsPerSecond: null, user });
      const told = () => scheduler.allowances(ada).map(({ name, limit, remaining }) => [name, limit, remaining]);
      const all = [
        ["user", 2, 2],
        ["user-streams", 3, 3],
      ];
      assert.deepEqual(told(), all);
      const ticket = await startCall(scheduler, clock);
      ticket.release("ended");
      ticket.settle(usage);
      await clock.advance(10 * 60_000);
      // Whoever is idle is forgotten as others come and go.
      await startCall(scheduler, clock, "bob");
      assert.deepEqual(told(), all);
    });
  });

  describe(`${name}: a call that comes again`, () => {
    const oneAtOnce: TestLimits = { concurrencyMax: 1, startsPerSecond: 1_000, queueCapacity: 2, abortLingerMs: 0 };

    /** A call that the upstream has refused: what it is admitted again with. */
    async function refuse(scheduler: Scheduler, clock: ManualClock, given: Verdict): Promise<Place> {
      const ticket = await startCall(scheduler, clock);
      await ticket.report(given);
      ticket.release("ended");
      ticket.settle(null);
      return ticket.place;
    }

    it("goes before its session's newer calls when its client sent it again", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      const running = await startCall(scheduler, clock);
      const [newer, again] = [arrive(scheduler), arrive(scheduler, { wish: { retryCount: 1 } })];
      running.release("ended");
      await clock.advance(0);
      assert.ok(again.ticket);
      assert.equal(newer.ticket, null);
    });

    it("is let into a full queue, and beyond its user's part of it, after the upstream refused it", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, concurrencyMax: 2, userQueueCapacity: 2 });
      await startCall(scheduler, clock, "bob");
      const refused = await startCall(scheduler, clock);
      const waiting = [arrive(scheduler), arrive(scheduler)];
      await refused.report(verdict("over_limit", "1302"));
      refused.release("ended");
      const again = arrive(scheduler, { wish: { place: refused.place } });
      await clock.advance(0);
      assert.deepEqual([again.refusal, ...waiting.map(({ refusal }) => refusal)], [null, null, null]);
      const [first] = scheduler.snapshot().waitingCalls;
      assert.deepEqual([first?.tryCount, scheduler.snapshot().waiting], [1, 3]);
    });

    it("is put out of a full queue by nobody; the longest backlog of new calls loses one", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, concurrencyMax: 3, queueCapacity: 4 });
      const tickets = [await startCall(scheduler, clock), await startCall(scheduler, clock)];
      const again: Arrival[] = [];
      for (const ticket of tickets) {
        await ticket.report(verdict("overloaded", "1305", 3_000));
        ticket.release("ended");
        again.push(arrive(scheduler, { wish: { place: ticket.place } }));
      }
      const first = [arrive(scheduler, { userId: "bob" }), arrive(scheduler, { userId: "bob" })];
      const second = arrive(scheduler, { userId: "eve" });
      const third = arrive(scheduler, { userId: "dan" });
      await clock.advance(0);
      const refusals = [...again, ...first, second, third].map(({ refusal }) => refusal);
      assert.deepEqual(refusals, [null, null, null, "queue_full", null, "queue_full"]);
    });

    it("hears what the upstream said, not that the queue is full, where nobody may wait", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, queueCapacity: 0 });
      const place = await refuse(scheduler, clock, verdict("overloaded", "1305", 2_000));
      const again = arrive(scheduler, { wish: { place } });
      await clock.advance(0);
      assert.deepEqual([again.refusal, again.facts.upstreamCode], ["upstream_busy", "1305"]);
      assert.equal(scheduler.gauges().waiting, 0);
    });

    it("keeps its first arrival and deadline, however often it comes", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, queueTimeoutMs: 5_000 });
      const first = await startCall(scheduler, clock);
      await clock.advance(2_000);
      await first.report(verdict("too_fast", "1303", 1_000));
      first.release("ended");
      const second = arrive(scheduler, { wish: { place: first.place } });
      await clock.advance(1_000);
      assert.equal(second.ticket?.waitedMs, 3_000);
      second.ticket?.markSent();
      await second.ticket?.report(verdict("too_fast", "1303", 60_000));
      second.ticket?.release("ended");
      const third = arrive(scheduler, { wish: { place: second.ticket?.place ?? null } });
      await clock.advance(1_999);
      assert.equal(third.refusal, null);
      await clock.advance(1);
      assert.deepEqual([third.refusal, third.facts.elapsedMs], ["upstream_rate_limited", 5_000]);
    });

    it("is refused at once, with what the upstream said, when its time was up before", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, queueTimeoutMs: 1_000 });
      const ticket = await startCall(scheduler, clock);
      await clock.advance(1_500);
      await ticket.report(verdict("overloaded", "1305"));
      ticket.release("ended");
      const again = arrive(scheduler, { wish: { place: ticket.place } });
      await clock.advance(0);
      assert.deepEqual([again.refusal, again.facts.upstreamCode], ["upstream_busy", "1305"]);
    });

    it("leaves the queue as any other when its client leaves", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000 });
      const place = await refuse(scheduler, clock, verdict("overloaded", "1305", 2_000));
      const client = new AbortController();
      const again = arrive(scheduler, { signal: client.signal, wish: { place } });
      await clock.advance(100);
      client.abort();
      await clock.advance(2_000);
      assert.deepEqual([again.refusal, again.ticket], ["client_gone", null]);
      assert.equal(scheduler.snapshot().waiting, 0);
    });

    it("has cost its user nothing when the upstream refused it", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 10 });
      const ticket = await startCall(scheduler, clock);
      await clock.advance(3_000);
      const user = () => scheduler.gauges().users.find(({ userId }) => userId === "ada");
      assert.equal(user()?.servedSeconds, 0.1, "what it is guessed to cost");
      await ticket.report(verdict("overloaded", "1305"));
      ticket.release("ended");
      arrive(scheduler, { wish: { place: ticket.place } });
      ticket.settle(null);
      assert.equal(user()?.servedSeconds, 0);
    });

    it("has cost its user a start when it failed for good, or a caller whose calls all fail would always be next", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 10, sendGuardMs: 0 });
      const starts = { ada: 0, bob: 0 };
      const next = { ada: arrive(scheduler), bob: arrive(scheduler, { userId: "bob" }) };
      for (; clock.now() < 6_000; await clock.advance(20)) {
        for (const userId of ["ada", "bob"] as const) {
          const { ticket } = next[userId];
          if (!ticket) continue;
          starts[userId]++;
          ticket.markSent();
          const reset = { ...verdict("unreachable"), mayHaveRun: true };
          assert.equal(await ticket.report(userId === "ada" ? reset : verdict("good")), false);
          ticket.release("ended");
          ticket.settle(null);
          next[userId] = arrive(scheduler, { userId });
        }
      }
      assert.ok(starts.bob >= 25 && starts.ada >= 25, JSON.stringify(starts));
    });
  });

  describe(`${name}: what the upstream's other answers mean`, () => {
    const open: TestLimits = { startsPerSecond: 1_000, sendGuardMs: 0 };

    it("nothing, when they are good", async () => {
      const { clock, scheduler } = setUp(open);
      const ticket = await startCall(scheduler, clock);
      assert.equal(await ticket.report(verdict("good")), false);
      await startCall(scheduler, clock);
      assert.ok(
        scheduler.snapshot().lanes.every(({ blockedMs, learnedConcurrency }) => !blockedMs && !learnedConcurrency),
      );
    });

    it("a slower pace for the whole key, when calls came too fast", async () => {
      const { clock, scheduler } = setUp({ ...open, startsPerSecond: 1 });
      const ticket = await startCall(scheduler, clock);
      assert.equal(await ticket.report(verdict("too_fast", "1303")), true);
      const next = arrive(scheduler, { wish: { model: "glm-5" } });
      await clock.advance(1_024);
      assert.equal(next.ticket, null);
      await clock.advance(1);
      assert.ok(next.ticket, "25 ms more between two starts");
    });

    it("no use for one model, when the key may not use it, and all use for the others", async () => {
      const { clock, scheduler } = setUp(open);
      const ticket = await startCall(scheduler, clock);
      const waitsFor = { wish: { model: "glm-5" } };
      assert.equal(await ticket.report(verdict("model_barred", "1311")), false);
      const [same, other] = [arrive(scheduler), arrive(scheduler, waitsFor)];
      await clock.advance(0);
      assert.deepEqual(
        [same.refusal, same.facts.upstreamCode, same.facts.retryAfterMs],
        ["upstream_account", "1311", 60_000],
      );
      assert.ok(other.ticket);
    });

    it("one call at once, when fair use was exceeded", async () => {
      const { clock, scheduler } = setUp({ ...open, queueTimeoutMs: 7_200_000 });
      const ticket = await startCall(scheduler, clock);
      assert.equal(await ticket.report(verdict("restricted", "1313")), false);
      const next = arrive(scheduler);
      await clock.advance(3_599_999);
      assert.equal(next.ticket, null);
      await clock.advance(1);
      assert.ok(next.ticket, "after an hour, a second one may try");
    });

    it("another try for a failure, while there is a budget for that", async () => {
      const { clock, scheduler } = setUp(open);
      const answers: boolean[] = [];
      for (let count = 0; count < 3; count++) {
        const ticket = await startCall(scheduler, clock);
        answers.push(await ticket.report(verdict("failed", "1234")));
        ticket.release("ended");
      }
      assert.deepEqual(answers, [true, true, false]);
      await startCall(scheduler, clock);
    });
  });

  describe(`${name}: what comes twice, or too late`, () => {
    it("changes nothing: a call is sent, released and settled once", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 2, tokensPerMinute: 1_000, sendGuardMs: 0 });
      const arrival = arrive(scheduler, { wish: { inputBytes: 0, outputTokensMax: 500 } });
      await clock.advance(0);
      const ticket = arrival.ticket as Ticket;
      ticket.markSent();
      await clock.advance(100);
      ticket.markSent();
      ticket.release("ended");
      ticket.settle({ ...usage, promptTokens: 0, completionTokens: 200 });
      const before = [scheduler.gauges(), scheduler.allowances(ada)];
      ticket.release("aborted");
      ticket.settle({ ...usage, completionTokens: 1_000_000 });
      ticket.markSent();
      ticket.noteBytes(1_000_000);
      ticket[Symbol.dispose]();
      assert.deepEqual([scheduler.gauges(), scheduler.allowances(ada)], before);
      assert.deepEqual(
        scheduler.allowances(ada).map(({ name, remaining }) => [name, remaining]),
        [
          ["upstream", 1],
          ["upstream-tokens", 800],
        ],
      );
    });

    it("changes nothing: what the upstream said of a call counts once", async () => {
      for (const given of [verdict("over_limit", "1302"), verdict("failed", "1234"), verdict("account", "1113")]) {
        const { clock, scheduler } = setUp({ startsPerSecond: 1_000 });
        const ticket = await startCall(scheduler, clock);
        const isWorthAnotherTry = await ticket.report(given);
        const before = scheduler.gauges().lanes;
        await clock.advance(10);
        const blockedMs = before.map((lane) => Math.max(0, lane.blockedMs - 10));
        assert.equal(await ticket.report(given), isWorthAnotherTry);
        assert.deepEqual(
          scheduler.gauges().lanes,
          before.map((lane, index) => ({ ...lane, blockedMs: blockedMs[index] })),
        );
      }
    });

    it("settles before or after the release, with the same outcome", async () => {
      const outcomes = [];
      for (const order of [
        ["release", "settle"],
        ["settle", "release"],
      ]) {
        const { clock, scheduler } = setUp({ startsPerSecond: 10, concurrencyMax: 2, tokensPerMinute: 10_000 });
        const ticket = await startCall(scheduler, clock);
        await clock.advance(4_000);
        for (const step of order) {
          if (step === "release") ticket.release("ended");
          else ticket.settle(usage);
        }
        outcomes.push([scheduler.gauges(), scheduler.allowances(ada)]);
      }
      assert.deepEqual(outcomes[0], outcomes[1]);
    });

    it("is harmless after the end, and arms no timer", async () => {
      const { clock, scheduler } = setUp({ concurrencyMax: 3, startsPerSecond: 1_000 });
      const tickets = [1, 2, 3].map(() => startCall(scheduler, clock));
      const [first, second, third] = await Promise.all(tickets);
      const waiting = arrive(scheduler);
      scheduler.close();
      scheduler.close();
      await first?.report(verdict("over_limit", "1302", 5_000));
      first?.release("aborted");
      await second?.report(verdict("account", "1113"));
      second?.noteBytes(10);
      second?.settle(usage);
      third?.[Symbol.dispose]();
      scheduler.configure(limitsOf({ startsPerSecond: 1 }));
      const late = arrive(scheduler);
      await clock.advance(0);
      assert.deepEqual([waiting.refusal, late.refusal], ["shutting_down", "shutting_down"]);
      assert.equal(clock.armedCount, 0);
      assert.deepEqual([scheduler.gauges().waiting, scheduler.gauges().running], [0, 1]);
    });

    it("leaves no timer and nobody behind when all is over and everyone has gone their own way", async () => {
      const { clock, scheduler } = setUp({
        concurrencyMax: 1,
        startsPerSecond: 1_000,
        user: { startsPerSecond: 5, concurrencyMax: 2, tokensPerMinute: 10_000 },
        queueCapacity: 3,
      });
      const running = await startCall(scheduler, clock);
      const client = new AbortController();
      const calls = [
        arrive(scheduler),
        arrive(scheduler, { signal: client.signal }),
        arrive(scheduler, { wish: { patienceMs: 700 } }),
        arrive(scheduler, { userId: "bob" }),
      ];
      client.abort();
      await clock.advance(1_000);
      await running.report(verdict("overloaded", "1305", 1_000));
      running[Symbol.dispose]();
      for (const { ticket } of calls) ticket?.[Symbol.dispose]();
      for (let round = 0; round < 20; round++) {
        await clock.advance(1_000);
        for (const { ticket } of calls) ticket?.[Symbol.dispose]();
      }
      assert.ok(
        calls.every(({ ticket, refusal }) => ticket !== null || refusal !== null),
        "each had an answer",
      );
      assert.deepEqual([scheduler.gauges().waiting, scheduler.gauges().running], [0, 0]);
      assert.equal(clock.armedCount, 0);
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

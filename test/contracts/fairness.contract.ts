// What every scheduler promises about sharing, about limits of users and models, and about the upstream's refusals.
// Called once by each implementation's own test file, beside scheduler.contract.ts.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Scheduler, Standing, Ticket } from "../../src/admission/scheduler.ts";
import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";
import {
  type Arrival,
  type ArrivalOptions,
  arrive,
  limitsOf,
  type SchedulerFactory,
  type TestLimits,
} from "./scheduler.contract.ts";

const noGate = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null };
const usage = { promptTokens: 10, completionTokens: 10, cachedTokens: 0, reasoningTokens: 0 };

function verdict(kind: VerdictKind, code: string, waitMs: number | null = null): Verdict {
  return { kind, code, waitMs };
}

export function fairnessContract(name: string, createScheduler: SchedulerFactory): void {
  function setUp(limits: TestLimits = {}) {
    const clock = createManualClock();
    const scheduler = createScheduler(
      limitsOf({ queueTimeoutMs: 60_000, sendGuardMs: 0, abortLingerMs: 0, ...limits }),
      clock,
    );
    return { clock, scheduler };
  }

  async function start(scheduler: Scheduler, clock: ManualClock, options: ArrivalOptions = {}): Promise<Ticket> {
    const arrival = arrive(scheduler, options);
    await clock.advance(0);
    assert.ok(arrival.ticket, `expected a start, got ${arrival.refusal}`);
    arrival.ticket.markSent();
    return arrival.ticket;
  }

  function finish(ticket: Ticket): void {
    void ticket.report(verdict("good", ""));
    ticket.release("ended");
    ticket.settle(usage);
  }

  /** Serves those that wait one after another; tells in which order, by index. */
  async function serveInOrder(first: Ticket, arrivals: readonly Arrival[], clock: ManualClock, count: number) {
    const order: number[] = [];
    let running = first;
    while (order.length < count) {
      await clock.advance(10);
      finish(running);
      await clock.advance(0);
      const index = arrivals.findIndex(({ ticket }, at) => ticket !== null && !order.includes(at));
      assert.ok(index >= 0, "somebody is next");
      running = arrivals[index]?.ticket as Ticket;
      running.markSent();
      order.push(index);
    }
    return order;
  }

  const oneAtOnce: TestLimits = { startsPerSecond: 1_000, concurrencyMax: 1, queueCapacity: 200 };

  describe(`${name}: sharing`, () => {
    it("lets users take turns, however many calls each has waiting", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      const first = await start(scheduler, clock, { userId: "zoe" });
      const users = ["ada", "ada", "ada", "ada", "bob", "bob"];
      const arrivals = users.map((userId) => arrive(scheduler, { userId }));
      const order = await serveInOrder(first, arrivals, clock, 4);
      assert.deepEqual(order.map((index) => users[index]).sort(), ["ada", "ada", "bob", "bob"]);
    });

    it("gives a user of weight 3 three calls for each one of weight 1", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      const first = await start(scheduler, clock, { userId: "zoe" });
      const users = Array.from({ length: 24 }, (_, index) => (index % 2 === 0 ? "heavy" : "plain"));
      const arrivals = users.map((userId) =>
        arrive(scheduler, { userId, principal: { weight: userId === "heavy" ? 3 : 1 } }),
      );
      const order = await serveInOrder(first, arrivals, clock, 12);
      assert.equal(order.filter((index) => users[index] === "heavy").length, 9);
    });

    it("gives interactive calls sixteen turns and default ones four for each one of batch", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      const first = await start(scheduler, clock, { userId: "zoe", principal: { class: "batch" } });
      const classes = ["interactive", "default", "batch"] as const;
      const arrivals = Array.from({ length: 120 }, (_, index) => {
        const trafficClass = classes[index % 3] as (typeof classes)[number];
        return arrive(scheduler, { userId: trafficClass, principal: { class: trafficClass } });
      });
      const order = await serveInOrder(first, arrivals, clock, 42);
      const counts = classes.map((_, at) => order.filter((index) => index % 3 === at).length);
      // The first call was of one of them.
      for (const [at, count] of [32, 8, 2].entries())
        assert.ok(Math.abs((counts[at] ?? 0) - count) <= 1, String(counts));
    });

    it("takes a call's wish for a lower class and not for a higher one", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      await start(scheduler, clock);
      arrive(scheduler, { userId: "low", wish: { class: "batch" } });
      arrive(scheduler, { userId: "high", wish: { class: "interactive" } });
      await clock.advance(0);
      const classes = new Map(scheduler.snapshot().waitingCalls.map((call) => [call.userId, call.class]));
      assert.deepEqual([classes.get("low"), classes.get("high")], ["batch", "default"]);
    });

    it("lets a user's sessions take turns", async () => {
      const { clock, scheduler } = setUp(oneAtOnce);
      const first = await start(scheduler, clock, { principal: { flowId: "agent" } });
      const flows = [...Array.from({ length: 10 }, () => "agent"), "chat"];
      const arrivals = flows.map((flowId) => arrive(scheduler, { principal: { flowId } }));
      const order = await serveInOrder(first, arrivals, clock, 2);
      assert.ok(order.includes(10), "the chat does not wait for ten calls of the agent");
    });

    it("takes the newest call of the longest backlog out of a full queue for a user who has none waiting", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, queueCapacity: 3 });
      await start(scheduler, clock, { userId: "zoe" });
      const flood = [1, 2, 3, 4].map(() => arrive(scheduler, { userId: "flood" }));
      const light = arrive(scheduler, { userId: "light" });
      await clock.advance(0);
      assert.deepEqual(
        flood.map(({ refusal }) => refusal),
        [null, null, "queue_full", "queue_full"],
      );
      assert.equal(light.refusal, null);
      assert.equal(scheduler.snapshot().waiting, 3);
    });
  });

  describe(`${name}: a user's own limits`, () => {
    it("hold up that user's calls and nobody else's, for calls at once", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, user: { ...noGate, concurrencyMax: 1 } });
      const first = await start(scheduler, clock);
      const second = arrive(scheduler);
      await start(scheduler, clock, { userId: "bob" });
      assert.equal(second.ticket, null);
      assert.equal(scheduler.snapshot().waitingCalls[0]?.blockedBy, "user_concurrency");
      finish(first);
      await clock.advance(0);
      assert.ok(second.ticket);
    });

    it("hold them up for starts in a second", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, user: { ...noGate, startsPerSecond: 1 } });
      await start(scheduler, clock);
      const second = arrive(scheduler);
      await clock.advance(999);
      assert.equal(second.ticket, null);
      await clock.advance(1);
      assert.ok(second.ticket);
    });

    it("refuse with user_queue_full what is beyond the user's part of the queue", async () => {
      const { clock, scheduler } = setUp({ ...oneAtOnce, userQueueCapacity: 2 });
      await start(scheduler, clock);
      const own = [1, 2, 3].map(() => arrive(scheduler));
      const other = arrive(scheduler, { userId: "bob" });
      await clock.advance(0);
      assert.deepEqual(
        own.map(({ refusal }) => refusal),
        [null, null, "user_queue_full"],
      );
      assert.deepEqual([own[2]?.facts.waiting, own[2]?.facts.limit], [2, 2]);
      assert.equal(other.refusal, null);
    });
  });

  describe(`${name}: tokens and models`, () => {
    it("holds a call back until the minute has room for what it may use", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 100, tokensPerMinute: 1_000, queueTimeoutMs: 120_000 });
      const first = await start(scheduler, clock, { wish: { inputBytes: 0, outputTokensMax: 700 } });
      const second = arrive(scheduler, { wish: { inputBytes: 0, outputTokensMax: 700 } });
      await first.report(verdict("good", ""));
      first.release("ended");
      first.settle({ ...usage, promptTokens: 0, completionTokens: 700 });
      await clock.advance(60_000);
      assert.equal(second.ticket, null);
      await clock.advance(100);
      assert.ok(second.ticket);
    });

    it("gives back at once what a call reserved and did not use", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 100, tokensPerMinute: 1_000 });
      const first = await start(scheduler, clock, { wish: { inputBytes: 0, outputTokensMax: 700 } });
      const second = arrive(scheduler, { wish: { inputBytes: 0, outputTokensMax: 700 } });
      await clock.advance(10);
      assert.equal(second.ticket, null);
      finish(first);
      await clock.advance(0);
      assert.ok(second.ticket);
    });

    it("holds up a model's calls at its own limit, and no other model's", async () => {
      const models = [{ ...noGate, pattern: "glm-5*", concurrencyMax: 1 }];
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, models });
      await start(scheduler, clock, { wish: { model: "glm-5" } });
      const second = arrive(scheduler, { wish: { model: "glm-5" } });
      await start(scheduler, clock, { wish: { model: "glm-4.5-flash" } });
      assert.equal(second.ticket, null);
      assert.equal(scheduler.snapshot().waitingCalls[0]?.blockedBy, "model_concurrency");
    });
  });

  describe(`${name}: the upstream's refusals`, () => {
    it("let a call that was refused for a limit wait at its old place, before its session's newer calls", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, concurrencyMax: 2 });
      const first = await start(scheduler, clock);
      const refused = await start(scheduler, clock);
      const newer = arrive(scheduler);
      assert.equal(await refused.report(verdict("over_limit", "1302")), true);
      refused.release("ended");
      refused.settle(null);
      const again = arrive(scheduler, { wish: { place: refused.place } });
      await clock.advance(10);
      assert.equal(scheduler.snapshot().lanes.find(({ model }) => model !== null)?.learnedConcurrency, 1);
      finish(first);
      await clock.advance(980);
      assert.equal(again.ticket, null, "nothing starts for a second");
      await clock.advance(220);
      assert.ok(again.ticket, "it goes first");
      assert.equal(newer.ticket, null);
    });

    it("are told when there is no time left for another try", async () => {
      const { clock, scheduler } = setUp({ queueTimeoutMs: 5_000 });
      const refused = await start(scheduler, clock);
      await clock.advance(1_000);
      await refused.report(verdict("over_limit", "1302", 60_000));
      refused.release("ended");
      refused.settle(null);
      const again = arrive(scheduler, { wish: { place: refused.place } });
      await clock.advance(3_999);
      assert.equal(again.refusal, null);
      await clock.advance(1);
      assert.deepEqual([again.refusal, again.facts.upstreamCode], ["upstream_rate_limited", "1302"]);
    });

    it("stop all who can't outlive a quota's reset, at once, and no other model's calls", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, concurrencyMax: 2 });
      const refused = await start(scheduler, clock, { wish: { model: "glm-5" } });
      await start(scheduler, clock, { wish: { model: "glm-5" } });
      const waiting = arrive(scheduler, { wish: { model: "glm-5" } });
      assert.equal(await refused.report(verdict("quota", "1308", 3_600_000)), false);
      refused.release("ended");
      const late = arrive(scheduler, { wish: { model: "glm-5" } });
      await clock.advance(0);
      for (const { refusal, facts } of [waiting, late]) {
        assert.deepEqual([refusal, facts.upstreamCode, facts.retryAfterMs], ["upstream_quota", "1308", 3_600_000]);
      }
      await start(scheduler, clock);
    });

    it("disable a key whose account is refused, until one call a minute later finds it good", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000, queueTimeoutMs: 5_000 });
      const refused = await start(scheduler, clock);
      await refused.report(verdict("account", "1001"));
      refused.release("ended");
      const meanwhile = arrive(scheduler);
      await clock.advance(0);
      assert.equal(meanwhile.refusal, "upstream_account");
      await clock.advance(60_000);
      const probe = await start(scheduler, clock);
      const behind = arrive(scheduler);
      await clock.advance(100);
      assert.equal(behind.ticket, null, "one at a time");
      finish(probe);
      await clock.advance(0);
      assert.ok(behind.ticket);
    });

    it("let the calls of an overloaded model wait, with one that tries after a moment", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1_000 });
      const refused = await start(scheduler, clock);
      assert.equal(await refused.report(verdict("overloaded", "1305", 2_000)), true);
      refused.release("ended");
      const [again, other] = [arrive(scheduler, { wish: { place: refused.place } }), arrive(scheduler)];
      await clock.advance(1_999);
      assert.deepEqual([again.ticket, other.ticket], [null, null]);
      await clock.advance(1);
      assert.ok(again.ticket);
      assert.equal(other.ticket, null);
    });
  });

  describe(`${name}: what is told`, () => {
    it("tells a call that waits its place and about how long, for as long as it waits", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1 });
      (await start(scheduler, clock)).settle(null);
      let look: (() => Standing) | undefined;
      const onQueued = (given: () => Standing) => {
        look = given;
      };
      const [ahead, watched] = [arrive(scheduler), arrive(scheduler, { wish: { onQueued } })];
      assert.deepEqual([look?.().position, look?.().etaMs], [2, 2_000]);
      await clock.advance(1_000);
      ahead.ticket?.markSent();
      assert.deepEqual([look?.().position, look?.().etaMs], [1, 1_000]);
      await clock.advance(1_000);
      assert.deepEqual(
        [watched.ticket?.queuePosition, watched.ticket?.etaMs, watched.ticket?.waitedMs],
        [2, 2_000, 2_000],
      );
    });

    it("refuses at once, when asked to, what would wait too long, and says when to come back", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 1, queueTimeoutMs: 2_500, refusesEarly: true });
      await start(scheduler, clock, { userId: "zoe" });
      const arrivals = ["ada", "bob", "eve"].map((userId) => arrive(scheduler, { userId }));
      await clock.advance(0);
      assert.deepEqual(
        arrivals.map(({ refusal }) => refusal),
        [null, null, "wait_too_long"],
      );
      assert.ok((arrivals[2]?.facts.retryAfterMs ?? 0) >= 1_000);
    });

    it("tells what is left of each limit, the scarcest first", async () => {
      const { clock, scheduler } = setUp({ startsPerSecond: 4, concurrencyMax: 2 });
      await start(scheduler, clock);
      const principal = { userId: "ada", role: "user", weight: 1, class: "default", flowId: "" } as const;
      const told = scheduler.allowances(principal).map(({ name, limit, remaining }) => [name, limit, remaining]);
      assert.deepEqual(told, [
        ["upstream-streams", 2, 1],
        ["upstream", 4, 3],
      ]);
    });

    it("has no timer left when everything has ended, however it ended", async () => {
      const { clock, scheduler } = setUp({
        startsPerSecond: 1_000,
        concurrencyMax: 1,
        user: { ...noGate, startsPerSecond: 5 },
      });
      const refused = await start(scheduler, clock);
      const client = new AbortController();
      arrive(scheduler, { signal: client.signal });
      await refused.report(verdict("over_limit", "1302"));
      refused[Symbol.dispose]();
      client.abort();
      await clock.advance(0);
      scheduler.close();
      assert.equal(clock.armedCount, 0);
      assert.deepEqual([scheduler.gauges().waiting, scheduler.gauges().running], [0, 0]);
    });
  });
}

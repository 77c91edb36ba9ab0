// What every scheduler promises of a pool of keys. Called once by each implementation's own test file.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AdmissionLimits, KeyLimits, Scheduler, Ticket } from "../../src/admission/scheduler.ts";
import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
import { createManualClock, type ManualClock } from "../support/manual-clock.ts";
import { type Arrival, type ArrivalOptions, arrive, limitsOf, type SchedulerFactory } from "./scheduler.contract.ts";

export function keyOf(name: string, more: Partial<KeyLimits> = {}): KeyLimits {
  return { name, models: null, startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null, ...more };
}

export function poolOf(keys: readonly KeyLimits[], more: Partial<AdmissionLimits> = {}): AdmissionLimits {
  return { ...limitsOf({ sendGuardMs: 0, abortLingerMs: 0 }), ...more, keys };
}

export function verdictOf(kind: VerdictKind, code: string | null = null, waitMs: number | null = null): Verdict {
  return { kind, code, waitMs };
}

/** The key that it was let in with, or null. */
function usedKey(arrival: Arrival | null): string | null {
  return arrival?.ticket?.upstreamKey ?? null;
}

/** Everything that can be wrong with one key while another serves. */
const troubles: readonly Verdict[] = [
  verdictOf("account", "1001"),
  verdictOf("model_barred", "1311"),
  verdictOf("quota", "1308", 3_600_000),
  verdictOf("quota", "1113"),
  verdictOf("restricted", "1313"),
  verdictOf("failed", "1234"),
  verdictOf("overloaded", "1305"),
  verdictOf("unreachable"),
];

export function schedulerPoolContract(name: string, createScheduler: SchedulerFactory): void {
  function setUp(keys: readonly KeyLimits[], more: Partial<AdmissionLimits> = {}) {
    const clock = createManualClock();
    return { clock, scheduler: createScheduler(poolOf(keys, more), clock) };
  }

  async function start(scheduler: Scheduler, clock: ManualClock, options: ArrivalOptions = {}): Promise<Ticket> {
    const arrival = arrive(scheduler, options);
    await clock.advance(0);
    assert.ok(arrival.ticket, `expected a start, got ${arrival.refusal}`);
    arrival.ticket.markSent();
    return arrival.ticket;
  }

  /** The upstream's answer, and the end. Null: nothing more to try; else what became of the new try. */
  async function answer(
    scheduler: Scheduler,
    clock: ManualClock,
    ticket: Ticket,
    given: Verdict,
    options: ArrivalOptions = {},
  ): Promise<Arrival | null> {
    const isWorthAnotherTry = await ticket.report(given);
    ticket.release("ended");
    ticket.settle(null);
    if (!isWorthAnotherTry) return null;
    const again = arrive(scheduler, { ...options, wish: { ...options.wish, place: ticket.place } });
    await clock.advance(0);
    again.ticket?.markSent();
    return again;
  }

  const good = verdictOf("good");

  describe(`${name}: the choice among keys`, () => {
    it("gives each key its part by weight, also to calls that come one by one", async () => {
      const { clock, scheduler } = setUp([keyOf("small"), keyOf("large", { weight: 3 })]);
      const counts = new Map<string, number>();
      for (let count = 0; count < 40; count++) {
        const ticket = await start(scheduler, clock);
        counts.set(ticket.upstreamKey, (counts.get(ticket.upstreamKey) ?? 0) + 1);
        await answer(scheduler, clock, ticket, good);
      }
      assert.deepEqual([...counts].sort(), [
        ["large", 30],
        ["small", 10],
      ]);
    });

    it("gives each key its part of calls that run at once", async () => {
      const { clock, scheduler } = setUp([keyOf("small"), keyOf("large", { weight: 3 })]);
      const tickets = [];
      for (let count = 0; count < 40; count++) tickets.push(await start(scheduler, clock));
      assert.equal(tickets.filter(({ upstreamKey }) => upstreamKey === "large").length, 30);
    });

    it("sends calls of one affinity with one key while that has room, and with others when it has not", async () => {
      const keys = ["a", "b", "c"].map((key) => keyOf(key, { concurrencyMax: 2 }));
      const { clock, scheduler } = setUp(keys);
      const wish = { affinity: "ada chat" };
      const first = await start(scheduler, clock, { wish });
      const home = first.upstreamKey;
      await answer(scheduler, clock, first, good);
      for (let count = 0; count < 10; count++) {
        const ticket = await start(scheduler, clock, { wish });
        assert.equal(ticket.upstreamKey, home);
        await answer(scheduler, clock, ticket, good);
      }
      const one = await start(scheduler, clock, { wish });
      const two = await start(scheduler, clock, { wish });
      assert.equal(one.upstreamKey, home);
      assert.notEqual(two.upstreamKey, home, "it is half full, and the others are empty");
    });
  });

  describe(`${name}: keys of one account`, () => {
    const shared = { account: "lab", concurrencyMax: 2 };

    it("share its limits", async () => {
      const { clock, scheduler } = setUp([keyOf("a", shared), keyOf("b", shared)]);
      const running = [await start(scheduler, clock), await start(scheduler, clock)];
      assert.deepEqual(running.map(({ upstreamKey }) => upstreamKey).sort(), ["a", "b"]);
      const third = arrive(scheduler);
      await clock.advance(0);
      assert.equal(third.ticket, null);
      running[0]?.release("ended");
      await clock.advance(0);
      assert.ok(third.ticket);
    });

    it("may name another key as their account", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { concurrencyMax: 1 }), keyOf("b", { account: "a" })]);
      await start(scheduler, clock);
      const second = arrive(scheduler);
      await clock.advance(0);
      assert.equal(second.ticket, null);
    });

    it("share what the upstream's refusals taught", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { account: "lab" }), keyOf("b", { account: "lab" })]);
      const running = [];
      for (let count = 0; count < 4; count++) running.push(await start(scheduler, clock));
      await running[3]?.report(verdictOf("over_limit", "1302"));
      const learned = scheduler.gauges().lanes.filter(({ model }) => model !== null);
      assert.deepEqual(
        learned.map(({ upstreamKey, learnedConcurrency }) => [upstreamKey, learnedConcurrency]),
        [
          ["a", 3],
          ["b", 3],
        ],
      );
    });

    it("are refused one by one, but meet a quota together", async () => {
      const { clock, scheduler } = setUp([keyOf("a", shared), keyOf("b", shared)]);
      const refused = await start(scheduler, clock);
      const again = await answer(scheduler, clock, refused, verdictOf("account", "1001"));
      assert.ok(again?.ticket);
      assert.notEqual(again.ticket.upstreamKey, refused.upstreamKey);
      assert.equal(await answer(scheduler, clock, again.ticket, verdictOf("quota", "1308", 3_600_000)), null);
      const next = arrive(scheduler);
      await clock.advance(0);
      assert.ok(["upstream_quota", "upstream_account"].includes(next.refusal ?? ""), String(next.refusal));
    });
  });

  describe(`${name}: a call that is bound to a key`, () => {
    const keys = [keyOf("a", { concurrencyMax: 1 }), keyOf("b"), keyOf("c", { account: "b", models: ["glm-5"] })];
    const wish = { upstreamKey: "a" };

    it("waits for that one while others are free, and holds up nobody", async () => {
      const { clock, scheduler } = setUp(keys);
      const first = await start(scheduler, clock, { wish });
      assert.equal(first.upstreamKey, "a");
      const second = arrive(scheduler, { wish });
      await clock.advance(0);
      assert.equal(second.ticket, null);
      assert.notEqual((await start(scheduler, clock)).upstreamKey, "a");
      first.release("ended");
      await clock.advance(0);
      assert.equal(usedKey(second), "a");
    });

    it("may go to another key of its account, whichever models that is for", async () => {
      const { clock, scheduler } = setUp(keys);
      const first = await start(scheduler, clock, { wish: { upstreamKey: "b" } });
      const again = await answer(scheduler, clock, first, verdictOf("account", "1001"), { wish: { upstreamKey: "b" } });
      assert.deepEqual([first.upstreamKey, again?.ticket?.upstreamKey].sort(), ["b", "c"]);
    });

    it("is never passed on to another account", async () => {
      const { clock, scheduler } = setUp(keys);
      const first = await start(scheduler, clock, { wish });
      assert.equal(await answer(scheduler, clock, first, verdictOf("account", "1001"), { wish }), null);
      const next = arrive(scheduler, { wish });
      await clock.advance(0);
      assert.equal(next.refusal, "upstream_account");
    });

    it("is refused when neither is there, and not when a sibling is", async () => {
      const { clock, scheduler } = setUp(keys);
      const lost = arrive(scheduler, { wish: { upstreamKey: "gone" } });
      scheduler.configure(poolOf([keyOf("c", { account: "b" })]));
      const homeless = arrive(scheduler, { wish });
      const moved = arrive(scheduler, { wish: { upstreamKey: "b" } });
      await clock.advance(0);
      assert.deepEqual([lost.refusal, homeless.refusal], ["upstream_account", "upstream_account"]);
      assert.equal(moved.ticket?.upstreamKey, "c");
    });

    it("goes only to keys of the kind that knows what it asks for", async () => {
      const { clock, scheduler } = setUp([keyOf("vllm", { kind: "openai" }), keyOf("glm", { concurrencyMax: 1 })]);
      const first = await start(scheduler, clock, { wish: { keyKind: "glm" } });
      assert.equal(first.upstreamKey, "glm");
      const second = arrive(scheduler, { wish: { keyKind: "glm" } });
      assert.equal((await start(scheduler, clock)).upstreamKey, "vllm");
      assert.equal(second.ticket, null);
    });
  });

  describe(`${name}: two keys of which one fails`, () => {
    for (const trouble of troubles) {
      const words = `${trouble.kind} ${trouble.code ?? ""}`.trim();

      it(`lets nobody hear of it (${words}) whom the other can serve`, async () => {
        const { clock, scheduler } = setUp(
          [keyOf("bad", { concurrencyMax: 3 }), keyOf("fine", { concurrencyMax: 3 })],
          {
            queueTimeoutMs: 60_000,
          },
        );
        const arrivals = Array.from({ length: 20 }, (_, index) => arrive(scheduler, { userId: `user-${index % 4}` }));
        let servedCount = 0;
        let failedCount = 0;
        for (let round = 0; servedCount < 20; round++) {
          assert.ok(round < 200, `${servedCount} of 20 were served`);
          await clock.advance(100);
          for (const [index, arrival] of arrivals.entries()) {
            assert.equal(arrival.refusal, null);
            const { ticket } = arrival;
            if (!ticket) continue;
            ticket.markSent();
            if (ticket.upstreamKey === "bad") {
              failedCount++;
              const again = await answer(scheduler, clock, ticket, trouble, { userId: `user-${index % 4}` });
              assert.ok(again, "it is worth another try");
              arrivals[index] = again;
              if (again.ticket) assert.equal(again.ticket.upstreamKey, "fine", "the other key is tried first");
            } else {
              await answer(scheduler, clock, ticket, good);
              arrivals[index] = { ticket: null, refusal: null, facts: {} };
              servedCount++;
            }
          }
        }
        assert.ok(failedCount > 0);
      });
    }

    it("goes on at once on the other one, and waits for it though the failed one is free", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { concurrencyMax: 1 }), keyOf("b", { concurrencyMax: 1 })]);
      const first = await start(scheduler, clock);
      const second = await start(scheduler, clock, { userId: "bob" });
      const again = await answer(scheduler, clock, first, verdictOf("failed", "1234"));
      assert.ok(again);
      assert.equal(again.ticket, null, "its own key is free, but has failed it");
      assert.equal((await start(scheduler, clock, { userId: "eve" })).upstreamKey, first.upstreamKey);
      second.release("ended");
      await clock.advance(0);
      assert.equal(usedKey(again), second.upstreamKey);
    });

    it("tries the failed one again when the other can't serve any more", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { concurrencyMax: 1 }), keyOf("b", { concurrencyMax: 1 })]);
      const first = await start(scheduler, clock);
      const second = await start(scheduler, clock, { userId: "bob" });
      const again = await answer(scheduler, clock, first, verdictOf("failed", "1234"));
      assert.equal(again?.ticket, null);
      await second.report(verdictOf("account", "1001"));
      second.release("ended");
      await clock.advance(0);
      assert.equal(usedKey(again), first.upstreamKey);
    });

    it("gives a call back the time that the failed key has had it, as far as its client waits", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { concurrencyMax: 1 }), keyOf("b", { concurrencyMax: 1 })]);
      const slow = await start(scheduler, clock);
      const hasty = await start(scheduler, clock, { userId: "bob", wish: { patienceMs: 12_000 } });
      await clock.advance(10_000);
      const again = await answer(scheduler, clock, slow, verdictOf("unreachable"));
      assert.equal(again?.refusal, null, "the queue's five seconds have not begun");
      const place = hasty.place;
      assert.equal(place.deadlineAt, 5_000);
      assert.ok(await hasty.report(verdictOf("unreachable")), "the first key may be back in time");
      assert.equal(hasty.place.deadlineAt, 12_000);
    });

    it("ends when every key has failed", async () => {
      const { clock, scheduler } = setUp([keyOf("a"), keyOf("b")]);
      const first = await start(scheduler, clock);
      const again = await answer(scheduler, clock, first, verdictOf("account", "1001"));
      assert.ok(again?.ticket);
      assert.equal(await answer(scheduler, clock, again.ticket, verdictOf("account", "1001")), null);
    });

    it("tries no more than three others for a failure that may be the call's own doing", async () => {
      const { clock, scheduler } = setUp(["a", "b", "c", "d", "e", "f"].map((key) => keyOf(key)));
      const used: string[] = [];
      let ticket: Ticket | null = await start(scheduler, clock);
      while (ticket) {
        used.push(ticket.upstreamKey);
        ticket = (await answer(scheduler, clock, ticket, verdictOf("failed", "1234")))?.ticket ?? null;
      }
      assert.deepEqual([used.length, new Set(used).size], [4, 4]);
    });
  });

  describe(`${name}: a key that can't be reached`, () => {
    const unreachable = verdictOf("unreachable");

    const reset = { ...unreachable, mayHaveRun: true };
    const fail = async (scheduler: Scheduler, clock: ManualClock, given: Verdict, options: ArrivalOptions = {}) => {
      const ticket = await start(scheduler, clock, options);
      const isWorthAnotherTry = await ticket.report(given);
      ticket.release("aborted");
      return isWorthAnotherTry;
    };

    it("rests at once while another serves: a second, then twice as long each time up to a minute", async () => {
      const { clock, scheduler } = setUp([keyOf("a"), keyOf("b")], { queueTimeoutMs: 1_000_000 });
      const wish = { upstreamKey: "a" };
      const waits: number[] = [];
      for (let round = 0; round < 8; round++) {
        let ticket = await start(scheduler, clock);
        while (ticket.upstreamKey !== "a") {
          await ticket.report(good);
          ticket.release("ended");
          ticket = await start(scheduler, clock);
        }
        await ticket.report(unreachable);
        ticket.release("aborted");
        const lane = scheduler.gauges().lanes.find(({ upstreamKey }) => upstreamKey === "a");
        waits.push(lane?.blockedMs ?? 0);
        await clock.advance(lane?.blockedMs ?? 0);
      }
      for (const [round, waitMs] of waits.entries()) {
        const most = Math.min(60_000, 1_000 * 2 ** round);
        assert.ok(waitMs <= most && waitMs >= most * 0.75, `${waitMs} of ${most}`);
      }
      const probe = await start(scheduler, clock, { wish });
      const next = arrive(scheduler, { wish });
      await clock.advance(0);
      assert.equal(next.ticket, null, "one call finds out whether it is back");
      await probe.report(good);
      await clock.advance(0);
      assert.ok(next.ticket, "it is");
    });

    it("rests after three calls where no other serves: a quarter of a second, twice as long up to five", async () => {
      const { clock, scheduler } = setUp([keyOf("only")], { queueTimeoutMs: 1_000_000 });
      for (let count = 0; count < 2; count++) {
        await fail(scheduler, clock, unreachable);
        assert.equal(scheduler.gauges().lanes[0]?.blockedMs, 0);
      }
      const waits: number[] = [];
      for (let round = 0; round < 8; round++) {
        await fail(scheduler, clock, unreachable);
        const [lane] = scheduler.gauges().lanes;
        waits.push(lane?.blockedMs ?? 0);
        await clock.advance(lane?.blockedMs ?? 0);
      }
      for (const [round, waitMs] of waits.entries()) {
        const most = Math.min(5_000, 250 * 2 ** round);
        assert.ok(waitMs <= most && waitMs >= most * 0.75, `${waitMs} of ${most}`);
      }
      const probe = await start(scheduler, clock);
      const next = arrive(scheduler);
      await clock.advance(0);
      assert.equal(next.ticket, null, "one call finds out whether it is back");
      await probe.report(good);
      await clock.advance(0);
      assert.ok(next.ticket, "it is");
    });

    it("does not rest for one call, however often that is tried", async () => {
      const { clock, scheduler } = setUp([keyOf("only")]);
      const first = arrive(scheduler);
      await clock.advance(0);
      let { ticket } = first;
      for (let tries = 0; tries < 6 && ticket; tries++) {
        ticket.markSent();
        await ticket.report(unreachable);
        ticket.release("aborted");
        const again = arrive(scheduler, { wish: { place: ticket.place } });
        await clock.advance(0);
        ticket = again.ticket;
      }
      assert.equal(scheduler.gauges().lanes[0]?.blockedMs, 0);
      assert.ok(ticket);
    });

    it("does not rest for the calls of one user that break their connection while others are served", async () => {
      const { clock, scheduler } = setUp([keyOf("only"), keyOf("other", { models: ["none"] })]);
      for (let count = 0; count < 50; count++) {
        const served = await start(scheduler, clock, { userId: "bob" });
        await served.report(good);
        served.release("ended");
        await clock.advance(500);
        for (let broken = 0; broken < 5; broken++) assert.equal(await fail(scheduler, clock, reset), false);
        assert.equal(scheduler.gauges().lanes[0]?.blockedMs, 0);
      }
    });

    it("rests for the calls of several users that break their connection", async () => {
      const { clock, scheduler } = setUp([keyOf("only")]);
      for (const userId of ["ada", "ada", "bob"]) await fail(scheduler, clock, reset, { userId });
      assert.ok((scheduler.gauges().lanes[0]?.blockedMs ?? 0) > 0);
    });

    it("does not have a call again that it may have executed, nor has another key", async () => {
      const { clock, scheduler } = setUp([keyOf("a"), keyOf("b")]);
      assert.equal(await fail(scheduler, clock, reset), false);
      assert.equal(await fail(scheduler, clock, { ...verdictOf("failed"), mayHaveRun: true }), false);
      assert.equal(await fail(scheduler, clock, { ...verdictOf("silent"), mayHaveRun: true }), true, "as configured");
    });

    it("does not cool down for a call that took too long while others were served", async () => {
      const { clock, scheduler } = setUp([keyOf("only")]);
      const slow = await start(scheduler, clock);
      await clock.advance(1_000);
      await (await start(scheduler, clock)).report(good);
      await clock.advance(1_000);
      await slow.report(unreachable);
      assert.equal(scheduler.gauges().lanes[0]?.blockedMs, 0);
    });

    it("lets those wait who have the time, and refuses at once who has not", async () => {
      const { clock, scheduler } = setUp([keyOf("only")], { queueTimeoutMs: 5_000 });
      for (let round = 0; round < 6; round++) {
        await fail(scheduler, clock, unreachable);
        if (round < 5) await clock.advance(scheduler.gauges().lanes[0]?.blockedMs ?? 0);
      }
      const [patient, hopeless] = [arrive(scheduler), arrive(scheduler, { wish: { patienceMs: 1_000 } })];
      await clock.advance(0);
      assert.deepEqual([patient.refusal, hopeless.refusal], [null, "upstream_failed"]);
      assert.ok((hopeless.facts.retryAfterMs ?? 0) >= 1_500);
    });
  });

  describe(`${name}: keys that come, go and change while calls run`, () => {
    it("lose none of the calls that wait", async () => {
      const { clock, scheduler } = setUp([keyOf("old", { concurrencyMax: 1 })]);
      const running = await start(scheduler, clock);
      const waiting = arrive(scheduler);
      scheduler.configure(poolOf([keyOf("new", { concurrencyMax: 1 })]));
      await clock.advance(0);
      assert.equal(waiting.ticket?.upstreamKey, "new");
      await running.report(verdictOf("account", "1001"));
      running.release("ended");
      assert.equal(scheduler.gauges().lanes.find(({ upstreamKey }) => upstreamKey === "new")?.isDisabled, false);
    });

    it("are tried again after a reload, as when a key was replaced by another of the same name", async () => {
      const { clock, scheduler } = setUp([keyOf("only")]);
      await (await start(scheduler, clock)).report(verdictOf("account", "1001"));
      const refused = arrive(scheduler);
      await clock.advance(0);
      assert.equal(refused.refusal, "upstream_account");
      scheduler.configure(poolOf([keyOf("only")]));
      assert.equal((await start(scheduler, clock)).upstreamKey, "only");
    });

    it("keep an account's calls in mind when it gets another name", async () => {
      const { clock, scheduler } = setUp([keyOf("a", { concurrencyMax: 1 })]);
      await start(scheduler, clock);
      const shared = { account: "lab", concurrencyMax: 1 };
      scheduler.configure(poolOf([keyOf("a", shared), keyOf("b", shared)]));
      const next = arrive(scheduler);
      await clock.advance(0);
      assert.equal(next.ticket, null);
    });
  });
}

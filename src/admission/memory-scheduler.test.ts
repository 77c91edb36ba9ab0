import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fairnessContract } from "../../test/contracts/fairness.contract.ts";
import { arrive, limitsOf, schedulerContract } from "../../test/contracts/scheduler.contract.ts";
import { schedulerPoolContract } from "../../test/contracts/scheduler-pool.contract.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createMemoryScheduler } from "./memory-scheduler.ts";

schedulerContract("memory", (limits, clock) => createMemoryScheduler(limits, clock));
schedulerPoolContract("memory", (limits, clock) => createMemoryScheduler(limits, clock));
fairnessContract("memory", (limits, clock) => createMemoryScheduler(limits, clock));

describe("createMemoryScheduler() with keys for some models only", () => {
  const keyFor = (pattern: string) => {
    const limits = limitsOf({ startsPerSecond: 1 });
    return { ...limits, keys: limits.keys.map((key) => ({ ...key, models: [pattern] })) };
  };

  it("refuses at once a model that no key serves", async () => {
    const clock = createManualClock();
    const scheduler = createMemoryScheduler(keyFor("glm-4.5*"), clock);
    const served = arrive(scheduler);
    const other = arrive(scheduler, { wish: { model: "glm-5" } });
    await clock.advance(0);
    assert.ok(served.ticket);
    assert.deepEqual([other.refusal, other.facts.param], ["invalid_field", "model"]);
  });

  it("lets calls time out that wait for a model which a reload has left without a key, with advice that is a number", async () => {
    const clock = createManualClock();
    const scheduler = createMemoryScheduler(keyFor("glm-4.5*"), clock);
    arrive(scheduler);
    const waiting = arrive(scheduler);
    scheduler.configure(keyFor("glm-5*"));
    await clock.advance(5_000);
    assert.equal(waiting.refusal, "queue_timeout");
    assert.ok(Number.isFinite(waiting.facts.retryAfterMs));
  });
});

describe("createMemoryScheduler() under random traffic", () => {
  const step = fc.record({
    action: fc.constantFrom("arrive", "send", "end", "abort", "leave", "wait"),
    pick: fc.nat(50),
    ms: fc.nat(700),
  });

  it("never exceeds rate or concurrency, starts no one who left, and returns every ticket once", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 80, size: "max" }),
        fc.constantFrom(1, 2, 3),
        fc.constantFrom(null, 1, 2),
        async (steps, startsPerSecond, concurrencyMax) => {
          const clock = createManualClock();
          const scheduler = createMemoryScheduler(
            limitsOf({ startsPerSecond, concurrencyMax, queueCapacity: 5, abortLingerMs: 0 }),
            clock,
          );
          const calls: {
            arrival: ReturnType<typeof arrive>;
            client: AbortController;
            left: boolean;
            isSent: boolean;
          }[] = [];
          const sentAt: number[] = [];
          const held = () => calls.filter(({ arrival }) => arrival.ticket !== null);
          for (const { action, pick, ms } of steps) {
            const holders = held();
            const holder = holders[pick % Math.max(1, holders.length)];
            if (action === "arrive") {
              const client = new AbortController();
              calls.push({
                arrival: arrive(scheduler, { userId: `u${pick % 4}`, signal: client.signal }),
                client,
                left: false,
                isSent: false,
              });
            } else if (action === "wait") {
              await clock.advance(ms);
            } else if (action === "leave") {
              const waiting = calls.filter(({ arrival }) => !arrival.ticket && !arrival.refusal);
              const quitter = waiting[pick % Math.max(1, waiting.length)];
              if (quitter) {
                quitter.left = true;
                quitter.client.abort();
              }
            } else if (holder && action === "send" && !holder.isSent) {
              holder.isSent = true;
              holder.arrival.ticket?.markSent();
              sentAt.push(clock.now());
            } else if (holder && (action === "end" || action === "abort")) {
              holder.arrival.ticket?.release(action === "end" ? "ended" : "aborted");
              holder.arrival.ticket = null;
              holder.arrival.refusal = "client_gone";
            }
            await clock.advance(0);
            const { running, waiting } = scheduler.snapshot();
            assert.equal(running, held().length, "every ticket is held by exactly one call");
            assert.ok(running <= (concurrencyMax ?? Number.POSITIVE_INFINITY));
            assert.ok(waiting <= 5);
            assert.ok(calls.every(({ left, arrival }) => !(left && arrival.ticket)));
          }
          for (let index = startsPerSecond; index < sentAt.length; index++) {
            const spanMs = (sentAt[index] as number) - (sentAt[index - startsPerSecond] as number);
            assert.ok(spanMs >= 1_020, `${startsPerSecond + 1} sends within ${spanMs} ms`);
          }
          for (const { arrival } of held()) arrival.ticket?.release("ended");
          await clock.advance(20_000);
          for (const { arrival } of held()) arrival.ticket?.release("ended");
        },
      ),
      { numRuns: 150 },
    );
  });
});

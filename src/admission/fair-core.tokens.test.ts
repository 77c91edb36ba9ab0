import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CoreDriver } from "../../test/simulation/core-driver.ts";
import { limitsOf } from "../../test/simulation/schedules.ts";
import type { Grant } from "./core.ts";

const minuteMs = 60_000;

describe("the fair core's limit of tokens per minute", () => {
  it("lets never more tokens run and have run within any minute than allowed, as long as calls keep to what they said", () => {
    const calls = fc.array(
      fc.record({
        outputTokensMax: fc.integer({ min: 1, max: 400 }),
        usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
        slotMs: fc.integer({ min: 1, max: 20_000 }),
        pauseMs: fc.constantFrom(0, 0, 100, 3_000),
      }),
      { minLength: 5, maxLength: 40 },
    );
    fc.assert(
      fc.property(calls, (list) => {
        const limits = limitsOf(
          { startsPerSecond: 100, tokensPerMinute: 1_000 },
          { queueTimeoutMs: 1e9, queueCapacity: 100 },
        );
        const driver = new CoreDriver(limits);
        const spans: { from: number; until: number; tokens: number }[] = [];
        const running: { grant: Grant; endsAt: number; from: number; index: number }[] = [];
        const indexOf = new Map<string, number>();
        driver.onGrant = (_, call) => {
          const index = indexOf.get(call.offered.callId) as number;
          running.push({
            grant: call.grant as Grant,
            endsAt: driver.now + (list[index]?.slotMs ?? 1),
            from: driver.now,
            index,
          });
        };

        /** Runs the world until nothing happens any more, or until `until`. */
        function run(until: number): void {
          for (;;) {
            const next = Math.min(driver.wakeAt, ...running.map(({ endsAt }) => endsAt));
            if (next > until) break;
            driver.advance(Math.max(0, next - driver.now));
            for (const call of driver.in("granted")) driver.send(call);
            for (const ended of running.filter(({ endsAt }) => endsAt <= driver.now)) {
              running.splice(running.indexOf(ended), 1);
              const { outputTokensMax = 0, usedShare = 0 } = list[ended.index] ?? {};
              const completionTokens = Math.floor(outputTokensMax * usedShare);
              spans.push({ from: ended.from, until: driver.now, tokens: completionTokens });
              const usage = { promptTokens: 0, completionTokens, cachedTokens: 0, reasoningTokens: 0 };
              driver.core.release(ended.grant, "ended", driver.now);
              driver.core.settle(ended.grant, usage, driver.now);
              driver.stall(0);
            }
          }
        }

        for (const [index, { outputTokensMax, pauseMs }] of list.entries()) {
          const callId = `t${index}`;
          indexOf.set(callId, index);
          driver.offer({ callId, outputTokensMax, inputBytes: 0, userId: `u${index % 3}` });
          for (const call of driver.in("granted")) driver.send(call);
          run(driver.now + pauseMs);
          if (driver.now === 0) driver.advance(pauseMs);
        }
        run(Number.MAX_SAFE_INTEGER);
        assert.equal(spans.length, list.length, "every call was served in the end");
        // Whenever the upstream counts a call's tokens, at its start, at its end or in between: a minute that begins
        // with a start holds no more than the limit.
        for (const { from } of spans) {
          const within = spans.filter((span) => span.from >= from && span.until < from + minuteMs);
          assert.ok(within.reduce((sum, { tokens }) => sum + tokens, 0) <= 1_000);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("lets nobody pass a large call that is next, and serves it when the minute has room", () => {
    const limits = limitsOf({ startsPerSecond: 100, tokensPerMinute: 1_000 }, { queueTimeoutMs: 1e9 });
    const driver = new CoreDriver(limits);
    const first = driver.offer({ userId: "ada", outputTokensMax: 600, inputBytes: 0 });
    driver.send(first);
    const usage = { promptTokens: 0, completionTokens: 600, cachedTokens: 0, reasoningTokens: 0 };
    driver.core.release(first.grant as Grant, "ended", driver.now);
    driver.core.settle(first.grant as Grant, usage, driver.now);
    const large = driver.offer({ userId: "bob", outputTokensMax: 900, inputBytes: 0 });
    const small = driver.offer({ userId: "eve", outputTokensMax: 10, inputBytes: 0 });
    driver.advance(30_000);
    assert.deepEqual([large.state, small.state], ["waiting", "waiting"]);
    assert.equal(driver.core.snapshot(driver.now).waitingCalls[0]?.blockedBy, "tokens");
    driver.advance(31_000);
    assert.equal(large.state, "granted");
  });

  it("starts a call that wants more than a whole minute allows, alone", () => {
    const limits = limitsOf({ startsPerSecond: 100, tokensPerMinute: 1_000 }, { queueTimeoutMs: 1e9 });
    const driver = new CoreDriver(limits);
    const huge = driver.offer({ userId: "ada", outputTokensMax: 3_000, inputBytes: 0 });
    const next = driver.offer({ userId: "bob", outputTokensMax: 10, inputBytes: 0 });
    assert.deepEqual([huge.state, next.state], ["granted", "waiting"]);
  });

  it("holds up only the user whose own limit is reached", () => {
    const user = { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: 500 };
    const driver = new CoreDriver(limitsOf({ startsPerSecond: 100 }, { queueTimeoutMs: 1e9, user }));
    driver.offer({ userId: "ada", outputTokensMax: 400, inputBytes: 0 });
    const second = driver.offer({ userId: "ada", outputTokensMax: 400, inputBytes: 0 });
    const other = driver.offer({ userId: "bob", outputTokensMax: 400, inputBytes: 0 });
    assert.deepEqual([second.state, other.state], ["waiting", "granted"]);
    assert.equal(driver.core.snapshot(driver.now).waitingCalls[0]?.blockedBy, "user_tokens");
  });
});

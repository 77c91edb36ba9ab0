// What the upstream says of a call has the same consequences whether it comes before or after the call's release and its
// settling: everything that it shuts, lowers or slows, for one key and several, models with limits of their own and without.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { keyOf, poolOf } from "../../test/contracts/scheduler-pool.contract.ts";
import { CoreDriver, type DrivenCall } from "../../test/simulation/core-driver.ts";
import type { Verdict, VerdictKind } from "../base/verdict.ts";
import type { Decision, KeyLimits, ModelLimits } from "./scheduler.ts";

type Step = "report" | "release" | "settle";

interface Round {
  readonly model: string;
  /** Calls in flight together, of which the first hears the verdict last. */
  readonly atOnce: number;
  readonly verdict: Verdict;
  readonly pauseMs: number;
}

const kinds: readonly VerdictKind[] = [
  "good",
  "rejected",
  "over_limit",
  "too_fast",
  "overloaded",
  "quota",
  "account",
  "model_barred",
  "restricted",
  "failed",
  "unreachable",
  "silent",
];
const orders: readonly (readonly Step[])[] = [
  ["release", "report", "settle"],
  ["release", "settle", "report"],
  ["settle", "release", "report"],
  ["settle", "report", "release"],
];
const models = ["glm-4.5-flash", "glm-4.6"];
const pools: Readonly<Record<string, readonly KeyLimits[]>> = {
  "one key": [keyOf("a")],
  "one key with limits": [keyOf("a", { startsPerSecond: 20, concurrencyMax: 4 })],
  "several keys": [keyOf("a"), keyOf("b")],
  "keys of one account": [keyOf("a", { account: "lab" }), keyOf("b", { account: "lab" }), keyOf("c")],
};
const ownLimits: ModelLimits = {
  pattern: "glm-4.5-*",
  startsPerSecond: 10,
  concurrencyMax: 3,
  tokensPerMinute: null,
};

const verdict: fc.Arbitrary<Verdict> = fc.record({
  kind: fc.constantFrom(...kinds),
  code: fc.constantFrom(null, "1302"),
  waitMs: fc.constantFrom(null, null, 3_000),
  mayHaveRun: fc.boolean(),
});
const rounds: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    model: fc.constantFrom(...models),
    atOnce: fc.integer({ min: 1, max: 3 }),
    verdict,
    pauseMs: fc.constantFrom(0, 10, 600, 2_500, 70_000),
  }),
  { minLength: 1, maxLength: 6 },
);

/** All that can be seen of the scheduler after each round, and what it decided. */
function live(keys: readonly KeyLimits[], hasOwnLimits: boolean, given: readonly Round[], order: readonly Step[]) {
  const decisions: Decision[] = [];
  const limits = poolOf(keys, { models: hasOwnLimits ? [ownLimits] : [], queueTimeoutMs: 1_000_000 });
  const driver = new CoreDriver(limits, { observer: (decision) => decisions.push(decision) });
  const seen: unknown[] = [];

  function end({ grant }: DrivenCall, said: Verdict): void {
    assert.ok(grant);
    const steps: Record<Step, () => void> = {
      report: () => void driver.core.report(grant, said, driver.now),
      release: () => driver.core.release(grant, "ended", driver.now),
      settle: () => driver.core.settle(grant, null, driver.now),
    };
    for (const step of order) steps[step]();
    driver.stall(0);
  }

  for (const { model, atOnce, verdict, pauseMs } of given) {
    const calls = Array.from({ length: atOnce }, (_, index) => driver.offer({ model, userId: `user-${index}` }));
    for (const call of calls) if (call.state === "granted") driver.send(call);
    driver.advance(5);
    const sent = calls.filter(({ state }) => state === "sent");
    for (const call of sent.slice(1)) end(call, { kind: "good", code: null, waitMs: null });
    if (sent[0]) end(sent[0], verdict);
    for (const call of calls) if (call.state === "waiting") driver.cancel(call);
    const { lanes } = driver.core.gauges(driver.now);
    seen.push(lanes.filter(isTelling).sort(byName), driver.wakeAt, [...decisions]);
    driver.advance(pauseMs);
  }
  return seen;
}

/** A model without anything learned is the same as one that is forgotten. */
function isTelling({ model, running, learnedConcurrency, blockedMs, blockedBecause, isDisabled }: Telling): boolean {
  return (
    model === null || running > 0 || learnedConcurrency !== null || blockedMs > 0 || isDisabled || !!blockedBecause
  );
}

function byName(one: Telling, other: Telling): number {
  const nameOf = ({ upstreamKey, model }: Telling) => `${upstreamKey} ${model}`;
  return nameOf(one) < nameOf(other) ? -1 : 1;
}

type Telling = ReturnType<CoreDriver["core"]["gauges"]>["lanes"][number];

describe("a verdict's consequences", () => {
  for (const [name, keys] of Object.entries(pools)) {
    for (const hasOwnLimits of [false, true]) {
      for (const order of orders) {
        it(`are those of a report before the release: ${order.join(", ")}; ${name}${hasOwnLimits ? ", model with limits" : ""}`, () => {
          fc.assert(
            fc.property(rounds, (given) => {
              const expected = live(keys, hasOwnLimits, given, ["report", "release", "settle"]);
              assert.deepEqual(live(keys, hasOwnLimits, given, order), expected);
            }),
            { numRuns: 60 },
          );
        });
      }
    }
  }

  it("outlive their call: what is shut stays shut for the next, with nothing else in flight", () => {
    for (const kind of kinds.filter((one) => !["good", "rejected", "failed", "unreachable", "silent"].includes(one))) {
      const driver = new CoreDriver(poolOf([keyOf("a")], { queueTimeoutMs: 1_000_000 }));
      const call = driver.offer();
      driver.send(call);
      const { grant } = call;
      assert.ok(grant);
      driver.end(call);
      driver.core.report(grant, { kind, code: null, waitMs: null }, driver.now);
      assert.equal(driver.offer().state, "waiting", kind);
    }
  });

  it("outlive a crowd of other models, of which clients may send any name", () => {
    const driver = new CoreDriver(poolOf([keyOf("a")], { queueTimeoutMs: 1_000_000 }));
    const hear = (model: string, kind: VerdictKind) => {
      const call = driver.offer({ model });
      driver.send(call);
      assert.ok(call.grant);
      driver.core.report(call.grant, { kind, code: null, waitMs: null }, driver.now);
      driver.end(call);
    };
    hear("glm-4.6", "quota");
    for (let index = 0; index < 2_500; index++) hear(`model-${index}`, "good");
    assert.equal(driver.offer({ model: "glm-4.6" }).state, "waiting");
  });

  it("hold for a crowd that waits: no more than four calls go to an account in four seconds", () => {
    for (const kind of ["over_limit", "too_fast", "overloaded"] as const) {
      for (const keys of [pools["one key"], pools["keys of one account"]?.slice(0, 2)]) {
        const driver = new CoreDriver(poolOf(keys ?? [], { queueCapacity: 100, queueTimeoutMs: 60_000 }), {
          random: () => 0,
        });
        let sends = 0;
        const refuse = (call: DrivenCall) => {
          driver.send(call);
          sends++;
          driver.delay(2);
          driver.refuseUpstream(call, { kind, code: null, waitMs: null });
        };
        refuse(driver.offer());
        for (let count = 1; count < 30; count++) driver.offer({ userId: `user-${count % 5}` });
        for (; driver.now < 4_000; driver.advance(1)) for (const call of driver.in("granted")) refuse(call);
        assert.ok(sends >= 3 && sends <= 4, `${kind}: ${sends}`);
      }
    }
  });

  it("of an error after an answer had begun well are drawn, and the call is not tried again", () => {
    const driver = new CoreDriver(poolOf([keyOf("a")], { queueTimeoutMs: 1_000_000 }));
    const call = driver.offer();
    driver.send(call);
    assert.ok(call.grant);
    assert.equal(driver.core.report(call.grant, { kind: "good", code: null, waitMs: null }, 0), false);
    assert.equal(driver.core.report(call.grant, { kind: "over_limit", code: "1302", waitMs: null }, 1), false);
    driver.end(call);
    assert.equal(driver.offer().state, "waiting");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limitsOf } from "../../test/contracts/scheduler.contract.ts";
import type { Verdict, VerdictKind } from "../base/verdict.ts";
import { Alarms } from "./alarms.ts";
import type { OfferedCall } from "./core.ts";
import { Costs } from "./costs.ts";
import { anywhere } from "./destination.ts";
import { KeyPool } from "./key-pool.ts";
import { LimitedUsers } from "./limited-users.ts";
import { RunningCalls } from "./running-calls.ts";
import type { Decision } from "./scheduler.ts";
import { Share } from "./share.ts";
import { UpstreamFeedback } from "./upstream-feedback.ts";
import type { KeyModel, UpstreamKey } from "./upstream-key.ts";
import { QueuedWaiter, type RunningGrant } from "./waiter.ts";

const model = "glm-4.5-flash";
const minuteMs = 60_000;
const hourMs = 3_600_000;

function verdict(kind: VerdictKind, code: string | null = null, waitMs: number | null = null): Verdict {
  return { kind, code, waitMs };
}

/** The feedback on one key without limits, with calls that run on it. `random` decides all jitter. */
function setUp(random = 0) {
  const limits = limitsOf({ startsPerSecond: 100, sendGuardMs: 0 });
  const pool = new KeyPool(limits);
  const running = new RunningCalls(pool, new Costs(pool), new LimitedUsers(limits.user), new Alarms());
  const root = new Share("", 1, null);
  const decisions: Decision[] = [];
  let sequence = 0;
  const feedback = new UpstreamFeedback(
    pool,
    () => random,
    (decision) => decisions.push(decision),
  );

  function start(now: number, tryCount = 0, model = "glm-4.5-flash"): RunningGrant {
    const call: OfferedCall = {
      callId: "call",
      userId: "ada",
      weight: 1,
      class: "default",
      flowId: "chat",
      model,
      patienceMs: null,
      inputBytes: 0,
      outputTokensMax: null,
      retryCount: 0,
      place: null,
    };
    const session = root.child("default", 4).child("ada", 1).child("chat", 1);
    session.enter();
    const place = {
      sequence: ++sequence,
      arrivedAt: now,
      deadlineAt: now + 5_000,
      tryCount,
      upstreamRefusal: null,
      triedKeys: [],
    };
    const waiter = new QueuedWaiter(call, session, place, { tokens: 0, isDebt: false });
    const key = pool.keys[0] as UpstreamKey;
    const grant = running.start(waiter, { key, keyModel: key.models.get(model) }, now, Number.POSITIVE_INFINITY);
    running.send(grant, now);
    return grant;
  }

  /** A call is sent alone at `now` and answered at once. */
  function answer(now: number, given: Verdict, tryCount = 0): boolean {
    const grant = start(now, tryCount);
    const isWorthATry = feedback.take(grant, given, now + 1);
    running.release(grant, 0, now + 1);
    return isWorthATry;
  }

  /** What was decided since the last look, the refusals themselves left out. */
  function newDecisions(): Decision[] {
    return decisions.splice(0).filter(({ what }) => what !== "upstream_refused");
  }

  const key = pool.keys[0] as UpstreamKey;
  const keyModel = () => pool.modelOn(key, model) as KeyModel;
  return { pool, key, keyModel, running, feedback, decisions, newDecisions, start, answer };
}

describe("a good answer", () => {
  it("is no reason for another try, nor for any decision", () => {
    const { answer, decisions } = setUp();
    assert.equal(answer(0, verdict("good")), false);
    assert.deepEqual(decisions, []);
  });

  it("ends a block, if its call was sent after the block began", () => {
    const { start, feedback, newDecisions, keyModel, answer } = setUp();
    const early = start(0);
    answer(0, verdict("overloaded", "1305"));
    newDecisions();
    feedback.take(early, verdict("good"), 500);
    assert.equal(keyModel().health.isHealthy, false, "it says nothing of the time after");
    assert.deepEqual(newDecisions(), []);
    answer(2_000, verdict("good"));
    assert.equal(keyModel().health.isHealthy, true);
    assert.deepEqual(
      newDecisions().map(({ what, model, isAlert }) => [what, model, isAlert]),
      [["enabled", model, false]],
    );
  });
});

describe("too many calls at once (1302)", () => {
  it("lowers the limit of the key's model below what was in flight, and the call may try again", () => {
    const { start, feedback, decisions, keyModel, key } = setUp();
    const calls = [start(0), start(0), start(0)];
    assert.equal(feedback.take(calls[2] as RunningGrant, verdict("over_limit", "1302"), 50), true);
    assert.deepEqual([keyModel().learned.limit, keyModel().gates.concurrencyMax], [2, 2]);
    assert.equal(key.gates.concurrencyMax, Number.POSITIVE_INFINITY, "other models are not concerned");
    assert.deepEqual(
      decisions.map(({ what, code, limit, upstreamKey }) => [what, code, limit, upstreamKey]),
      [
        ["upstream_refused", "1302", undefined, "default"],
        ["limit_lowered", undefined, 2, "default"],
      ],
    );
    assert.match(decisions[1]?.why ?? "", /3 calls at once \(1302\)/);
  });

  it("lowers it once for all calls that were sent before, and each may try again", () => {
    const { start, feedback, newDecisions, keyModel } = setUp();
    const calls = [start(0), start(0), start(0), start(0)];
    const answers = calls.slice(1).map((call) => feedback.take(call, verdict("over_limit", "1302"), 50));
    assert.deepEqual(answers, [true, true, true]);
    assert.equal(newDecisions().length, 1);
    assert.equal(keyModel().learned.limit, 1, "one less than were in flight when the first refused one was sent");
  });

  it("holds the model back for as long as the upstream says, spread by a fifth", () => {
    const { start, feedback, keyModel } = setUp(0.5);
    start(0);
    feedback.take(start(0), verdict("over_limit", "1302", 3_000), 100);
    assert.equal(Math.round(keyModel().health.openAt(100)), 100 + 3_300);
    assert.equal(keyModel().health.refusal, null, "calls wait");
  });

  it("slows the key down when the call was alone, and waits a second, then two, up to thirty", () => {
    const { answer, newDecisions, keyModel, key } = setUp();
    const waitsMs: number[] = [];
    for (let now = 0; waitsMs.length < 7; now += minuteMs) {
      assert.equal(answer(now, verdict("over_limit", "1302")), true);
      waitsMs.push(keyModel().health.openAt(now + 1) - now - 1);
    }
    assert.deepEqual(waitsMs, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    assert.equal(keyModel().learned.limit, null, "it can't have been the number of calls");
    assert.ok(key.account.pace.guardMs > 0);
    const [first, second] = newDecisions();
    assert.deepEqual([first?.what, first?.model, first?.forMs], ["blocked", model, 1_000]);
    assert.deepEqual([second?.what, second?.model], ["slowed", null]);
    assert.match(second?.why ?? "", /somebody else may use the key/);
  });

  it("waits a second again after a good answer between", () => {
    const { answer, keyModel } = setUp();
    answer(0, verdict("over_limit", "1302"));
    answer(minuteMs, verdict("over_limit", "1302"));
    answer(2 * minuteMs, verdict("good"));
    answer(3 * minuteMs, verdict("over_limit", "1302"));
    assert.equal(keyModel().health.openAt(3 * minuteMs + 1), 3 * minuteMs + 1 + 1_000);
  });

  it("makes a learned limit rise soon when a call alone is refused too: what was learned is in doubt", () => {
    const { start, feedback, running, keyModel, answer } = setUp();
    for (const now of [0, 1_000]) {
      const pair = [start(now), start(now)] as const;
      feedback.take(pair[1], verdict("over_limit", "1302"), now + 10);
      for (const call of pair) running.release(call, 0, now + 10);
    }
    assert.equal(keyModel().learned.risesAt(0), 1_010 + minuteMs, "twice the same: twice as long");
    answer(2_000, verdict("over_limit", "1302"));
    assert.equal(keyModel().learned.risesAt(0), 1_010 + 30_000);
  });
});

describe("too many starts (1303)", () => {
  it("slows the key down and pauses it for as long as the upstream says, and the call may try again", () => {
    const { answer, newDecisions, key, keyModel } = setUp();
    assert.equal(answer(0, verdict("too_fast", "1303", 2_000)), true);
    assert.equal(key.servesAt(1), 2_001);
    assert.equal(keyModel().health.isHealthy, true);
    assert.deepEqual([key.account.pace.guardMs, key.gates.openAt(1, 0)], [25, 1]);
    assert.deepEqual(
      newDecisions().map(({ what, model }) => [what, model]),
      [
        ["blocked", null],
        ["slowed", null],
      ],
    );
  });

  it("is taken as one by all calls that were sent before it slowed down", () => {
    const { start, feedback, newDecisions, key } = setUp();
    const calls = [start(0), start(0)];
    for (const call of calls) assert.equal(feedback.take(call, verdict("too_fast", "1303"), 10), true);
    assert.equal(key.account.pace.guardMs, 25);
    assert.equal(newDecisions().length, 2);
  });
});

describe("an overloaded model (1305)", () => {
  it("is left alone for a moment, and then tried with one call; who waits is not refused", () => {
    const { answer, newDecisions, keyModel, key, pool, start } = setUp(0.9);
    assert.equal(answer(0, verdict("overloaded", "1305")), true);
    assert.equal(keyModel().health.openAt(1), 951);
    assert.equal(keyModel().health.refusal, null);
    assert.deepEqual([key.health.isHealthy, keyModel().learned.limit], [true, null], "no limit of ours was hit");
    assert.deepEqual(
      newDecisions().map(({ what, forMs, isAlert }) => [what, forMs, isAlert]),
      [["blocked", 950, false]],
    );
    start(951);
    assert.equal(pool.openAt(anywhere(model), 0, 952), Number.POSITIVE_INFINITY, "one at a time");
  });

  it("is left alone for up to twice as long each time, less up to a half by chance, up to half a minute", () => {
    for (const [random, expected] of [
      [1, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]],
      [0, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]],
    ] as const) {
      const { answer, newDecisions } = setUp(random);
      for (let round = 0; round < 7; round++) answer(round * minuteMs, verdict("overloaded", "1305"));
      assert.deepEqual(
        newDecisions().map(({ forMs }) => Math.round(forMs ?? 0)),
        expected,
      );
    }
  });

  it("is left alone for no less than the upstream says", () => {
    const { answer, keyModel } = setUp();
    answer(0, verdict("overloaded", "1305", 7_000));
    assert.equal(keyModel().health.openAt(1), 7_001);
  });

  it("is one piece of news, however many calls that were sent before hear it", () => {
    const { start, feedback, newDecisions, keyModel } = setUp();
    for (const call of [start(0), start(0), start(0)]) feedback.take(call, verdict("overloaded", null), 10);
    assert.equal(keyModel().health.tripCount, 1);
    assert.equal(newDecisions().length, 1);
  });
});

describe("a quota that is used up (1308)", () => {
  it("blocks the model on this key until its reset, and no try helps", () => {
    const { answer, newDecisions, keyModel, key } = setUp();
    assert.equal(answer(0, verdict("quota", "1308", hourMs)), false);
    const { health } = keyModel();
    assert.deepEqual([health.refusal, health.because, health.blockedUntil], ["upstream_quota", "1308", hourMs + 1]);
    assert.equal(key.health.isHealthy, true);
    assert.deepEqual(
      newDecisions().map(({ what, isAlert, forMs }) => [what, isAlert, forMs]),
      [["blocked", false, hourMs]],
      "a reset is known: nobody has to do anything",
    );
  });

  it("is looked at again after a minute, then two, up to ten, when no reset is known, with an alert", () => {
    const { answer, newDecisions } = setUp();
    for (let round = 0; round < 6; round++) answer(round * hourMs, verdict("quota", "1304"));
    const decisions = newDecisions();
    assert.deepEqual(
      decisions.map(({ forMs }) => (forMs ?? 0) / minuteMs),
      [1, 2, 4, 8, 10, 10],
    );
    assert.ok(decisions.every(({ what, isAlert }) => what === "disabled" && isAlert));
  });
});

describe("an account or a model that is refused", () => {
  it("disables the whole key for its account, with one alert, until a later call goes well", () => {
    const { answer, start, feedback, newDecisions, key } = setUp();
    const other = start(0);
    assert.equal(answer(0, verdict("account", "1113")), false);
    assert.equal(feedback.take(other, verdict("account", "1113"), 5), false);
    assert.deepEqual(
      newDecisions().map(({ what, model, isAlert, forMs }) => [what, model, isAlert, forMs]),
      [["disabled", null, true, minuteMs]],
    );
    assert.deepEqual([key.health.refusal, key.health.because], ["upstream_account", "1113"]);
    answer(minuteMs + 1, verdict("good"));
    assert.equal(key.health.isHealthy, true);
    assert.deepEqual(
      newDecisions().map(({ what, model }) => [what, model]),
      [["enabled", null]],
    );
  });

  it("asks again after a minute, then two, up to ten", () => {
    const { answer, newDecisions } = setUp();
    for (let round = 0; round < 6; round++) answer(round * hourMs, verdict("account", "1001"));
    assert.deepEqual(
      newDecisions().map(({ forMs }) => (forMs ?? 0) / minuteMs),
      [1, 2, 4, 8, 10, 10],
    );
  });

  it("disables one model only where that is what the key may not use", () => {
    const { answer, newDecisions, keyModel, key } = setUp();
    assert.equal(answer(0, verdict("model_barred", "1311")), false);
    assert.equal(keyModel().barOf(key)?.refusal, "upstream_account");
    assert.deepEqual([key.health.isHealthy, keyModel().health.isHealthy], [true, true]);
    assert.deepEqual(
      newDecisions().map(({ what, model, isAlert }) => [what, model, isAlert]),
      [["disabled", model, true]],
    );
  });

  it("blocks the model for a minute after fair use was exceeded, then one call at once for an hour, with an alert", () => {
    const { answer, newDecisions, keyModel } = setUp();
    assert.equal(answer(0, verdict("restricted", "1313")), false);
    assert.deepEqual([keyModel().gates.concurrencyMax, keyModel().learned.risesAt(0)], [1, hourMs + 1]);
    assert.deepEqual(
      newDecisions().map(({ what, limit, isAlert }) => [what, limit, isAlert]),
      [
        ["limit_lowered", 1, true],
        ["disabled", undefined, true],
      ],
    );
    assert.equal(keyModel().health.blockedUntil, minuteMs + 1);
  });
});

describe("a failure that is not about limits (1234)", () => {
  const failed = verdict("failed", "1234");

  it("is tried again twice, and then the budget of the start is spent", () => {
    const { answer, newDecisions } = setUp();
    assert.deepEqual([answer(0, failed), answer(10, failed), answer(20, failed)], [true, true, false]);
    assert.deepEqual(newDecisions(), [], "it says nothing of limits");
  });

  it("is not tried again by a call that has been tried twice, which costs no budget", () => {
    const { answer } = setUp();
    assert.equal(answer(0, failed, 2), false);
    assert.deepEqual([answer(10, failed, 1), answer(20, failed, 1), answer(30, failed, 1)], [true, true, false]);
  });

  it("may be tried again by about a tenth of all calls", () => {
    const { answer, feedback } = setUp();
    let tries = 0;
    for (let count = 0; count < 1_000; count++) {
      feedback.noteSend();
      if (answer(count, failed)) tries++;
    }
    assert.ok(tries >= 100 && tries <= 102, `${tries} of 1000`);
  });

  it("may be tried again after exactly ten calls, once the budget of the start is spent", () => {
    const { answer, feedback } = setUp();
    for (const now of [0, 10]) assert.equal(answer(now, failed), true);
    for (let count = 0; count < 9; count++) feedback.noteSend();
    assert.equal(answer(20, failed), false);
    feedback.noteSend();
    assert.equal(answer(30, failed), true);
  });

  it("has saved tries for ten calls at most, after any time without a failure", () => {
    const { answer, feedback } = setUp();
    for (let count = 0; count < 10_000; count++) feedback.noteSend();
    let tries = 0;
    while (answer(tries, failed)) tries++;
    assert.equal(tries, 10);
  });
});

describe("an upstream that can't be reached", () => {
  const unreachable = verdict("unreachable");

  it("lets its key cool down after three calls, and each may try again within the budget", () => {
    for (const [random, forMs] of [
      [0, 250],
      [1, 187.5],
    ] as const) {
      const { answer, newDecisions, key } = setUp(random);
      assert.deepEqual([answer(0, unreachable), answer(0, unreachable)], [true, true]);
      assert.deepEqual(newDecisions(), []);
      answer(0, unreachable);
      assert.deepEqual([key.health.blockedUntil, key.health.refusal], [1 + forMs, "upstream_failed"]);
      assert.deepEqual(
        newDecisions().map(({ what, model, isAlert }) => [what, model, isAlert]),
        [["blocked", null, false]],
      );
    }
  });

  it("is heard of once by all calls that were on their way then, sent or not", () => {
    const { start, feedback, key } = setUp();
    const calls = [start(0), start(5), start(10)];
    for (const call of calls) call.sentAt = null;
    for (const call of [...calls, ...calls]) feedback.take(call, unreachable, 20);
    assert.deepEqual([key.health.tripCount, key.health.blockedUntil], [1, 270]);
  });

  it("is no trouble of the key when that has answered others since", () => {
    const { start, feedback, key } = setUp();
    const slow = start(0);
    feedback.take(start(10), verdict("good"), 20);
    feedback.take(slow, unreachable, 30);
    assert.equal(key.health.isHealthy, true);
  });
});

describe("a call that alone is told of an overload", () => {
  const overloaded = verdict("overloaded", "1305");

  it("is not tried a third time when others were served meanwhile", () => {
    const { start, feedback } = setUp();
    const outcomes = [0, 1, 2].map((tryCount) => {
      const call = start(tryCount * 1_000, tryCount);
      feedback.take(start(tryCount * 1_000), verdict("good"), tryCount * 1_000 + 1);
      return feedback.take(call, overloaded, tryCount * 1_000 + 2);
    });
    assert.deepEqual(outcomes, [true, true, false]);
  });

  it("is tried on as long as nobody is served", () => {
    const { start, feedback } = setUp();
    feedback.take(start(0), verdict("good"), 1);
    assert.equal(feedback.take(start(1_000, 5), overloaded, 1_001), true);
  });
});

describe("what was learned", () => {
  it("rises again while it holds calls back and its time has come, and the decision tells the new limit", () => {
    const { start, feedback, newDecisions, keyModel } = setUp();
    const calls = [start(0), start(0), start(0)];
    feedback.take(calls[2] as RunningGrant, verdict("over_limit", "1302"), 0);
    newDecisions();
    assert.equal(feedback.relax(model, 29_999), false);
    assert.equal(feedback.relax(model, 30_000), true);
    assert.equal(keyModel().gates.concurrencyMax, 3);
    assert.deepEqual(
      newDecisions().map(({ what, limit, model }) => [what, limit, model]),
      [["limit_raised", 3, model]],
    );
  });

  it("does not rise while fewer calls run than it allows", () => {
    const { start, feedback, running, keyModel } = setUp();
    const calls = [start(0), start(0), start(0)];
    feedback.take(calls[2] as RunningGrant, verdict("over_limit", "1302"), 0);
    for (const call of calls) running.release(call, 0, 10);
    assert.equal(feedback.relax(model, hourMs), false);
    assert.equal(keyModel().learned.limit, 2);
  });

  it("lets the pace quicken when its time has come", () => {
    const { answer, feedback, newDecisions, key } = setUp();
    answer(0, verdict("too_fast", "1303"));
    newDecisions();
    assert.equal(feedback.relax(model, 30_000), false);
    assert.equal(feedback.relax(model, 30_001), true);
    assert.equal(key.account.pace.guardMs, 0);
    assert.deepEqual(
      newDecisions().map(({ what, model }) => [what, model]),
      [["quickened", null]],
    );
  });
});

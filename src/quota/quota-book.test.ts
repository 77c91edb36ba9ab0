import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { type Charge, noCharge, type QuotaScope } from "../base/charge.ts";
import type { Limits } from "../base/limits.ts";
import type { Caller } from "../base/principal.ts";
import type { Refusal } from "../base/refusal.ts";
import { createCalendar } from "../ledger/calendar-day.ts";
import { createPrices } from "./prices.ts";
import { createQuotas, type QuotaBookOptions } from "./quota-book.ts";
import type { QuotaWish, Reservation } from "./quotas.ts";

const wish: QuotaWish = { model: "glm-4.6", inputBytes: 35, outputTokensMax: 90 };

function charge(tokens: number, more: Partial<Charge> = {}): Charge {
  return { requests: 1, promptTokens: tokens, completionTokens: 0, costMicros: 0, source: "reported", ...more };
}

function toCaller(userId: string, limits: Limits, more: Partial<Caller> = {}): Caller {
  const scopes: QuotaScope[] = [{ kind: "user", id: userId, limits }];
  return {
    userId,
    role: "user",
    weight: 1,
    class: "default",
    flowId: "f",
    groupId: null,
    keyId: null,
    models: null,
    lacksJobs: null,
    knownSince: 0,
    keepsContent: false,
    cachesAnswers: false,
    scopes,
    ...more,
  };
}

/** Noon, so that minutes and hours can pass within a day. */
function setUp(timeZone = "UTC", more: Partial<QuotaBookOptions> = {}) {
  const clock = createManualClock(0, Date.UTC(2026, 10, 23, 12));
  const prices = createPrices({
    currency: "CNY",
    models: [{ pattern: "glm-4.6", input: 1, cachedInput: null, output: 2 }],
  });
  const days = createCalendar(timeZone);
  const quotas = createQuotas({
    clock,
    days,
    timeZone,
    assumedOutputTokens: () => 1_000,
    prices: () => prices,
    ...more,
  });
  const tryReserve = (caller: Caller, asked = wish): Reservation | Refusal => {
    try {
      return quotas.reserve(caller, asked);
    } catch (error) {
      return error as Refusal;
    }
  };
  return { clock, quotas, tryReserve };
}

function reasonOf(outcome: Reservation | Refusal): string {
  return "reason" in outcome ? outcome.reason : "reserved";
}

describe("a quota of requests", () => {
  it("lets so many through at once and refuses the next, with what it is, how much, and until when", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { "requests/day": 3 });
    assert.deepEqual(
      [1, 2, 3].map(() => reasonOf(tryReserve(ada))),
      ["reserved", "reserved", "reserved"],
    );
    const refusal = tryReserve(ada) as Refusal;
    assert.equal(refusal.status, 429);
    assert.equal(refusal.shouldRetry, false);
    assert.deepEqual(refusal.facts, {
      quota: "requests/day of the user ada",
      limit: 3,
      used: 3,
      resetsAt: "2026-11-24T00:00:00Z",
      retryAfterMs: 12 * 3_600_000,
    });
  });

  it("gives back what a call did not take, once", () => {
    const { tryReserve, quotas } = setUp();
    const ada = toCaller("ada", { "requests/total": 1 });
    const first = tryReserve(ada) as Reservation;
    first.settle(noCharge);
    first.settle(charge(5));
    const second = tryReserve(ada) as Reservation;
    second.settle(charge(5));
    assert.equal(reasonOf(tryReserve(ada)), "insufficient_quota");
    assert.deepEqual(quotas.look(ada.scopes)[0], {
      scope: "user",
      id: "ada",
      name: "requests/total",
      limit: 1,
      used: 1,
      reserved: 0,
      resetsAt: null,
    });
  });

  it("begins anew with its window, and charges a call to the window it arrived in", async () => {
    const { clock, tryReserve, quotas } = setUp();
    const ada = toCaller("ada", { "requests/minute": 1 });
    const running = tryReserve(ada) as Reservation;
    assert.equal((tryReserve(ada) as Refusal).facts.retryAfterMs, 60_000);
    await clock.advance(60_000);
    assert.equal(reasonOf(tryReserve(ada)), "reserved");
    running.settle(charge(5));
    assert.equal(quotas.look(ada.scopes)[0]?.used, 0, "the second minute has one that runs");
    assert.equal(quotas.look(ada.scopes)[0]?.reserved, 1);
  });

  it("takes a call whose body came late into the window it arrived in, as its record does", async () => {
    const { clock, tryReserve, quotas } = setUp();
    const ada = toCaller("ada", { "requests/minute": 2 });
    const look = () => quotas.look(ada.scopes).map(({ used, reserved }) => used + reserved)[0];
    await clock.advance(59_000);
    tryReserve(ada);
    const arrivedAt = clock.now();
    await clock.advance(2_000);
    const late = { ...wish, arrivedAt };
    assert.equal(reasonOf(tryReserve(ada, late)), "reserved");
    assert.equal(look(), 0);
    assert.equal(reasonOf(tryReserve(ada)), "reserved");
    assert.equal(reasonOf(tryReserve(ada, late)), "insufficient_quota", "the window before is full");
    assert.equal(reasonOf(tryReserve(ada)), "reserved", "the one of now is not");
    assert.equal(look(), 2);
  });

  it("judges a call that came late by no older window than the one it arrived in", async () => {
    const { clock, tryReserve } = setUp();
    const ada = toCaller("ada", { "requests/minute": 1 });
    tryReserve(ada);
    await clock.advance(181_000);
    const late = { ...wish, arrivedAt: 179_000 };
    assert.deepEqual(
      [late, late, wish].map((each) => reasonOf(tryReserve(ada, each))),
      ["reserved", "insufficient_quota", "reserved"],
    );
  });

  it("of nought lets nothing through", () => {
    const { tryReserve } = setUp();
    assert.equal(reasonOf(tryReserve(toCaller("ada", { "requests/day": 0 }))), "insufficient_quota");
    assert.equal(reasonOf(tryReserve(toCaller("ada", { "cost/day": 0 }))), "insufficient_quota");
  });

  it("counts what was taken before it was set", () => {
    const { tryReserve } = setUp();
    (tryReserve(toCaller("ada", {}, { scopes: [] })) as Reservation).settle(charge(5));
    assert.equal(reasonOf(tryReserve(toCaller("ada", { "requests/day": 1 }))), "insufficient_quota");
  });
});

describe("a quota of tokens", () => {
  it("reserves all that the client says its answer may have, and says what would fit", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { "tokens/day": 199 });
    const first = tryReserve(ada) as Reservation;
    assert.deepEqual([first.estimate.promptTokens, first.estimate.completionTokens], [10, 90]);
    const { facts } = tryReserve(ada) as Refusal;
    assert.deepEqual([facts.used, facts.limit, facts.needed], [100, 199, 100]);
    first.settle(charge(99));
    assert.equal(reasonOf(tryReserve(ada)), "reserved");
  });

  it("takes the rest for an answer of unknown length, so that calls at once can't overrun it", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { "tokens/day": 1_300 });
    const open = { ...wish, outputTokensMax: null };
    assert.equal((tryReserve(ada, open) as Reservation).estimate.completionTokens, 1_000);
    assert.equal((tryReserve(ada, open) as Reservation).estimate.completionTokens, 280);
    assert.equal(reasonOf(tryReserve(ada, open)), "insufficient_quota");
  });

  it("of money works in the same way", () => {
    const { tryReserve } = setUp();
    // 10 tokens of input at 1 and 90 of output at 2 a million: 190 millionths.
    const ada = toCaller("ada", { "cost/month": 0.0005 });
    const first = tryReserve(ada) as Reservation;
    assert.equal(first.estimate.costMicros, 190);
    assert.equal(reasonOf(tryReserve(ada)), "reserved");
    const open = { ...wish, outputTokensMax: null };
    assert.equal((tryReserve(ada, open) as Reservation).estimate.costMicros, 120, "what is left");
    const { facts } = tryReserve(ada) as Refusal;
    assert.deepEqual([facts.limit, facts.used], [0.0005, 0.0005]);
  });
});

describe("a quota of money that is used up", () => {
  it("takes nothing more, not even what costs nothing", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { "cost/day": 0.0001 });
    const free = { ...wish, model: "glm-4.5-flash" };
    assert.equal(reasonOf(tryReserve(ada, free)), "reserved");
    (tryReserve(ada, { ...wish, outputTokensMax: 0 }) as Reservation).settle(charge(10, { costMicros: 100 }));
    assert.equal(reasonOf(tryReserve(ada, free)), "insufficient_quota");
  });
});

describe("a quota of calls at once", () => {
  it("counts those that wait and run, and is worth another try soon", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { concurrency: 2 });
    const first = tryReserve(ada) as Reservation;
    tryReserve(ada);
    const refusal = tryReserve(ada) as Refusal;
    assert.deepEqual([refusal.reason, refusal.shouldRetry, refusal.facts.used], ["concurrency_exceeded", true, 2]);
    first.settle(noCharge);
    assert.equal(reasonOf(tryReserve(ada)), "reserved");
  });

  it("of nought is used up for good: no call's end makes room", () => {
    const { tryReserve } = setUp();
    const refusal = tryReserve(toCaller("ada", { concurrency: 0 })) as Refusal;
    assert.deepEqual([refusal.reason, refusal.shouldRetry], ["insufficient_quota", false]);
  });
});

describe("several quotas", () => {
  const group: QuotaScope = { kind: "group", id: "lab", limits: { "requests/day": 3 } };
  const inLab = (userId: string, limits: Limits) => {
    const caller = toCaller(userId, limits, { groupId: "lab" });
    return { ...caller, scopes: [...caller.scopes, group] };
  };

  it("of a person and of the group bind both, and a refusal by one takes nothing from the other", () => {
    const { tryReserve, quotas } = setUp();
    const [ada, bob] = [inLab("ada", { "requests/day": 2 }), inLab("bob", {})];
    tryReserve(ada);
    tryReserve(ada);
    assert.equal((tryReserve(ada) as Refusal).facts.quota, "requests/day of the user ada");
    assert.equal(quotas.look([group])[0]?.reserved, 2);
    assert.equal(reasonOf(tryReserve(bob)), "reserved");
    assert.equal((tryReserve(bob) as Refusal).facts.quota, "requests/day of the group lab");
  });

  it("tell of the one that is renewed last, since trying before is in vain", () => {
    const { tryReserve } = setUp();
    const limits: Limits = { "requests/minute": 0, "requests/month": 0, concurrency: 1 };
    tryReserve(toCaller("ada", { concurrency: 1 }));
    const { facts } = tryReserve(toCaller("ada", limits)) as Refusal;
    assert.equal(facts.quota, "requests/month of the user ada");
    assert.equal(facts.resetsAt, "2026-12-01T00:00:00Z");
    const never = tryReserve(toCaller("ada", { ...limits, "tokens/total": 0 })) as Refusal;
    assert.equal(never.facts.quota, "tokens/total of the user ada");
    assert.deepEqual([never.facts.resetsAt, never.facts.retryAfterMs], [undefined, undefined]);
  });

  it("warn from 80 % on, this call included, the fullest first", () => {
    const { tryReserve } = setUp();
    const ada = toCaller("ada", { "requests/day": 5, "requests/hour": 4, "requests/total": 100 });
    const warnings = [1, 2, 3, 4].map(() => (tryReserve(ada) as Reservation).warnings.map(({ name }) => name));
    assert.deepEqual(warnings, [[], [], [], ["requests/hour", "requests/day"]]);
  });
});

describe("counters", () => {
  it("go on from the records, and say when they differ", () => {
    const { tryReserve, quotas } = setUp();
    const sums = [
      { user: "ada lovelace", group: "lab", keyId: "k1", requests: 2, tokens: 30, costMicros: 5 },
      { user: "ada lovelace", group: "lab", keyId: null, requests: 1, tokens: 10, costMicros: 5 },
    ];
    for (const [window] of quotas.listStarts()) quotas.restore(window, sums);
    const ada = toCaller("ada lovelace", { "requests/day": 4 }, { groupId: "lab", keyId: "k1" });
    assert.equal(quotas.look(ada.scopes)[0]?.used, 3);
    assert.equal(quotas.findDrift("day", sums), 0);
    (tryReserve(ada) as Reservation).settle(charge(7));
    assert.equal(quotas.findDrift("day", sums), 7);
    assert.equal(reasonOf(tryReserve(ada)), "insufficient_quota");
  });

  it("leave a window as it is that ended while its records were read", async () => {
    const { clock, quotas } = setUp();
    const sums = [{ user: "ada", group: null, keyId: null, requests: 9, tokens: 30, costMicros: 5 }];
    const ada = toCaller("ada", { "requests/minute": 9, "requests/hour": 9 });
    const look = () => quotas.look(ada.scopes).map(({ used }) => used);
    quotas.listStarts();
    await clock.advance(60_000);
    quotas.restore("minute", sums);
    quotas.restore("hour", sums);
    assert.deepEqual(look(), [0, 9]);
    assert.deepEqual([quotas.findDrift("minute", sums), quotas.findDrift("hour", [])], [0, 30]);
    quotas.listStarts();
    assert.equal(quotas.findDrift("minute", sums), 30);
  });

  it("are kept for so many; beyond, whoever took nothing for longest is forgotten, but nobody whose calls run", () => {
    const { tryReserve, quotas } = setUp("UTC", { countersMax: 3 });
    const usedBy = (id: string) => quotas.look([{ kind: "user", id, limits: { "requests/total": 9 } }])[0]?.used;
    const take = (id: string) => tryReserve(toCaller(id, {})) as Reservation;
    const running = take("ada");
    for (const id of ["bob", "eve", "bob"]) take(id).settle(charge(1));
    assert.deepEqual(["bob", "eve"].map(usedBy), [2, 1]);
    take("zoe").settle(charge(1));
    assert.deepEqual(["bob", "eve", "zoe"].map(usedBy), [2, 0, 1]);
    running.settle(charge(1));
    assert.equal(usedBy("ada"), 1);
  });
});

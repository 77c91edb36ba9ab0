// Quotas against an oracle that keeps every call and adds them all up each time.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createManualClock } from "../../test/support/manual-clock.ts";
import type { Charge, QuotaScope } from "../base/charge.ts";
import type { LimitName, Limits } from "../base/limits.ts";
import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import { createCalendar } from "../ledger/calendar-day.ts";
import { createPrices } from "./prices.ts";
import { createQuotas } from "./quota-book.ts";
import type { Reservation } from "./quotas.ts";

interface KeptCall {
  readonly scopes: readonly string[];
  /** Wall clock. */
  readonly arrivedAt: number;
  readonly reservation: Reservation;
  /** Null: it has not ended. */
  charge: Charge | null;
}

const assumedTokens = 40;
const promptTokens = 10;
const users = ["ada", "bob", "eve"];
const metrics = { requests: 4, tokens: 150, cost: 400e-6 };
const windowMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("reserve" as const),
      user: fc.nat(2),
      hasKey: fc.boolean(),
      outputTokensMax: fc.option(fc.nat(60)),
      lateMs: fc.oneof(fc.constant(0), fc.nat(5_000)),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      index: fc.nat(20),
      requests: fc.constantFrom(0, 1, 1, 1),
      tokens: fc.nat(60),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(90_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(90_000_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("limit" as const),
      scope: fc.constantFrom("user ada", "user bob", "group lab", "key k"),
      limits: fc
        .dictionary(
          fc.constantFrom<LimitName>(
            "concurrency",
            "requests/minute",
            "requests/day",
            "tokens/minute",
            "tokens/total",
            "cost/hour",
          ),
          fc.double({ min: 0, max: 2, noNaN: true }),
          { maxKeys: 3 },
        )
        .map(toLimits),
    }),
  },
);

describe("quotas, beside a plain sum of all calls", () => {
  it("never let a limit be overrun, whatever comes in whatever order, and refuse nothing that fits", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 150, size: "max" }), (steps) => {
        const world = setUp();
        for (const each of steps) {
          if (each.kind === "wait") world.clock.stall(each.ms);
          else if (each.kind === "limit") world.limits.set(each.scope, each.limits);
          else if (each.kind === "settle") world.settle(each.index, each.requests, each.tokens);
          else world.reserve(users[each.user] as string, each.hasKey, each.outputTokensMax, each.lateMs);
          world.compare();
        }
      }),
      { numRuns: 300 },
    );
  });
});

function setUp() {
  const clock = createManualClock(0, Date.UTC(2026, 10, 23, 23, 58));
  // A token of the prompt costs 1 millionth, one of the answer 2.
  const prices = createPrices({
    currency: "CNY",
    models: [{ pattern: "*", input: 1, cachedInput: null, output: 2 }],
  });
  const quotas = createQuotas({
    clock,
    days: createCalendar("UTC"),
    timeZone: "UTC",
    assumedOutputTokens: () => assumedTokens,
    prices: () => prices,
  });
  const limits = new Map<string, Limits>();
  const calls: KeptCall[] = [];

  /** Used, and reserved, under a limit for a call that arrived then. */
  function sum(scope: string, name: LimitName, arrivedAt: number): readonly [used: number, reserved: number] {
    const own = calls.filter(({ scopes }) => scopes.includes(scope));
    if (name === "concurrency") return [own.filter(({ charge }) => !charge).length, 0];
    const [metric, window] = name.split("/") as [keyof typeof metrics, keyof typeof windowMs | "total"];
    const indexOf = (at: number) => (window === "total" ? 0 : Math.floor(at / windowMs[window]));
    const within = own.filter((call) => indexOf(call.arrivedAt) === indexOf(arrivedAt));
    const add = (charges: readonly Charge[]) => charges.reduce((total, charge) => total + amountOf(charge, metric), 0);
    return [
      add(within.flatMap(({ charge }) => charge ?? [])),
      add(within.flatMap(({ charge, reservation }) => (charge ? [] : reservation.estimate))),
    ];
  }

  function listLeft(scopes: readonly string[], arrivedAt: number): { name: LimitName; left: number }[] {
    return scopes.flatMap((scope) =>
      Object.entries(limits.get(scope) ?? {}).map(([text, limit]) => {
        const name = text as LimitName;
        const [used, reserved] = sum(scope, name, arrivedAt);
        return { name, left: toMillionths(limit) - toMillionths(used + reserved) };
      }),
    );
  }

  return {
    clock,
    limits,
    reserve(userId: string, hasKey: boolean, outputTokensMax: number | null, lateMs: number) {
      const scopes = [`user ${userId}`, "group lab", ...(hasKey ? ["key k"] : [])];
      const arrivedAt = clock.wallNow() - lateMs;
      const left = listLeft(scopes, arrivedAt);
      const leftOf = (metric: string) =>
        Math.min(...left.filter(({ name }) => name.startsWith(metric)).map((each) => each.left));
      const affordable = Math.floor(
        Math.min(leftOf("tokens") / 1e6 - promptTokens, (leftOf("cost") - promptTokens) / 2),
      );
      const completionTokens = outputTokensMax ?? Math.max(0, Math.min(assumedTokens, affordable));
      const estimate = toCharge(1, completionTokens + promptTokens, completionTokens);
      const fits = left.every(({ name, left }) => left > 0 && toMillionths(amountOf(estimate, name)) <= left);
      const caller = toCaller(userId, hasKey, limits);
      const wish = { model: "m", inputBytes: 35, outputTokensMax, arrivedAt: clock.now() - lateMs };
      try {
        const reservation = quotas.reserve(caller, wish);
        assert.ok(fits, `taken in spite of ${JSON.stringify(left)}`);
        assert.deepEqual({ ...reservation.estimate }, estimate);
        calls.push({ scopes, arrivedAt, reservation, charge: null });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        assert.ok(!fits, `refused in spite of ${JSON.stringify(left)}`);
      }
    },
    settle(index: number, requests: number, tokens: number) {
      const open = calls.filter(({ charge }) => !charge);
      const call = open[index % Math.max(1, open.length)];
      if (!call) return;
      call.charge = requests === 0 ? toCharge(0, 0, 0) : toCharge(1, tokens, 0);
      call.reservation.settle(call.charge);
      call.reservation.settle(toCharge(1, 1_000, 0));
    },
    compare() {
      for (const [scope, own] of limits) {
        const [kind, id] = scope.split(" ") as [QuotaScope["kind"], string];
        for (const { name, used, reserved } of quotas.look([{ kind, id, limits: own }])) {
          const expected = sum(scope, name, clock.wallNow());
          assert.deepEqual([used, reserved].map(toMillionths), expected.map(toMillionths), `${scope} ${name}`);
        }
      }
      assert.equal(quotas.pendingCount, calls.filter(({ charge }) => !charge).length);
    },
  };
}

function toCaller(userId: string, hasKey: boolean, limits: ReadonlyMap<string, Limits>): Caller {
  const keyId = hasKey ? "k" : null;
  const scopes: QuotaScope[] = [
    { kind: "user", id: userId, limits: limits.get(`user ${userId}`) ?? {} },
    { kind: "group", id: "lab", limits: limits.get("group lab") ?? {} },
    ...(hasKey ? [{ kind: "key", id: "k", limits: limits.get("key k") ?? {} } as const] : []),
  ];
  return {
    userId,
    role: "user",
    weight: 1,
    class: "default",
    flowId: "f",
    groupId: "lab",
    keyId,
    models: null,
    lacksJobs: null,
    knownSince: 0,
    keepsContent: false,
    cachesAnswers: false,
    // Those without any are left out, as the people do.
    scopes: scopes.filter(({ limits }) => Object.keys(limits).length > 0),
  };
}

/** Shares of a typical limit become amounts: whole ones, money in fractions. */
function toLimits(shares: Record<string, number>): Limits {
  return Object.fromEntries(
    Object.entries(shares).map(([name, share]) => {
      const [metric = ""] = name.split("/");
      if (metric === "cost") return [name, Math.round(share * metrics.cost * 1e6) / 1e6];
      return [name, Math.round(share * (metric === "tokens" ? metrics.tokens : metrics.requests))];
    }),
  );
}

function toCharge(requests: number, tokens: number, completionTokens: number): Charge {
  const promptTokens = tokens - completionTokens;
  return {
    requests,
    promptTokens,
    completionTokens,
    costMicros: promptTokens + 2 * completionTokens,
    source: "estimated",
  };
}

function amountOf({ requests, promptTokens, completionTokens, costMicros }: Charge, name: string): number {
  if (name.startsWith("cost")) return costMicros / 1e6;
  if (name.startsWith("tokens")) return promptTokens + completionTokens;
  return name === "concurrency" ? 1 : requests;
}

function toMillionths(amount: number): number {
  return Math.round(amount * 1e6);
}

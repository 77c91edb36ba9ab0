// Random schedules for a scheduler core: limits, users, and what happens to their calls. A step names a call by a
// number that is taken modulo those that it can happen to, so that every part of a schedule can be left out.

import fc from "fast-check";
import type { OfferedCall } from "../../src/admission/core.ts";
import type { AdmissionLimits, GateLimits, KeyLimits, ModelLimits } from "../../src/admission/scheduler.ts";
import type { TrafficClass } from "../../src/base/principal.ts";
import type { Verdict, VerdictKind } from "../../src/base/verdict.ts";
import type { CoreDriver, DrivenCall } from "./core-driver.ts";

export const calmLimits: AdmissionLimits = {
  keys: [{ name: "first", models: null, startsPerSecond: 2, concurrencyMax: null, tokensPerMinute: null }],
  models: [],
  user: { startsPerSecond: null, concurrencyMax: null, tokensPerMinute: null },
  userQueueCapacity: null,
  queueCapacity: 1_000,
  queueTimeoutMs: 1_000_000,
  refusesEarly: false,
  sendGuardMs: 20,
  abortLingerMs: 300,
};

/** The limits of one key, and nothing else. */
export function limitsOf(key: Partial<GateLimits>, rest: Partial<AdmissionLimits> = {}): AdmissionLimits {
  const [first] = calmLimits.keys;
  return { ...calmLimits, ...rest, keys: [{ ...(first as (typeof calmLimits.keys)[number]), ...key }] };
}

export interface User {
  readonly userId: string;
  readonly weight: number;
}

export const users: readonly User[] = [
  { userId: "ada", weight: 1 },
  { userId: "bob", weight: 2 },
  { userId: "eve", weight: 4 },
  { userId: "dan", weight: 0.5 },
];
const classes: readonly TrafficClass[] = ["interactive", "default", "batch"];
const models = ["glm-4.5-flash", "glm-4.7"] as const;

export type Step =
  | { readonly kind: "offer"; readonly wish: Partial<OfferedCall> }
  | { readonly kind: "send" | "end" | "abort" | "cancel" | "progress"; readonly which: number }
  | { readonly kind: "advance" | "stall" | "delay"; readonly ms: number }
  | { readonly kind: "refuse"; readonly which: number; readonly verdict: Verdict }
  | { readonly kind: "configure"; readonly limits: AdmissionLimits };

const which = fc.nat({ max: 50 });
/** Short and long, and often a whole window of the usual rates. */
const pauseMs = fc.oneof(
  fc.nat({ max: 50 }),
  fc.nat({ max: 3_000 }),
  fc.constantFrom(0, 500, 980, 1_000, 1_020, 2_000, 15_000),
);

/** Also of calls that want more than any limit of a minute. */
const tokens = fc.constantFrom(10, 10, 50, 200, 400, 900, 3_000);

/** With `hasTokens`, calls say exactly what they take at most; with `hasKeys`, some want a key or are bound to one. */
export function wishes(
  options: { hasPatience?: boolean; hasRetries?: boolean; hasTokens?: boolean; hasKeys?: boolean } = {},
): fc.Arbitrary<Partial<OfferedCall>> {
  return fc
    .record({
      user: fc.constantFrom(...users),
      class: fc.constantFrom(...classes),
      flowId: fc.constantFrom("main", "side"),
      model: fc.constantFrom(...models),
      patienceMs: options.hasPatience ? fc.option(fc.integer({ min: 1, max: 8_000 }), { freq: 3 }) : fc.constant(null),
      retryCount: options.hasRetries ? fc.nat({ max: 2 }) : fc.constant(0),
      ...(options.hasKeys
        ? {
            affinity: fc.constantFrom(null, null, "one", "another"),
            upstreamKey: fc.constantFrom(null, null, null, "first", "third", "never there"),
          }
        : {}),
      ...(options.hasTokens ? { outputTokensMax: tokens, inputBytes: fc.constant(0) } : {}),
    })
    .map(({ user, ...rest }) => ({ ...user, ...rest }));
}

/** Adds steps such as reloads, or wishes with patience, to the common ones. */
export function steps(extra: readonly fc.WeightedArbitrary<Step>[] = [], wish = wishes()): fc.Arbitrary<Step[]> {
  const onCall = (...kinds: ("send" | "end" | "abort" | "cancel" | "progress")[]) =>
    fc.record({ kind: fc.constantFrom(...kinds), which });
  return fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant("offer" as const), wish }) },
      { weight: 6, arbitrary: onCall("send") },
      { weight: 4, arbitrary: onCall("end") },
      { weight: 2, arbitrary: onCall("abort", "cancel", "end") },
      { weight: 5, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: pauseMs }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("stall" as const), ms: pauseMs }) },
      ...extra,
    ),
    { minLength: 1, maxLength: 80, size: "max" },
  );
}

export const reloads = (among: fc.Arbitrary<AdmissionLimits>): fc.WeightedArbitrary<Step> => ({
  weight: 1,
  arbitrary: fc.record({ kind: fc.constant("configure" as const), limits: among }),
});

/** Timers that are late, so that other things come first. */
export const delays: fc.WeightedArbitrary<Step> = {
  weight: 2,
  arbitrary: fc.record({ kind: fc.constant("delay" as const), ms: pauseMs }),
};

export const progress: fc.WeightedArbitrary<Step> = {
  weight: 3,
  arbitrary: fc.record({ kind: fc.constant("progress" as const), which }),
};

export function refusals(kinds: readonly VerdictKind[]): fc.WeightedArbitrary<Step> {
  const verdict = fc.record({
    kind: fc.constantFrom(...kinds),
    code: fc.constantFrom(null, "1302"),
    waitMs: fc.option(fc.nat({ max: 20_000 })),
  });
  return { weight: 3, arbitrary: fc.record({ kind: fc.constant("refuse" as const), which, verdict }) };
}

function gates(rates: readonly (number | null)[], concurrencies: readonly (number | null)[]): fc.Arbitrary<GateLimits> {
  return fc.record({
    startsPerSecond: fc.constantFrom(...rates),
    concurrencyMax: fc.constantFrom(...concurrencies),
    tokensPerMinute: fc.constant(null),
  });
}

/** The first and the third of four keys are of one account. */
const accounts: Readonly<Record<string, string>> = { third: "first" };

/** As they are written: the same limits for all keys of an account, and each key with some weight. */
function shareAccounts(keys: readonly KeyLimits[], weights: readonly number[]): KeyLimits[] {
  return keys.map((key, index) => {
    const account = accounts[key.name];
    const sibling = keys.find(({ name }) => (accounts[name] ?? name) === (account ?? key.name)) ?? key;
    const { startsPerSecond, concurrencyMax, tokensPerMinute } = sibling;
    const weight = weights[index] ?? 1;
    return { ...key, startsPerSecond, concurrencyMax, tokensPerMinute, weight, ...(account && { account }) };
  });
}

const weights = fc.array(fc.constantFrom(1, 1, 2, 0.5), { minLength: 4, maxLength: 4 });

/** The same with keys that share an account. */
export function limitsOfAccounts(fixed: Partial<AdmissionLimits> = {}): fc.Arbitrary<AdmissionLimits> {
  return fc
    .tuple(limitsOfTokens(fixed), weights)
    .map(([given, drawn]) => ({ ...given, keys: shareAccounts(given.keys, drawn) }));
}

/** Several keys with limits of tokens, of which some serve one model alone; the rest as in `limits`. */
export function limitsOfTokens(fixed: Partial<AdmissionLimits> = {}): fc.Arbitrary<AdmissionLimits> {
  const key = (name: string): fc.Arbitrary<KeyLimits> =>
    fc
      .tuple(
        gates([null, null, 2, 10], [null, null, 2]),
        fc.constantFrom(null, 500, 1_000),
        fc.constantFrom(null, null, ...models.map((model) => [model])),
      )
      .map(([own, tokensPerMinute, served]) => ({ name, ...own, tokensPerMinute, models: served }));
  const keys = fc.oneof(
    fc.tuple(key("first")),
    fc.tuple(key("first"), key("second")),
    fc.tuple(key("first"), key("second"), key("third")),
  );
  return fc.tuple(limits(fixed), keys).map(([given, drawn]) => ({ ...given, keys: drawn }));
}

/** Limits of every shape, with one key to four in one account to three. */
export function limits(fixed: Partial<AdmissionLimits> = {}): fc.Arbitrary<AdmissionLimits> {
  const keyGates = gates([null, 0.5, 1, 1.5, 2, 2, 3, 10], [null, null, 1, 2, 3]);
  const key = (name: string): fc.Arbitrary<KeyLimits> => keyGates.map((own) => ({ name, models: null, ...own }));
  const keys = fc
    .tuple(
      fc.oneof(
        fc.tuple(key("first")),
        fc.tuple(key("first"), key("second")),
        fc.tuple(key("third"), key("first")),
        fc.tuple(key("second"), key("third"), key("first")),
        fc.tuple(key("first"), key("second"), key("third"), key("fourth")),
      ),
      weights,
    )
    .map(([drawn, drawnWeights]) => shareAccounts(drawn, drawnWeights));
  const model: fc.Arbitrary<ModelLimits> = gates([null, 1], [1, 2]).map((own) => ({ pattern: models[1], ...own }));
  return fc
    .record({
      keys,
      models: fc.oneof(fc.constant([]), fc.tuple(model)),
      user: gates([null, null, 1, 2], [null, null, 1, 2]),
      userQueueCapacity: fc.constantFrom(null, null, 1, 3),
      queueCapacity: fc.constantFrom(0, 1, 2, 4, 8, 100),
      queueTimeoutMs: fc.constantFrom(500, 3_000, 5_000, 60_000),
      refusesEarly: fc.boolean(),
      sendGuardMs: fc.constantFrom(0, 20),
      abortLingerMs: fc.constantFrom(0, 300),
    })
    .map((random) => ({ ...random, ...fixed }));
}

/** Does one step; a step that can happen to no call just now does nothing. */
export function play(driver: CoreDriver, step: Step): void {
  const pick = (calls: readonly DrivenCall[], number: number): DrivenCall | undefined => calls[number % calls.length];
  switch (step.kind) {
    case "offer":
      driver.offer(step.wish);
      return;
    case "advance":
      driver.advance(step.ms);
      return;
    case "stall":
      driver.stall(step.ms);
      return;
    case "delay":
      driver.delay(step.ms);
      return;
    case "configure":
      driver.configure(step.limits);
      return;
    case "refuse": {
      const call = pick(driver.in("sent"), step.which);
      if (call) driver.refuseUpstream(call, step.verdict);
      return;
    }
    default: {
      const states = { send: "granted", cancel: "waiting", end: "sent", progress: "sent" } as const;
      const call = pick(step.kind === "abort" ? driver.running : driver.in(states[step.kind]), step.which);
      if (!call) return;
      if (step.kind === "send") driver.send(call);
      else if (step.kind === "cancel") driver.cancel(call);
      else if (step.kind === "end") driver.finish(call);
      else if (step.kind === "abort") driver.end(call, "aborted");
      else driver.progress(call);
    }
  }
}

/** Lets everything come to its end: what was granted is sent and finished, until nobody is left. */
export function drain(driver: CoreDriver, slotMs = 1_000): void {
  driver.serve(slotMs);
}

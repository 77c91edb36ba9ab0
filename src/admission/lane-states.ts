// The state of each key and of the models on it, in the words of the port.

import type { Health } from "./health.ts";
import type { LaneState } from "./scheduler.ts";
import type { KeyModel, UpstreamKey } from "./upstream-key.ts";

/** Keys of one account say the same of its limits, each with its own health. */
export function describeLanes(keys: readonly UpstreamKey[], now: number): LaneState[] {
  return keys.flatMap((key) => [
    describeKey(key, now),
    ...Array.from(key.models.values(), (keyModel) => describeModel(key, keyModel, now)),
  ]);
}

function describeKey({ name, account, health }: UpstreamKey, now: number): LaneState {
  const { gates, pace, guardMs } = account;
  const shut = account.health.blockedUntil > health.blockedUntil ? account.health : health;
  return {
    upstreamKey: name,
    model: null,
    running: gates.inFlight,
    concurrencyMax: toBound(gates.concurrencyMax),
    learnedConcurrency: null,
    slowdown: pace.slowdown,
    guardMs: guardMs + pace.guardMs,
    ...describeHealth(shut, now),
  };
}

function describeModel(key: UpstreamKey, keyModel: KeyModel, now: number): LaneState {
  const { model, gates, learned, health } = keyModel;
  const bar = keyModel.barOf(key);
  return {
    upstreamKey: key.name,
    model,
    running: gates.inFlight,
    concurrencyMax: toBound(gates.concurrencyMax),
    learnedConcurrency: learned.limit,
    slowdown: 1,
    guardMs: key.account.guardMs,
    ...describeHealth(bar && bar.blockedUntil > health.blockedUntil ? bar : health, now),
  };
}

function describeHealth(health: Health, now: number) {
  return {
    blockedMs: Math.max(0, health.blockedUntil - now) || 0,
    blockedBecause: health.because,
    isDisabled: health.refusal !== null,
  };
}

function toBound(value: number): number | null {
  return value === Number.POSITIVE_INFINITY ? null : value;
}

// The scheduler's state as gauges, set anew at each scrape: upstream limits, and users as far as they may be named.

import { Gauge, type Registry } from "prom-client";
import type { LaneState, UserState } from "../admission/scheduler.ts";

/**
 * Upstream limits by key, model and family of calls; model "" is the key as a whole, without a family all that share its lanes. Models that share a label are taken together: what
 * can be added is, of the rest the worst counts.
 */
export function createLaneGauges(registers: Registry[], labelOf: (model: string) => string) {
  const lane = (name: string, help: string) =>
    new Gauge({ name: `glm_proxy_lane_${name}`, help, labelNames: ["key", "model", "family"], registers });
  const running = lane("running", "Calls in flight");
  const limit = lane("concurrency_limit", "Calls in flight that are allowed now; none: no bound");
  const learned = lane("learned_concurrency", "What the upstream's refusals have taught; none: nothing");
  const slowdown = lane("slowdown_ratio", "How much slower than configured calls start; 1 is not at all");
  const guard = lane("guard_seconds", "Added to the window, the learned part included");
  const blocked = lane("blocked_seconds", "Nothing starts for so long");
  const disabled = lane("disabled", "1: given up until somebody acts, or a later try succeeds");
  const all = [running, limit, learned, slowdown, guard, blocked, disabled];

  return {
    show(states: readonly LaneState[]): void {
      for (const gauge of all) gauge.reset();
      const worst = new Map<string, Pick<LaneState, "slowdown" | "guardMs" | "blockedMs">>();
      for (const state of states) {
        const model = state.model === null ? "" : labelOf(state.model);
        const labels = { key: state.upstreamKey, model, ...(state.family !== undefined && { family: state.family }) };
        running.inc(labels, state.running);
        if (state.concurrencyMax !== null) limit.inc(labels, state.concurrencyMax);
        if (state.learnedConcurrency !== null) learned.inc(labels, state.learnedConcurrency);
        disabled.inc(labels, state.isDisabled ? 1 : 0);
        const name = JSON.stringify(labels);
        const known = worst.get(name) ?? state;
        const now = {
          slowdown: Math.max(known.slowdown, state.slowdown),
          guardMs: Math.max(known.guardMs, state.guardMs),
          blockedMs: Math.max(known.blockedMs, state.blockedMs),
        };
        worst.set(name, now);
        slowdown.set(labels, now.slowdown);
        guard.set(labels, now.guardMs / 1_000);
        blocked.set(labels, now.blockedMs / 1_000);
      }
    },
  };
}

export function createUserGauges(registers: Registry[]) {
  const user = (name: string, help: string) =>
    new Gauge({ name: `glm_proxy_user_${name}`, help, labelNames: ["user"], registers });
  const waiting = user("waiting", "Calls that wait");
  const running = user("running", "Calls in flight");
  const served = user("served_lane_seconds", "Service so far, in seconds of one lane");
  const countWaiting = new Gauge({
    name: "glm_proxy_users_waiting",
    help: "Users with calls that wait",
    registers,
  });
  const ahead = user("ahead_lane_seconds", "How far ahead of the fair share, in seconds of one lane");

  return {
    show(states: readonly UserState[], labelsMax: number): void {
      const users = mergeUsers(states);
      countWaiting.set(users.filter(({ waiting }) => waiting > 0).length);
      for (const gauge of [waiting, running, served, ahead]) gauge.reset();
      if (labelsMax === 0) return;
      const busiestFirst = users.toSorted(
        (a, b) => b.waiting + b.running - (a.waiting + a.running) || b.servedSeconds - a.servedSeconds,
      );
      for (const [index, state] of busiestFirst.entries()) {
        const labels = { user: index < labelsMax ? state.userId : "other" };
        waiting.inc(labels, state.waiting);
        running.inc(labels, state.running);
        served.inc(labels, state.servedSeconds);
        ahead.inc(labels, state.aheadSeconds);
      }
    },
  };
}

type UserTotals = Pick<UserState, "userId" | "waiting" | "running" | "servedSeconds" | "aheadSeconds">;

/** A user whose calls are of several classes has a state in each. */
function mergeUsers(states: readonly UserState[]): UserTotals[] {
  const totals = new Map<string, UserTotals>();
  for (const state of states) {
    const before = totals.get(state.userId);
    totals.set(state.userId, {
      userId: state.userId,
      waiting: (before?.waiting ?? 0) + state.waiting,
      running: (before?.running ?? 0) + state.running,
      servedSeconds: (before?.servedSeconds ?? 0) + state.servedSeconds,
      aheadSeconds: (before?.aheadSeconds ?? 0) + state.aheadSeconds,
    });
  }
  return [...totals.values()];
}

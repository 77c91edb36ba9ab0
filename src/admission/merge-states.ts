// The states of several schedulers as one: counts are added, lanes and calls say which family they are of, and a user
// is one and the same in all of them.

import type { SchedulerGauges, SchedulerSnapshot, UserState } from "./scheduler.ts";

interface OfFamily<State> {
  readonly family: string;
  readonly state: State;
}

export function mergeGauges(general: SchedulerGauges, others: readonly OfFamily<SchedulerGauges>[]): SchedulerGauges {
  if (others.length === 0) return general;
  return {
    waiting: others.reduce((sum, { state }) => sum + state.waiting, general.waiting),
    running: others.reduce((sum, { state }) => sum + state.running, general.running),
    queueCapacity: general.queueCapacity,
    lanes: [...general.lanes, ...name(others, ({ lanes }) => lanes)],
    users: mergeUsers([general, ...others.map(({ state }) => state)]),
  };
}

export function mergeSnapshots(
  general: SchedulerSnapshot,
  others: readonly OfFamily<SchedulerSnapshot>[],
): SchedulerSnapshot {
  if (others.length === 0) return general;
  const all = [general, ...others.map(({ state }) => state)];
  // Where nobody waits, that somebody could start is no news.
  const asked = all.some(({ waiting }) => waiting > 0) ? all.filter(({ waiting }) => waiting > 0) : [general];
  const starts = asked.flatMap(({ nextStartInMs }) => nextStartInMs ?? []);
  return {
    ...mergeGauges(general, others),
    limits: general.limits,
    runningCalls: [...general.runningCalls, ...name(others, ({ runningCalls }) => runningCalls)],
    waitingCalls: [...general.waitingCalls, ...name(others, ({ waitingCalls }) => waitingCalls)],
    nextStartInMs: starts.length === 0 ? null : Math.min(...starts),
  };
}

function name<State, Item>(others: readonly OfFamily<State>[], read: (state: State) => readonly Item[]) {
  return others.flatMap(({ family, state }) => read(state).map((item) => ({ ...item, family })));
}

function mergeUsers(states: readonly SchedulerGauges[]): UserState[] {
  const users = new Map<string, UserState>();
  for (const user of states.flatMap((state) => state.users)) {
    const id = `${user.class} ${user.userId}`;
    const known = users.get(id);
    users.set(id, known ? addUser(known, user) : user);
  }
  return [...users.values()];
}

function addUser(a: UserState, b: UserState): UserState {
  return {
    ...a,
    waiting: a.waiting + b.waiting,
    running: a.running + b.running,
    servedSeconds: a.servedSeconds + b.servedSeconds,
    aheadSeconds: Math.max(a.aheadSeconds, b.aheadSeconds),
  };
}

// The measuring itself of F10, in a process of its own (micro.ts starts it with --expose-gc), so that nothing else is on
// the heap and in the compiler's mind. Prints its result as one line of JSON.

import type { Grant, OfferedCall, SchedulerCore, Waiter } from "../../src/admission/core.ts";
import { createFairCore } from "../../src/admission/fair-core.ts";
import { toAdmissionLimits } from "./policies/ours.ts";
import { seedLimits } from "./policy.ts";
import { findQuantile } from "./statistics.ts";

export interface Level {
  /** As many as should wait, and as many as did when the time for filling the queue was over. */
  readonly wanted: number;
  readonly waiting: number;
  readonly users: number;
  readonly offerNs: number;
  readonly cancelNs: number;
  /** The tick after a running call's end: who is next, and every gate taken. */
  readonly decisionNs: number;
  readonly decisionP99Ns: number;
  readonly bytesPerWaiter: number;
}

export interface MicroResult {
  readonly levels: readonly Level[];
  readonly uncontendedP50Ns: number;
  readonly uncontendedP99Ns: number;
}

const roundsMax = 2_000;
const decisionRounds = 20_000;
const fillMsMax = 6_000;
const usage = { promptTokens: 30, completionTokens: 200, cachedTokens: 0, reasoningTokens: 0 };

let now = 0;
let callCount = 0;

function createCall(userId: string): OfferedCall {
  return {
    callId: `call-${callCount++}`,
    userId,
    weight: 1,
    class: "default",
    flowId: "main",
    model: "glm-4.5-flash",
    patienceMs: null,
    inputBytes: 100,
    outputTokensMax: null,
    retryCount: 0,
    place: null,
  };
}

function createCore(concurrencyMax: number | null): SchedulerCore {
  const roomy = { startsPerSecond: null, concurrencyMax, queueCapacity: 1_000_000, queueTimeoutMs: 1e9 };
  return createFairCore({ limits: toAdmissionLimits({ ...seedLimits, ...roomy }, false), random: () => 0.5 });
}

function offerWaiting(core: SchedulerCore, userId: string): Waiter {
  const offer = core.offer(createCall(userId), now);
  core.tick(now);
  if (offer.kind !== "waiting") throw new Error(`it should wait, but is ${offer.kind}`);
  return offer.waiter;
}

/** A running call ends, the tick chooses the next one, which is sent; one more comes, so that as many wait as before. */
function turnOver(core: SchedulerCore, grant: Grant, userId: string): { grant: Grant; decisionNs: number } {
  now += 1;
  core.release(grant, "ended", now);
  const startedAt = process.hrtime.bigint();
  const turn = core.tick(now);
  const decisionNs = Number(process.hrtime.bigint() - startedAt);
  core.settle(grant, usage, now);
  const next = turn.granted[0];
  if (!next) throw new Error("nobody was next");
  core.sent(next.grant, now);
  core.tick(now);
  offerWaiting(core, userId);
  return { grant: next.grant, decisionNs };
}

/** Mean nanoseconds of each of `count` calls, in one stretch. */
function time(count: number, act: (index: number) => void): number {
  const startedAt = process.hrtime.bigint();
  for (let index = 0; index < count; index++) act(index);
  return Number(process.hrtime.bigint() - startedAt) / count;
}

function measureLevel(wanted: number, users: number): Level {
  const core = createCore(1);
  const first = core.offer(createCall("first"), now);
  if (first.kind !== "granted") throw new Error("an idle core should grant");
  core.sent(first.grant, now);
  const userIds = Array.from({ length: users }, (_, index) => `user-${index}`);
  const userOf = (index: number) => userIds[index % users] as string;
  collectGarbage();
  const bytesBefore = process.memoryUsage().heapUsed;
  const fillUntil = performance.now() + fillMsMax;
  let waiting = 0;
  while (waiting < wanted && performance.now() < fillUntil) offerWaiting(core, userOf(waiting++));
  collectGarbage();
  const bytesPerWaiter = (process.memoryUsage().heapUsed - bytesBefore) / waiting;

  const rounds = Math.min(roundsMax, waiting);
  const added: Waiter[] = [];
  const offerNs = time(rounds, (index) => added.push(offerWaiting(core, userOf(index * 7))));
  const cancelNs = time(rounds, (index) => {
    core.cancel(added[index] as Waiter, now);
    core.tick(now);
  });
  let grant = first.grant;
  const decisionNs: number[] = [];
  for (let round = 0; round < decisionRounds; round++) {
    const turn = turnOver(core, grant, userOf(round * 7));
    grant = turn.grant;
    if (round >= decisionRounds / 4) decisionNs.push(turn.decisionNs);
  }
  return {
    wanted,
    waiting,
    users,
    offerNs,
    cancelNs,
    decisionNs: findQuantile(decisionNs, 0.5),
    decisionP99Ns: findQuantile(decisionNs, 0.99),
    bytesPerWaiter,
  };
}

/** An idle scheduler's answer to one call, again and again. */
function measureUncontended(): { p50: number; p99: number } {
  const core = createCore(null);
  const samples: number[] = [];
  for (let round = 0; round < 50_000; round++) {
    now += 1;
    const call = createCall(`user-${round % 100}`);
    const startedAt = process.hrtime.bigint();
    const offer = core.offer(call, now);
    core.tick(now);
    const takenNs = Number(process.hrtime.bigint() - startedAt);
    if (round >= 10_000) samples.push(takenNs);
    if (offer.kind !== "granted") throw new Error("an idle core should grant");
    core.sent(offer.grant, now);
    core.release(offer.grant, "ended", now);
    core.settle(offer.grant, usage, now);
    core.tick(now);
  }
  return { p50: findQuantile(samples, 0.5), p99: findQuantile(samples, 0.99) };
}

function collectGarbage(): void {
  if (!globalThis.gc) throw new Error("start it with --expose-gc");
  globalThis.gc();
}

// Warm-up: what is compiled only then would be measured otherwise.
measureLevel(2_000, 200);
const levels = [
  measureLevel(100, 50),
  measureLevel(1_000, 1_000),
  measureLevel(10_000, 1_000),
  measureLevel(10_000, 10_000),
  measureLevel(100_000, 1_000),
  measureLevel(100_000, 10_000),
];
const { p50, p99 } = measureUncontended();
const result: MicroResult = { levels, uncontendedP50Ns: p50, uncontendedP99Ns: p99 };
console.log(JSON.stringify(result));

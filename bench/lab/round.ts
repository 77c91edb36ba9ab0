// One round of one peer. What is measured of a fresh process, its start and its memory, is measured of a second one that
// lives as long; the rest of one that has served for a while.

import type { Wish } from "./answers.ts";
import type { Bench } from "./bench.ts";
import type { Peer, RunningPeer } from "./peers/peer.ts";
import {
  burst,
  connections,
  framesPerSecond,
  large,
  longPrompt,
  longPromptRate,
  memoryStreams,
  type Plan,
  shortStream,
  small,
  streamRate,
  toOpenStream,
  unaryRates,
} from "./plan.ts";
import { readCpuMicros, readMemoryBytes } from "./proc.ts";

/** By the metric's name; what does not apply is not there. */
export type Values = Record<string, number>;

/** Lets it serve what it is going to be measured with. Resolves with the kinds of it that it can serve. */
export async function warmUp({ target }: RunningPeer, bench: Bench, seconds: number): Promise<Served> {
  const isServed = new Map<Wish, boolean>();
  for (const [wish, share] of warmLoads) {
    const { calls, failures } = await bench.ask("saturate", {
      target,
      wish,
      connections,
      seconds: seconds * share,
    });
    isServed.set(wish, calls > failures);
  }
  return { calls: isServed.get(small) === true, streams: isServed.get(burst) === true };
}

export interface Served {
  readonly calls: boolean;
  readonly streams: boolean;
}

const warmLoads = [
  [small, 0.6],
  [large, 0.1],
  [burst, 0.1],
  [shortStream, 0.2],
] as const;

/** Throws when the peer has ended. */
export async function measureRound(
  peer: Peer,
  running: RunningPeer,
  { streams }: Served,
  bench: Bench,
  plan: Plan,
): Promise<Values> {
  const values: Values = { failures: 0 };
  const fresh = await peer.start(bench, `${peer.name}-fresh`);
  try {
    if (fresh.readyMs !== null) values["ready ms"] = fresh.readyMs;
    if (fresh.pid !== null && streams) await measureMemory(fresh.pid, fresh, bench, plan, values);
  } finally {
    await fresh.stop();
  }
  await warmUp(running, bench, running.pid === null ? 1 : plan.rewarmSeconds);
  await measureSaturation("unary 1 KB", small, running, bench, plan, values);
  await measureSaturation("unary 100 KB", large, running, bench, plan, values);
  if (streams) await measureSaturation("burst", burst, running, bench, plan, values);
  // Before thousands of streams leave all at once, which takes its time to be put in order.
  await measureLatencies(running, streams, bench, plan, values);
  if (streams && running.pid !== null) {
    for (const count of plan.openCounts) await measureFrames(count, running.pid, running, bench, plan, values);
  }
  return values;
}

/** Of a process that has served few calls: what its heap has grown by before would hide what a stream takes. */
async function measureMemory(
  pid: number,
  { target }: RunningPeer,
  bench: Bench,
  plan: Plan,
  values: Values,
): Promise<void> {
  await bench.ask("saturate", { target, wish: small, connections: 8, seconds: 0.3 });
  await pause(plan.settleMs);
  const before = readMemoryBytes(pid);
  values["memory MB"] = before / 1e6;
  const once = await readWithMore(memoryStreams);
  const twice = await readWithMore(memoryStreams);
  values["memory KB per stream"] = (once.bytes - before) / 1_000 / once.open;
  // A runtime's pools grow with the first ones, and no more then.
  values["memory KB per further stream"] = (twice.bytes - once.bytes) / 1_000 / (twice.open - once.open);
  values.failures = (values.failures ?? 0) + (await bench.ask("closeStreams", {})).failures;
  await pause(500);

  async function readWithMore(count: number): Promise<{ bytes: number; open: number }> {
    await bench.ask("openStreams", { target, wish: toOpenStream(1), count });
    await pause(1_500);
    const bytes = readMemoryBytes(pid);
    return { bytes, open: (await bench.ask("look", {})).open };
  }
}

async function measureSaturation(
  name: string,
  wish: Wish,
  { pid, target }: RunningPeer,
  bench: Bench,
  plan: Plan,
  values: Values,
): Promise<void> {
  const before = pid === null ? 0 : readCpuMicros(pid);
  const startedAt = performance.now();
  const done = await bench.ask("saturate", { target, wish, connections, seconds: plan.saturateSeconds });
  const wallMicros = (performance.now() - startedAt) * 1_000;
  // What calls leave to be done, such as their records, is theirs too.
  await pause(plan.settleMs);
  values.failures = (values.failures ?? 0) + done.failures;
  values[`${name} calls/s`] = done.calls / done.seconds;
  if (wish.kind !== "unary") values[`${name} frames/s`] = done.frames / done.seconds;
  if (pid === null) return;
  const micros = readCpuMicros(pid) - before;
  values[`${name} CPU µs per call`] = micros / done.calls;
  values[`${name} cores`] = micros / wallMicros;
  if (wish.kind !== "unary") values[`${name} CPU µs per frame`] = micros / done.frames;
}

async function measureFrames(
  count: number,
  pid: number,
  { target }: RunningPeer,
  bench: Bench,
  plan: Plan,
  values: Values,
): Promise<void> {
  const wish = toOpenStream(framesPerSecond / count);
  await bench.ask("openStreams", { target, wish, count });
  await pause(plan.settleMs);
  const framesBefore = (await bench.ask("look", {})).frames;
  const microsBefore = readCpuMicros(pid);
  await pause(plan.frameSeconds * 1_000);
  const microsAfter = readCpuMicros(pid);
  const { frames, failures } = await bench.ask("closeStreams", {});
  values.failures = (values.failures ?? 0) + failures;
  values[`${count} open streams CPU µs per frame`] = (microsAfter - microsBefore) / (frames - framesBefore);
  values[`${count} open streams frames/s`] = (frames - framesBefore) / plan.frameSeconds;
  await pause(300 + count);
}

async function measureLatencies(
  { target }: RunningPeer,
  hasStreams: boolean,
  bench: Bench,
  plan: Plan,
  values: Values,
): Promise<void> {
  const loads = [
    ...unaryRates.map((rate) => ({ name: `unary at ${rate}/s`, wish: small, rate, to: "end" as const })),
    { name: `request of 1 MB at ${longPromptRate}/s`, wish: longPrompt, rate: longPromptRate, to: "end" as const },
    { name: `first byte at ${streamRate}/s`, wish: shortStream, rate: streamRate, to: "first byte" as const },
  ];
  for (const { name, wish, rate, to } of loads) {
    if (wish === shortStream && !hasStreams) continue;
    const seconds = plan.paceSeconds;
    const measured = await bench.ask("keepPace", { target, wish, callsPerSecond: rate, seconds, to });
    values.failures = (values.failures ?? 0) + measured.failures;
    values[`${name} p50 ms`] = measured.p50;
    values[`${name} p99 ms`] = measured.p99;
    values[`${name} p99.9 ms`] = measured.p999;
    values[`${name} lag p99 ms`] = measured.lagP99;
    await pause(plan.settleMs);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

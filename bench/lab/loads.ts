// The loads that the driver puts on a peer. Each is bounded in calls and in time, and checks what comes back: an answer
// that is not whole is a failure, and no number.

import { Worker } from "node:worker_threads";
import { findQuantile } from "../scheduling/statistics.ts";
import { toRequestBody, type Wish } from "./answers.ts";
import { type Connection, type Outcome, openConnection, type Target, toRequest } from "./http-client.ts";
import type { Pace } from "./pacemaker.ts";

export interface Saturation {
  /** With a whole answer. */
  readonly calls: number;
  readonly frames: number;
  readonly seconds: number;
  readonly failures: number;
}

export interface Latency {
  /** Milliseconds from the time at which the call was due. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly calls: number;
  readonly failures: number;
  /** Of sending, behind the time at which it was due: the driver's own. */
  readonly lagP99: number;
}

export interface Streams {
  /** Frames since they were opened. */
  readonly frames: number;
  readonly open: number;
  readonly failures: number;
}

const opensAtOnce = 32;
const connectionsMax = 512;
/** Of a load's time, at its begin: connections are opened then. */
const warmShare = 0.15;
/** How long the last calls of an open loop may take. */
const drainMs = 3_000;

/** As many calls as can be had: each connection begins the next one when the last has ended. */
export async function saturate(target: Target, wish: Wish, connections: number, seconds: number): Promise<Saturation> {
  const request = toRequest(target, toRequestBody(wish));
  let calls = 0;
  let frames = 0;
  let failures = 0;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  async function live(): Promise<void> {
    let connection: Connection | null = null;
    while (performance.now() < until) {
      try {
        if (!connection?.isOpen) connection = await openConnection(target);
        const outcome: Outcome = await connection.call(request);
        if (isWhole(outcome, wish)) calls++;
        else failures++;
        frames += outcome.frames;
      } catch {
        failures++;
        // Whoever refuses connections would be asked a million times a second.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
    connection?.close();
  }
  await Promise.all(Array.from({ length: connections }, live));
  return { calls, frames, failures, seconds: (performance.now() - startedAt) / 1_000 };
}

/**
 * Calls at fixed times, whether others have been answered or not, each timed from when it was due: what a slow answer
 * makes wait is counted, too.
 */
export async function keepPace(
  target: Target,
  wish: Wish,
  callsPerSecond: number,
  seconds: number,
  to: "first byte" | "end",
): Promise<Latency> {
  const request = toRequest(target, toRequestBody(wish));
  const idle: Connection[] = [];
  const latencies: number[] = [];
  const lags: number[] = [];
  const count = Math.round(callsPerSecond * seconds);
  const warmCount = Math.round(count * warmShare);
  let connections = 0;
  let failures = 0;

  async function call(index: number, dueAt: number): Promise<void> {
    const lag = performance.now() - dueAt;
    let connection = idle.pop();
    try {
      while (connection?.isOpen === false) {
        connections--;
        connection = idle.pop();
      }
      if (!connection) {
        if (connections >= connectionsMax) throw new Error("all connections are busy");
        connections++;
        connection = await openConnection(target).catch((error) => {
          connections--;
          throw error;
        });
      }
      const outcome = await connection.call(request);
      if (!isWhole(outcome, wish)) throw new Error("the answer is not whole");
      if (index < warmCount) return;
      latencies.push((to === "end" ? outcome.endedAt : outcome.firstByteAt) - dueAt);
      lags.push(lag);
    } catch {
      failures++;
    } finally {
      if (connection) idle.push(connection);
    }
  }

  const leadMs = 100;
  const startAt = performance.now() + leadMs;
  const startNs = process.hrtime.bigint() + BigInt(leadMs * 1e6);
  const intervalMs = 1_000 / callsPerSecond;
  const pace: Pace = { startNs, intervalNs: intervalMs * 1e6, count };
  const pacemaker = new Worker(new URL("pacemaker.ts", import.meta.url), { workerData: pace });
  const running = new Set<Promise<void>>();
  await new Promise<void>((resolve, reject) => {
    pacemaker.on("message", (index: number) => {
      const made = call(index, startAt + index * intervalMs).finally(() => running.delete(made));
      running.add(made);
    });
    pacemaker.once("error", reject);
    pacemaker.once("exit", () => resolve());
  });
  await Promise.race([Promise.all(running), new Promise((resolve) => setTimeout(resolve, drainMs))]);
  failures += running.size;
  for (const connection of idle) connection.close();
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => findQuantile(latencies, share)) as [
    number,
    number,
    number,
  ];
  return { p50, p99, p999, calls: latencies.length, failures, lagP99: findQuantile(lags, 0.99) };
}

export interface OpenStreams {
  look(): Streams;
  close(): void;
}

/** Opens them, some at a time, and resolves when the first frame of each is there. They stay open until closed. */
export async function openStreams(target: Target, wish: Wish, count: number): Promise<OpenStreams> {
  const request = toRequest(target, toRequestBody(wish));
  const connections: Connection[] = [];
  let toOpen = count;
  let frames = 0;
  let open = 0;
  let failures = 0;
  let isClosed = false;

  async function openOne(): Promise<void> {
    const connection = await openConnection(target);
    connections.push(connection);
    await new Promise<void>((resolve) => {
      let isFirst = true;
      const onFrames = (more: number) => {
        frames += more;
        if (!isFirst) return;
        isFirst = false;
        open++;
        resolve();
      };
      const onEnd = () => {
        // None of them ends while it is measured.
        if (!isClosed) failures++;
        if (!isFirst) open--;
        resolve();
      };
      connection.call(request, onFrames).then(onEnd, onEnd);
    });
  }
  async function openSome(): Promise<void> {
    while (toOpen-- > 0) await openOne().catch(() => failures++);
  }
  await Promise.all(Array.from({ length: opensAtOnce }, openSome));
  return {
    look: () => ({ frames, open, failures }),
    close() {
      isClosed = true;
      for (const connection of connections) connection.close();
    },
  };
}

function isWhole({ status, bytes, frames }: Outcome, wish: Wish): boolean {
  if (status !== 200) return false;
  // A gateway may write an answer anew, and leave a little out.
  return wish.kind === "unary" ? bytes >= wish.bytes * 0.9 : frames >= wish.frames - 1;
}

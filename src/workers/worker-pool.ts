// In the main thread: the workers. Starts them on one port, answers what their calls ask, replaces one that dies and gives
// back what its calls held. Threads, not processes: a message between them costs microseconds, all of them end with the
// process, and who watches over the process watches over all.

import { createServer } from "node:net";
import { Worker } from "node:worker_threads";
import { createSharedBytes, forgetThread } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import type { ForwardTarget } from "../http/forward.ts";
import { connectionsMax } from "../http/server.ts";
import { HostedCall, type HostStages } from "./hosted-call.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import {
  type CallQuestion,
  type SharedMemory,
  type ToMain,
  type ToWorker,
  unpackError,
  type WorkerOptions,
  type WorkerSettings,
} from "./messages.ts";
import { workerUrl } from "./worker.ts";

export interface WorkerPool {
  /** Resolves with the port that all of them listen on. Rejects with Node's error when it can't be had. */
  start(host: string, port: number): Promise<number>;
  apply(settings: WorkerSettings): void;
  /** No more calls; resolves when none lives in any worker, at the latest 2 s after the grace. */
  drain(graceMs: number): Promise<void>;
  abortAll(): void;
  close(): Promise<void>;
}

export interface WorkerPoolOptions {
  readonly count: number;
  readonly settings: WorkerSettings;
  readonly version: string;
  readonly memory: SharedMemory;
  readonly forwardTo: ForwardTarget;
  readonly stages: HostStages;
  readonly clock: Clock;
  onFailure(error: unknown, requestId: string): void;
  /** A worker has died; another takes its place. */
  onDeath(error: Error, callCount: number): void;
  /** What a worker is started with: a file, or a bundle. */
  readonly url?: URL;
}

export function createSharedMemory(workerCount: number): SharedMemory {
  const bytes = () => createSharedBytes(workerCount + 1);
  return { bodies: bytes(), collected: bytes(), unsent: bytes() };
}

/** Between the death of a worker and the start of the next in its place. */
const restartMs = 1_000;
/** How often those who wait for their turn are told anew where they stand, for signs of life. */
const standingsEveryMs = 1_000;
/** After that, a worker that should have drained, or ended by itself, is ended. */
const stuckMsMax = 2_000;

interface Member {
  readonly thread: number;
  readonly worker: Worker;
  readonly mailbox: Mailbox<ToWorker>;
  readonly calls: Map<number, HostedCall>;
  readonly listening: PromiseWithResolvers<number>;
  readonly drained: PromiseWithResolvers<void>;
  readonly ended: PromiseWithResolvers<void>;
  /** What it died of. */
  error: Error | null;
}

export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const { count, version, memory, forwardTo, stages, clock, url = workerUrl } = options;
  let { settings } = options;
  const members = new Map<number, Member>();
  let address: WorkerOptions["listen"] = { host: "", port: 0 };
  let state: "starting" | "serving" | "draining" | "closed" = "starting";
  let cancelStandings = () => {};

  function open(thread: number): Member {
    const workerOptions: WorkerOptions = {
      settings,
      version,
      listen: address,
      connectionsMax: Math.ceil(connectionsMax / count),
      thread,
      memory,
      forwardTo,
    };
    const worker = new Worker(url, {
      workerData: { worker: workerOptions },
      name: `worker ${thread}`,
      // Not this process's own: they may be for a script on standard input.
      execArgv: [],
    });
    const member: Member = {
      thread,
      worker,
      mailbox: createMailbox((messages) => worker.postMessage(messages)),
      calls: new Map(),
      listening: Promise.withResolvers(),
      drained: Promise.withResolvers(),
      ended: Promise.withResolvers(),
      error: null,
    };
    member.listening.promise.catch(() => {});
    worker.on("message", (messages: readonly ToMain[]) => {
      for (const message of messages) take(member, message);
    });
    worker.on("error", (error: Error) => {
      member.error = error;
    });
    worker.on("exit", () => bury(member));
    members.set(thread, member);
    return member;
  }

  function take(member: Member, message: ToMain): void {
    switch (message.kind) {
      case "listening":
        member.listening.resolve(message.port);
        return;
      case "drained":
        member.drained.resolve();
        return;
      case "failure":
        options.onFailure(unpackError(message.error), message.requestId);
        return;
      default:
        takeQuestion(member, message);
    }
  }

  function takeQuestion({ calls, mailbox }: Member, question: CallQuestion): void {
    const { call: number, kind } = question;
    let call = calls.get(number);
    if (call === undefined) {
      call = new HostedCall(stages, (answer) => mailbox.post({ call: number, ...answer } as ToWorker));
      calls.set(number, call);
    }
    if (kind === "end") calls.delete(number);
    call.take(question);
  }

  /** Whatever it held is free again, and the port's next connections go to the others. */
  function bury(member: Member): void {
    const { thread, calls } = member;
    const error = member.error ?? new Error("the worker has ended");
    const callCount = calls.size;
    for (const call of calls.values()) call.abandon(error);
    calls.clear();
    for (const bytes of Object.values(memory)) forgetThread(bytes, thread);
    member.listening.reject(error);
    member.drained.resolve();
    member.ended.resolve();
    // What can't begin is told to who starts the pool.
    if (state === "starting" || state === "closed") return;
    options.onDeath(error, callCount);
    if (state === "serving") clock.after(restartMs, () => reopen(thread));
  }

  function reopen(thread: number): void {
    // One that can't even begin dies, and is buried, like any other.
    if (state === "serving") open(thread);
  }

  function tellStandings(): void {
    if (settings.server.heartbeatMs !== null) {
      for (const { calls } of members.values()) for (const call of calls.values()) call.tellStanding();
    }
    cancelStandings = clock.after(standingsEveryMs, tellStandings);
  }

  /** Waits for something of each; who has not come to it by then is ended. */
  async function endStuck(awaited: (member: Member) => PromiseWithResolvers<void>, afterMs: number): Promise<void> {
    const late = new Set(members.values());
    const cancel = clock.after(afterMs, () => {
      for (const { worker } of late) void worker.terminate();
    });
    await Promise.all(Array.from(late, (member) => awaited(member).promise.then(() => late.delete(member))));
    cancel();
  }

  function tellAll(order: ToWorker): void {
    for (const { mailbox } of members.values()) mailbox.post(order);
  }

  return {
    async start(host, port) {
      // Ports that threads share would be shared with another gateway too, and without a word.
      await requireFree(host, port);
      address = { host, port, reusePort: true };
      const first = open(1);
      try {
        const chosen = await first.listening.promise;
        address = { host, port: chosen, reusePort: true };
        const others = Array.from({ length: count - 1 }, (_, index) => open(index + 2));
        await Promise.all(others.map(({ listening }) => listening.promise));
        state = "serving";
        tellStandings();
        return chosen;
      } catch (error) {
        state = "closed";
        for (const { worker } of members.values()) void worker.terminate();
        throw error;
      }
    },
    apply(changed) {
      settings = changed;
      tellAll({ kind: "apply", settings });
    },
    async drain(graceMs) {
      if (state !== "closed") state = "draining";
      tellAll({ kind: "drain", graceMs });
      await endStuck(({ drained }) => drained, graceMs + stuckMsMax);
    },
    abortAll: () => tellAll({ kind: "abort_all" }),
    async close() {
      state = "closed";
      cancelStandings();
      tellAll({ kind: "close" });
      await endStuck(({ ended }) => ended, stuckMsMax);
    },
  };
}

function requireFree(host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", reject);
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  return promise;
}

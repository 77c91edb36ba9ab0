// The lab's processes: pinned to a core where the machine can, and ended with the lab, however that ends.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, type } from "node:os";
import { isAlive } from "./proc.ts";

/** any: not pinned. */
export type Core = "clients" | "peer" | "any";

export interface ChildOptions {
  readonly core: Core;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it prints goes there. */
  readonly logFile: string;
  /** Whether it is a Node process that messages can be sent to. */
  readonly hasChannel?: boolean;
}

const endMsMax = 6_000;
const canPin = type() === "Linux" && availableParallelism() > 1 && has("taskset");
const canFollow = type() === "Linux" && has("setpriv");
const cores = { clients: "0", peer: "1" } as const;
const living = new Set<ChildProcess>();

// The last resort, when the lab breaks: no more than a signal is possible here.
process.on("exit", () => {
  for (const child of living) child.kill("SIGTERM");
});

export const pinning = canPin ? "upstream and clients on core 0, the peer on core 1" : "not pinned to cores";

export function startChild(command: string, args: readonly string[], options: ChildOptions): ChildProcess {
  const { core, cwd, env, logFile, hasChannel = false } = options;
  // Each of them becomes the next one, so that the process has the id that was started.
  const words = [
    // It ends when its parent does, even when that is killed.
    ...(canFollow ? ["setpriv", "--pdeathsig", "TERM"] : []),
    ...(canPin && core !== "any" ? ["taskset", "-c", cores[core]] : []),
    command,
    ...args,
  ];
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(words[0] as string, words.slice(1), {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: cwd, ...env },
    stdio: ["ignore", log, log, ...(hasChannel ? ["ipc" as const] : [])],
    // JSON would make null of what is no number.
    serialization: "advanced",
  });
  closeSync(log);
  living.add(child);
  child.once("exit", () => living.delete(child));
  // Said by whoever waits for it.
  child.on("error", () => living.delete(child));
  return child;
}

/** Resolves when it has ended. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const last = setTimeout(() => child.kill("SIGKILL"), endMsMax);
  await ended;
  clearTimeout(last);
}

export async function endAll(): Promise<void> {
  await Promise.all([...living].map(endChild));
}

/** A port that nobody has just now. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port to be had");
  return address.port;
}

export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null && isAlive(child.pid);
}

export function has(command: string): boolean {
  return spawnSync(command, ["-V"], { stdio: "ignore" }).error === undefined;
}

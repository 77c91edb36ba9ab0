// What stands between the clients and the upstream, or nothing.

import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Bench } from "../bench.ts";
import { isRunning } from "../children.ts";
import type { Target } from "../http-client.ts";

export interface Peer {
  readonly name: string;
  /** With its version. */
  readonly about: string;
  /** `name`: of its folder. Who starts it again by the same name starts its successor, with what it has kept. */
  start(bench: Bench, name: string): Promise<RunningPeer>;
}

export interface RunningPeer {
  readonly target: Target;
  /** Of the process whose tree is measured; null: there is none to measure. */
  readonly pid: number | null;
  /** From its start until it took a connection; null: it was not started. */
  readonly readyMs: number | null;
  stop(): Promise<void>;
}

export const upstreamPath = "/api/paas/v4";

const readyMsMax = 30_000;

/** Milliseconds until it takes connections. Rejects with what it printed when it ends before. */
export async function awaitPort(
  child: ChildProcess,
  port: number,
  startedAt: number,
  logFile: string,
): Promise<number> {
  while (!(await takesConnections(port))) {
    const isLate = performance.now() - startedAt > readyMsMax;
    if (isLate || !isRunning(child))
      throw new Error(`it did not start:\n${readFileSync(logFile, "utf8").slice(-2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return performance.now() - startedAt;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const settle = (isTaken: boolean) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

// A command in a pseudo-terminal of its own: keys reach all of its processes, npm's among them.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import type { Workspace } from "./process.ts";

const script = new URL("terminal.py", import.meta.url).pathname;

/** pidfd_open needs Python 3.9, and Linux. */
export const hasTerminals =
  process.platform === "linux" && spawnSync("python3", ["-c", "import os, pty; os.pidfd_open"]).status === 0;

export interface Terminal {
  readonly child: ChildProcess;
  readonly text: () => string;
  type(keys: string): void;
  /** Reads no more of what the command writes, as after Ctrl-S. */
  hold(): void;
  /** As closing its window does. */
  close(): void;
  /** The command's exit code, or minus its signal. */
  readonly exit: Promise<number>;
}

export const ctrlC = "\u0003";

export function openTerminal(
  command: readonly string[],
  workspace: Workspace,
  env: Record<string, string> = {},
  { columns = 100, rows = 24, cwd = workspace.folder } = {},
): Terminal {
  const child = spawn("python3", [script, String(columns), String(rows), ...command], {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: workspace.folder, TERM: "xterm", SHELL: "/bin/sh", ...env },
    stdio: "pipe",
  });
  let text = "";
  let lastWords = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    lastWords += chunk.toString();
  });
  const tell = (line: string) => void child.stdin.write(`${line}\n`);
  return {
    child,
    text: () => text,
    type: (keys) => tell(`keys ${Buffer.from(keys).toString("hex")}`),
    hold: () => tell("hold"),
    close: () => tell("close"),
    exit: new Promise((resolve) => child.once("close", () => resolve(Number(lastWords.trim().split("\n").at(-1))))),
  };
}

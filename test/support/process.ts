// The gateway as a process of its own, started the way a user starts it, for tests of its life from start to end.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

export interface Workspace {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): void;
  remove(): void;
}

/** A temporary folder. */
export function createWorkspace(): Workspace {
  const folder = mkdtempSync(join(tmpdir(), "glm-proxy-"));
  const path = (name: string) => join(folder, name);
  return {
    folder,
    path,
    write: (name, text) => writeFileSync(path(name), text, { mode: 0o600 }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Run {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The log's lines as objects. */
  readonly log: () => Record<string, unknown>[];
  readonly exit: Promise<number | string>;
}

/** Runs the command with nothing of this process's environment but PATH. */
export function run(
  args: readonly string[],
  workspace: Workspace,
  env: Record<string, string> = {},
  input?: string,
  file = main,
  uid?: number,
): Run {
  const child = spawn(process.execPath, [file, ...args], {
    cwd: workspace.folder,
    env: { PATH: process.env.PATH ?? "", HOME: workspace.folder, ...env },
    stdio: "pipe",
    ...(uid !== undefined && { uid, gid: uid }),
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  if (input !== undefined) child.stdin.write(input);
  child.stdin.end();
  const exit = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
  });
  const log = () =>
    stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { child, stdout: () => stdout, stderr: () => stderr, log, exit };
}

export interface Served extends Run {
  readonly url: string;
  readonly port: number;
  /** Ends it, if it has not ended, and returns its exit code. */
  stop(): Promise<number | string>;
}

/** Runs `serve` and waits until it is ready. `file`: the sources, or a bundle. */
export async function serve(
  args: readonly string[],
  workspace: Workspace,
  env: Record<string, string> = {},
  file = main,
): Promise<Served> {
  const started = run(["serve", "--port", "0", ...args], workspace, env, undefined, file);
  const findReady = () => started.log().find(({ msg }) => msg === "ready");
  try {
    await until("it is ready", () => findReady() !== undefined || started.child.exitCode !== null, 15_000);
  } catch (error) {
    started.child.kill("SIGKILL");
    throw error;
  }
  const ready = findReady();
  if (!ready) throw new Error(`it did not start: ${started.stderr()}${started.stdout()}`);
  const port = ready.port as number;
  return {
    ...started,
    url: `http://127.0.0.1:${port}`,
    port,
    stop() {
      started.child.kill("SIGTERM");
      return started.exit;
    },
  };
}

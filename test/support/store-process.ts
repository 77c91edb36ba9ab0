// A store in a process of its own, which can be killed in the middle of what it does.

import { type ChildProcess, spawn } from "node:child_process";

export interface Child {
  readonly child: ChildProcess;
  /** Lines that the script has printed with `console.log`. */
  readonly lines: readonly string[];
  /** Resolves when the script prints that line; rejects when it ends without. */
  said(line: string): Promise<void>;
  kill(): Promise<void>;
}

const modules = {
  openStore: new URL("../../src/store/open-store.ts", import.meta.url).href,
  migrations: new URL("../../src/store/migrations.ts", import.meta.url).href,
};

export interface ChildOptions {
  readonly uid?: number;
  /** What it is started through, as ["prlimit", "--fsize=1000000"]. */
  readonly through?: readonly string[];
}

/** Runs a module's text, in which `openStore`, `connectStore`, `migrate`, `migrations` and `file` are known. */
export function runWithStore(file: string, script: string, { uid, through = [] }: ChildOptions = {}): Child {
  const text = `
    import { connectStore, migrate, openStore } from ${JSON.stringify(modules.openStore)};
    import { migrations } from ${JSON.stringify(modules.migrations)};
    const file = ${JSON.stringify(file)};
    const target = { kind: "sqlite", file };
    setInterval(() => {}, 1_000);
    ${script}`;
  const [command = "", ...args] = [...through, process.execPath, "--input-type=module", "-e", text];
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const lines: string[] = [];
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    rest += chunk.toString();
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    child.emit("lines");
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    child,
    lines,
    said(line) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = () => {
        if (lines.includes(line)) resolve();
      };
      child.on("lines", look);
      ended.then(() => reject(new Error(`it ended without "${line}": ${lines.join(", ")}`)));
      look();
      return promise;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

// Where and with what the numbers were made: without it they mean nothing.

import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

export function describeMachine(): string {
  const [cpu] = cpus();
  const date = new Date().toISOString().slice(0, 10);
  return `glm-proxy ${readCommit()}, Node.js ${process.version}, ${cpus().length} × ${cpu?.model.trim() ?? "unknown CPU"}, ${date}`;
}

/** Short, with a plus when the tree differs from it. */
function readCommit(): string {
  const cwd = new URL(".", import.meta.url).pathname;
  const git = (...args: string[]) => execFileSync("git", args, { cwd, encoding: "utf8", stdio: "pipe" }).trim();
  try {
    const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
    return `${git("rev-parse", "--short", "HEAD")}${isChanged ? "+" : ""}`;
  } catch {
    return "without git";
  }
}

// The gateway and the simulated GLM as processes of their own, the way they are started by hand, for as long as a
// measurement takes. Ends what it started, and nothing else.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { PolicyLimits } from "./policy.ts";

export interface Deployment extends AsyncDisposable {
  readonly chatUrl: string;
  tokenOf(userId: string): string;
  report(): Promise<UpstreamTimes>;
}

/** On the simulator's own clock. */
export interface UpstreamTimes {
  /** When it judged that its limits were exceeded. */
  readonly violationTimes: readonly number[];
  /** Of its newest 10,000 calls. */
  readonly arrivalTimes: readonly number[];
}

const main = new URL("../../src/main.ts", import.meta.url).pathname;
const upstreamKey = "bench.simulated-secret";
const startMsMax = 15_000;
const endMsMax = 5_000;

/** The same rate in the gateway and in the simulator. */
export async function startDeployment(userIds: readonly string[], limits: PolicyLimits): Promise<Deployment> {
  const folder = mkdtempSync(join(tmpdir(), "glm-proxy-bench-"));
  const children: ChildProcess[] = [];
  async function stop(): Promise<void> {
    await Promise.all(children.map(end));
    rmSync(folder, { recursive: true, force: true });
  }
  try {
    const simulator = start(folder, [
      "simulate",
      "--port",
      "0",
      "--rate",
      `${limits.startsPerSecond}`,
      "--key",
      upstreamKey,
    ]);
    children.push(simulator);
    const baseUrl = await findInOutput(simulator, /(http:\S+)/);
    writeFileSync(join(folder, "config.toml"), toConfig(userIds, limits, baseUrl), { mode: 0o600 });
    const gateway = start(folder, ["serve", "--config", "config.toml"]);
    children.push(gateway);
    const origin = `http://127.0.0.1:${await findInOutput(gateway, /"port":(\d+).*"msg":"ready"/)}`;
    const tokens = new Map<string, string>();
    for (const userId of userIds) tokens.set(userId, await logIn(origin, userId));
    return {
      chatUrl: `${origin}/chat/completions`,
      tokenOf: (userId) => tokens.get(userId) ?? "",
      report: () => readReport(new URL("/__sim/report?arrivals=10000", baseUrl)),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function toConfig(userIds: readonly string[], limits: PolicyLimits, baseUrl: string): string {
  const users = userIds.map((userId) => `[[auth.users]]\nusername = "${userId}"\npassword = "${toPassword(userId)}"\n`);
  return `
[server]
host = "127.0.0.1"
port = 0
[auth]
jwt_secret = "only-for-this-benchmark-on-this-machine"
token_ttl_seconds = 3600
${users.join("")}
[glm]
api_key = "${upstreamKey}"
base_url = "${baseUrl}"
[rate_limit]
requests_per_second = ${limits.startsPerSecond}
queue_capacity = ${limits.queueCapacity}
queue_timeout_seconds = ${limits.queueTimeoutMs / 1_000}
[log]
level = "info"
`;
}

function toPassword(userId: string): string {
  return `password-of-${userId}`;
}

function start(folder: string, args: readonly string[]): ChildProcess {
  const env = { PATH: process.env.PATH ?? "", HOME: folder };
  return spawn(process.execPath, [main, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
}

/** The first group of the first line that matches. What comes later is read and thrown away, or the child would stall. */
function findInOutput(child: ChildProcess, pattern: RegExp): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error(`${child.spawnargs.join(" ")} did not get ready`)), startMsMax);
  child.once("exit", (code) => reject(new Error(`${child.spawnargs.join(" ")} ended with ${code}`)));
  if (child.stdout) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = pattern.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  }
  return promise.finally(() => clearTimeout(timer));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), endMsMax);
  await ended;
  clearTimeout(timer);
}

async function logIn(origin: string, username: string): Promise<string> {
  const response = await fetch(`${origin}/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username, password: toPassword(username) }),
  });
  const { token } = (await response.json()) as { token?: string };
  if (token === undefined) throw new Error(`${username} could not log in: ${response.status}`);
  return token;
}

async function readReport(url: URL): Promise<UpstreamTimes> {
  const report = (await (await fetch(url)).json()) as Record<"violations" | "arrivals", { at: number }[]>;
  return {
    violationTimes: report.violations.map(({ at }) => at),
    arrivalTimes: report.arrivals.map(({ at }) => at),
  };
}

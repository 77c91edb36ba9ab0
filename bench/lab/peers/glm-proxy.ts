// This gateway as people run it, with everything on: a login's token, the queue with limits that do not bind, the durable
// ledger, prices, a line of log for each call in a file, metrics.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { type Core, endChild, findFreePort, startChild } from "../children.ts";
import { awaitPort, type Peer, type RunningPeer, upstreamPath } from "./peer.ts";

const root = new URL("../../../", import.meta.url).pathname;
/** As releases and images have it; see tools/build.ts. */
const bundle = join(root, "dist/glm-proxy.js");
const sources = join(root, "src/main.ts");
const user = { username: "bench", password: "correct horse battery staple" };

export const glmProxy: Peer = {
  name: "glm-proxy",
  about: `glm-proxy ${readVersion()} on Node.js ${process.version}: login token, queue, durable SQLite ledger, prices, log, metrics`,
  start: (bench, name) => startGateway(bench, name),
};

export interface RunningGateway extends RunningPeer {
  readonly child: ReturnType<typeof startChild>;
}

export interface GatewayStart {
  /** What is run. Default: the bundle, which `buildBundle` has made. */
  readonly what?: "bundle" | "sources";
  /** Options for Node itself. */
  readonly node?: readonly string[];
  /** Whether something in it is going to be sent messages. */
  readonly hasChannel?: boolean;
  readonly core?: Core;
}

export async function startGateway(bench: Bench, name: string, how: GatewayStart = {}): Promise<RunningGateway> {
  const { what = "bundle", node = [], hasChannel = false, core = "peer" } = how;
  const folder = join(bench.folder, name);
  await mkdir(folder, { recursive: true });
  const port = await findFreePort();
  const config = join(folder, "config.toml");
  writeFileSync(config, writeConfig(bench.upstreamPort), { mode: 0o600 });
  const logFile = join(folder, "glm-proxy.log");
  const main = what === "bundle" ? bundle : sources;
  const args = [...node, main, "serve", "--config", config, "--port", String(port)];
  const startedAt = performance.now();
  const child = startChild(process.execPath, args, { core, cwd: folder, logFile, hasChannel });
  const readyMs = await awaitPort(child, port, startedAt, logFile);
  return {
    target: {
      port,
      path: "/chat/completions",
      headers: { authorization: `Bearer ${await logIn(port)}` },
    },
    readyMs,
    pid: child.pid ?? null,
    child,
    stop: () => endChild(child),
  };
}

export function buildBundle(): void {
  const { status, stderr } = spawnSync(process.execPath, ["tools/build.ts"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`the bundle can't be built: ${stderr}`);
}

async function logIn(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(user),
  });
  const { token } = (await response.json()) as { token?: string };
  if (token === undefined) throw new Error(`cannot log in: status ${response.status}`);
  return token;
}

function writeConfig(upstreamPort: number): string {
  return `[server]
host = "127.0.0.1"
shutdown_grace_seconds = 1
connections_per_address = 10000

[auth]
token_ttl_seconds = 86400
[[auth.users]]
username = "${user.username}"
password = "${user.password}"

[glm]
api_key = "lab0123456789abcdef.lab0123456789abcdef"
base_url = "http://127.0.0.1:${upstreamPort}${upstreamPath}"
timeout_seconds = 300

[rate_limit]
requests_per_second = 1000000
queue_capacity = 100000
queue_timeout_seconds = 60

[prices]
currency = "CNY"
[prices.models."glm-*"]
input = 2
output = 8
`;
}

function readVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

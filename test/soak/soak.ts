// Hours of mixed traffic on a gateway process of its own, and how its memory rises meanwhile:
//   npm run soak -- --minutes 120 --seed 1
// Prints the slope of the second half, of resident memory and of what is left on the heap after a collection. Exit code 1
// when one of them is above its bound.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createRandom } from "../../src/simulator/random.ts";
import { startSimulator } from "../../src/simulator/simulator.ts";
import { createWorkspace } from "../support/process.ts";
import { until } from "../support/until.ts";
import { findSlope, type Sample } from "./slope.ts";
import { startTraffic } from "./traffic.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "120" }, seed: { type: "string", default: "1" } },
});
const durationMs = Number(values.minutes) * 60_000;
/** Megabytes an hour. */
const bounds = { resident: 5, heap: 1 };
const residentEveryMs = 5_000;
const heapEveryMs = 30_000;
const upstreamKey = "simulated.0123456789abcdef";
const root = { username: "root", password: "an administrator's pass phrase" };

const workspace = createWorkspace();
const simulator = await startSimulator({ apiKeys: [upstreamKey], seed: Number(values.seed) });
workspace.write(
  "config.toml",
  `[server]\nhost = "127.0.0.1"\nport = 0\n[log]\nlevel = "warn"\n[auth]\ntoken_ttl_seconds = 60\n[[auth.users]]\nusername = "${root.username}"\npassword = "${root.password}"\nrole = "admin"\n[glm]\nbase_url = "${simulator.baseUrl}"\n[rate_limit]\nrequests_per_second = 50\nqueue_capacity = 50\n`,
);
const path = (file: string) => new URL(file, import.meta.url).pathname;
const gateway = spawn(
  process.execPath,
  [
    "--expose-gc",
    "--import",
    path("./heap-probe.ts"),
    path("../../src/main.ts"),
    "serve",
    "--config",
    workspace.path("config.toml"),
  ],
  {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: workspace.folder,
      XDG_DATA_HOME: workspace.path("data"),
      GLM_FLASH_API_KEY: upstreamKey,
      GLM_PROXY_LOG: "info",
    },
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  },
);
let port: number | undefined;
gateway.stdout?.setEncoding("utf8").on("data", (text: string) => {
  port ??= Number(/"port":(\d+).*"msg":"ready"/.exec(text)?.[1] ?? Number.NaN) || undefined;
});
await until("the gateway is ready", () => port !== undefined || gateway.exitCode !== null, 30_000);
if (port === undefined) throw new Error("the gateway did not start");
const { pid } = gateway;

const resident: Sample[] = [];
const heap: Sample[] = [];
const startedAt = performance.now();
const now = () => performance.now() - startedAt;

function readResident(): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
}

async function readHeap(): Promise<number> {
  gateway.send("collect");
  const [{ heapBytes }] = (await once(gateway, "message")) as [{ heapBytes: number }];
  return heapBytes / 1_048_576;
}

const traffic = startTraffic(`http://127.0.0.1:${port}`, root, createRandom(Number(values.seed)));
const residentTimer = setInterval(() => resident.push({ atMs: now(), megabytes: readResident() }), residentEveryMs);
const stopped = new Promise<void>((resolve) => {
  setTimeout(resolve, durationMs);
  process.once("SIGINT", resolve);
  gateway.once("exit", () => resolve());
});
let isOver = false;
void stopped.then(() => {
  isOver = true;
});
for (let next = heapEveryMs; !isOver && gateway.exitCode === null; next += heapEveryMs) {
  await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, Math.max(0, next - now())))]);
  if (gateway.exitCode !== null) break;
  heap.push({ atMs: now(), megabytes: await readHeap() });
  if (heap.length % 10 === 0) {
    console.log(
      `${(now() / 60_000).toFixed(0)} min: resident ${readResident().toFixed(0)} MB, heap ${heap.at(-1)?.megabytes.toFixed(1)} MB`,
    );
  }
}
clearInterval(residentTimer);
const hasDied = gateway.exitCode !== null;
await traffic.stop();
if (!hasDied) {
  gateway.kill("SIGTERM");
  await once(gateway, "exit");
}
await simulator.close();
workspace.remove();

const counts = Object.entries(traffic.counts)
  .sort()
  .map(([what, count]) => `${count} ${what}`);
console.log(`${(now() / 60_000).toFixed(1)} minutes, seed ${values.seed}: ${counts.join(", ")}`);
let isWithin = !hasDied;
for (const [name, samples, bound] of [
  ["resident", resident, bounds.resident],
  ["heap after a collection", heap, bounds.heap],
] as const) {
  const half = samples.filter(({ atMs }) => atMs >= now() / 2);
  if (half.length < 3) {
    console.log(`${name}: too short to say`);
    continue;
  }
  const { perHour, error } = findSlope(half);
  const [first, last] = [half[0]?.megabytes ?? 0, half.at(-1)?.megabytes ?? 0];
  console.log(
    `${name}: ${perHour.toFixed(1)} ± ${error.toFixed(1)} MB/h in the second half (${first.toFixed(1)} -> ${last.toFixed(1)} MB; bound ${bound} MB/h)`,
  );
  if (perHour > bound) isWithin = false;
}
process.exitCode = isWithin ? 0 : 1;

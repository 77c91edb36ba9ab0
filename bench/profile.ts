// npm run profile: where the gateway's time and memory go under one load. Writes gateway.cpuprofile and
// gateway.heapprofile, which the developer tools of Chrome open (Performance, Memory), and prints what is in them.
//
//   --load unary|large|prompt|burst|frames    default unary      --seconds N   of each profile, default 6
//   --out FOLDER                       default glm-proxy-profiles in the folder for temporary files

import { mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Bench, hear, openBench } from "./lab/bench.ts";
import { endAll } from "./lab/children.ts";
import { type RunningGateway, startGateway } from "./lab/peers/glm-proxy.ts";
import { burst, connections, framesPerSecond, large, longPrompt, small, toOpenStream } from "./lab/plan.ts";
import { readThreadMicros } from "./lab/proc.ts";
import { type Cost, type Summary, summarizeCpu, summarizeHeap } from "./lab/profile-table.ts";
import type { ProfileKind, ProfilerOrder } from "./lab/profiler.ts";
import { warmUp } from "./lab/round.ts";
import { describeMachine } from "./scheduling/machine.ts";

const loads = { unary: small, large, prompt: longPrompt, burst, frames: toOpenStream(framesPerSecond / 100) } as const;
const openStreams = 100;
const rowsMax = 25;
const warmSeconds = 12;

const { values } = parseArgs({
  options: {
    load: { type: "string", default: "unary" },
    seconds: { type: "string", default: "6" },
    out: { type: "string", default: join(tmpdir(), "glm-proxy-profiles") },
  },
});
const load = values.load as keyof typeof loads;
if (!(load in loads)) throw new Error(`no such load: ${load}; there are ${Object.keys(loads).join(", ")}`);
const seconds = Math.min(60, Math.max(1, Number(values.seconds) || 6));
const folder = resolve(values.out);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void endAll().finally(() => process.exit(130)));
}

console.log(`${describeMachine()}\nload: ${load}, ${seconds} s for each profile\n`);
mkdirSync(folder, { recursive: true });
const bench = await openBench();
try {
  const profiler = new URL("lab/profiler.ts", import.meta.url).href;
  // Not pinned: a profile counts what other threads take from the main one's core as the main one's own.
  const how = { what: "sources", node: ["--import", profiler], hasChannel: true, core: "any" } as const;
  const gateway = await startGateway(bench, "profiled", how);
  await warmUp(gateway, bench, warmSeconds);
  const unit = load === "unary" || load === "large" || load === "prompt" ? "call" : "frame";
  const threadsBefore = readThreadMicros(gateway.pid as number);
  const unprofiled = await putLoad(bench, gateway);
  printThreads(threadsBefore, readThreadMicros(gateway.pid as number), unprofiled, unit);
  for (const kind of ["cpu", "heap"] as const) {
    const file = join(folder, `gateway.${kind}profile`);
    const count = await record(kind, file, gateway, () => putLoad(bench, gateway));
    const text = readFileSync(file, "utf8");
    const summary = kind === "cpu" ? summarizeCpu(JSON.parse(text)) : summarizeHeap(JSON.parse(text));
    print(kind, summary, count, unit);
    console.log(`${file}\n`);
  }
} finally {
  await bench.close();
}

/** How many calls, or frames, there were. */
async function putLoad({ ask }: Bench, { target }: RunningGateway): Promise<number> {
  const wish = loads[load];
  if (load === "frames") {
    const before = await ask("openStreams", { target, wish, count: openStreams });
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    return (await ask("closeStreams", {})).frames - before.frames;
  }
  const { calls, frames } = await ask("saturate", { target, wish, connections, seconds });
  return load === "burst" ? frames : calls;
}

async function record(
  what: ProfileKind,
  file: string,
  { child }: RunningGateway,
  act: () => Promise<number>,
): Promise<number> {
  await order({ kind: "start", what });
  const count = await act();
  await order({ kind: "stop", what, file });
  return count;

  async function order(order: ProfilerOrder): Promise<void> {
    const reply = hear(child, "the gateway");
    child.send(order);
    const { problem } = (await reply) as { problem?: string };
    if (problem !== undefined) throw new Error(`the profile failed: ${problem}`);
  }
}

function printThreads(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  count: number,
  unit: string,
): void {
  console.log(`### CPU by thread, not profiled: µs a ${unit}\n\n| thread | µs |\n|---|---|`);
  for (const [name, micros] of after) {
    const perUnit = (micros - (before.get(name) ?? 0)) / count;
    if (perUnit >= 0.05) console.log(`| ${name} | ${perUnit.toFixed(1)} |`);
  }
  console.log("");
}

function print(kind: ProfileKind, { functions, causes, total }: Summary, count: number, unit: string): void {
  const measure = kind === "cpu" ? "µs" : "bytes";
  const title = kind === "cpu" ? "The main thread's time" : "What the main thread allocates";
  console.log(`### ${title}: ${(total / count).toFixed(kind === "cpu" ? 1 : 0)} ${measure} a ${unit}, profiled\n`);
  const head = (what: string) => `| ${what} | share | ${measure} a ${unit} |\n|---|---|---|`;
  const toRow = ({ name, share, amount }: Cost) =>
    `| ${name.replaceAll("|", "\\|")} | ${(share * 100).toFixed(1)}% | ${(amount / count).toFixed(1)} |`;
  console.log([head("function, by itself"), ...functions.slice(0, rowsMax).map(toRow)].join("\n"));
  console.log(`\n${[head("done for"), ...causes.slice(0, rowsMax).map(toRow)].join("\n")}\n`);
}

// Runs the tests whose files match the given patterns, on this very Node, with the report and the counts at the end.
// Temporary files are in memory where there is room: hundreds of databases that wait for a disk are no test of it.
//
// A process of its own for each file costs more than most files' tests, so that small ones share a few processes. Files
// with hooks at their top keep their own: there, such hooks would apply to every file. What judges times as an upstream
// or a client sees them has the machine to itself.

import { globSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec, type TestEvent } from "node:test/reporters";
import { pathToFileURL } from "node:url";
import summaryReporter from "../test/support/summary-reporter.ts";

if (hasRoom("/dev/shm", 2 * 1024 ** 3)) process.env.TMPDIR = "/dev/shm";
const files = process.argv
  .slice(2)
  .flatMap((pattern) => globSync(pattern))
  .sort();
const quiet =
  /^(?:test\/faults|test\/journeys\/(?:aborts|fairness|faults|http|load|operations|process|python|queue|seed|upstream)|src\/(?:simulator|upstream)\/)/;
const needsQuiet = (file: string) => quiet.test(file);
const others = files.filter((file) => !needsQuiet(file));
const canShare = (file: string) => file.startsWith("src/") && !hasTopLevelHook(file);
const bundles = mkdtempSync(join(tmpdir(), "test-bundles-"));
process.on("exit", () => rmSync(bundles, { recursive: true, force: true }));
const phases = [
  {
    files: [...others.filter((file) => !canShare(file)), ...bundle(others.filter(canShare))],
    concurrency: availableParallelism(),
  },
  { files: files.filter(needsQuiet), concurrency: 1 },
];

function hasTopLevelHook(file: string): boolean {
  return /^(?:before|after)(?:Each)?\(/m.test(readFileSync(file, "utf8"));
}

/** Writes files that import the given ones, dealt out in turn: twice as many as run at once. */
function bundle(shared: readonly string[]): string[] {
  const count = Math.min(shared.length, 2 * availableParallelism());
  return Array.from({ length: count }, (_, index) => {
    const imports = shared.filter((_, position) => position % count === index);
    const file = join(bundles, `shared-${index + 1}.test.ts`);
    writeFileSync(file, imports.map((name) => `import ${JSON.stringify(pathToFileURL(name).href)};\n`).join(""));
    return file;
  });
}

async function* runAll(): AsyncGenerator<TestEvent> {
  const report = new spec();
  report.pipe(process.stdout);
  for (const phase of phases) {
    if (phase.files.length === 0) continue;
    for await (const event of run(phase) as AsyncIterable<TestEvent>) {
      report.write(event);
      yield event;
    }
  }
  await new Promise<void>((resolve) => {
    report.once("end", resolve);
    report.end();
  });
}

let hasFailed = false;
async function* watch(): AsyncGenerator<TestEvent> {
  for await (const event of runAll()) {
    if (event.type === "test:fail") hasFailed = true;
    yield event;
  }
}
for await (const line of summaryReporter(watch())) process.stdout.write(line);
if (hasFailed || files.length === 0) process.exitCode = 1;

function hasRoom(folder: string, bytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= bytes;
  } catch {
    return false;
  }
}

// Runs the tests whose files match the given patterns, on this very Node, with the report and the counts at the end.
// Temporary files are in memory where there is room: hundreds of databases that wait for a disk are no test of it.
//
// Most files run several at once. What judges times as an upstream or a client sees them has the machine to itself.

import { globSync, statfsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { run } from "node:test";
import { spec, type TestEvent } from "node:test/reporters";
import summaryReporter from "../test/support/summary-reporter.ts";

if (hasRoom("/dev/shm", 2 * 1024 ** 3)) process.env.TMPDIR = "/dev/shm";
const files = process.argv
  .slice(2)
  .flatMap((pattern) => globSync(pattern))
  .sort();
const quiet =
  /^(?:test\/journeys\/(?:aborts|fairness|faults|http|load|operations|python|queue|seed|workers)|src\/(?:simulator|upstream)\/)/;
const needsQuiet = (file: string) => quiet.test(file);
const phases = [
  { files: files.filter((file) => !needsQuiet(file)), concurrency: availableParallelism() },
  { files: files.filter(needsQuiet), concurrency: 1 },
];

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

// Runs the tests whose files match the given patterns, on this very Node, with the report and the counts at the end.

import { spawnSync } from "node:child_process";

const reporters = [
  "--test-reporter=spec",
  "--test-reporter-destination=stdout",
  "--test-reporter=./test/support/summary-reporter.ts",
  "--test-reporter-destination=stdout",
];
const { status } = spawnSync(process.execPath, ["--test", ...reporters, ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;

// The closing lines of a test run: what was skipped, by name, how long it took, and one line of counts.
// The report itself is Node's own "spec" reporter, which runs beside this one.

import type { TestEvent } from "node:test/reporters";

export default async function* summaryReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const startedAt = performance.now();
  for await (const event of source) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { skip, name, details } = event.data;
    if (skip !== undefined && skip !== false) {
      counts.skipped++;
      yield `skipped: ${name}${typeof skip === "string" ? `: ${skip}` : ""}\n`;
    } else if (event.type === "test:fail") {
      // A suite that fails only because of a test in it was counted there already.
      const error = "error" in details ? (details.error as { failureType?: string }) : {};
      if (error.failureType !== "subtestsFailed") counts.failed++;
    } else if (details.type !== "suite") {
      counts.passed++;
    }
  }
  yield `${((performance.now() - startedAt) / 1_000).toFixed(1)} s on Node ${process.version}\n`;
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}

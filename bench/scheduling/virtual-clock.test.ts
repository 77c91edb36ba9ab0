import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock } from "./virtual-clock.ts";
import { withVirtualGlobals } from "./virtual-globals.ts";

describe("virtual clock", () => {
  it("runs events by time, then in the order of their making", async () => {
    const clock = createVirtualClock(1);
    const seen: string[] = [];
    clock.at(20, () => seen.push(`c${clock.now()}`));
    clock.at(10, () => seen.push(`a${clock.now()}`));
    clock.at(10, () => seen.push(`b${clock.now()}`));
    await clock.run(15);
    assert.deepEqual(seen, ["a10", "b10"]);
    assert.equal(clock.now(), 15);
    await clock.run(100);
    assert.deepEqual(seen, ["a10", "b10", "c20"]);
  });

  it("keeps its order over thousands of events", async () => {
    const clock = createVirtualClock(7);
    const times: number[] = [];
    for (let index = 0; index < 5_000; index++) clock.at(clock.random() * 1_000, () => times.push(clock.now()));
    await clock.run(1_000);
    assert.equal(times.length, 5_000);
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
  });

  it("forgets what was cancelled", async () => {
    const clock = createVirtualClock(1);
    const cancel = clock.after(5, () => assert.fail("cancelled"));
    cancel();
    await clock.run(10);
  });

  it("lends itself to code that uses the global timers, and gives them back", async () => {
    const clock = createVirtualClock(1);
    const { setTimeout: realSetTimeout } = globalThis;
    const seen: number[] = [];
    await withVirtualGlobals(clock, async (drain) => {
      const startedAt = Date.now();
      setTimeout(async () => {
        await Promise.resolve();
        seen.push(Date.now() - startedAt);
        setTimeout(() => seen.push(performance.now()), 500);
      }, 1_000);
      const interval = setInterval(() => clearInterval(interval), 100);
      await clock.run(10_000, drain);
    });
    assert.deepEqual(seen, [1_000, 1_500]);
    assert.equal(globalThis.setTimeout, realSetTimeout);
  });
});

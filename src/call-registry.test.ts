import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../test/support/manual-clock.ts";
import type { Refusal } from "./base/refusal.ts";
import { createCallRegistry } from "./call-registry.ts";

function createCall() {
  const aborts: string[] = [];
  return { aborts, abort: (refusal: Refusal) => void aborts.push(refusal.reason) };
}

describe("createCallRegistry()", () => {
  it("drains at once when no call lives", async () => {
    const registry = createCallRegistry(createManualClock());
    await registry.drain(30_000);
    assert.throws(() => registry.requireOpen(), { reason: "shutting_down" });
  });

  it("waits for the calls that live, and aborts none that ends within the grace period", async () => {
    const clock = createManualClock();
    const registry = createCallRegistry(clock);
    const call = createCall();
    const alive = registry.enter(call);
    let isDrained = false;
    const drained = registry.drain(30_000).then(() => {
      isDrained = true;
    });
    await clock.advance(29_999);
    assert.equal(isDrained, false);
    alive[Symbol.dispose]();
    await drained;
    assert.deepEqual(call.aborts, []);
    assert.equal(clock.armedCount, 0);
  });

  it("aborts what lives when the grace period is over, and ends when that has ended", async () => {
    const clock = createManualClock();
    const registry = createCallRegistry(clock);
    const call = createCall();
    const alive = registry.enter(call);
    const drained = registry.drain(1_000);
    await clock.advance(1_000);
    assert.deepEqual(call.aborts, ["shutting_down"]);
    alive[Symbol.dispose]();
    await drained;
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createDoor, insideMax, leaveMsMax } from "./door.ts";

describe("createDoor()", () => {
  it(`refuses the one after ${insideMax} inside, and lets it in when one has left`, () => {
    const door = createDoor(createManualClock());
    for (let count = 0; count < insideMax; count++) door.enter();
    assert.throws(() => door.enter(), { name: "StoreError", kind: "unavailable", message: /^10000 statements wait/ });
    door.leave();
    door.enter();
    assert.throws(() => door.enter(), { kind: "unavailable" });
  });

  it("is closed at once when nobody is inside, and leaves no timer behind", async () => {
    const clock = createManualClock();
    const door = createDoor(clock);
    assert.equal(await door.close(), true);
    assert.throws(() => door.enter(), { kind: "unavailable", message: "the database is closed" });
    assert.equal(clock.armedCount, 0);
  });

  it("is closed when the last one has left", async () => {
    const clock = createManualClock();
    const door = createDoor(clock);
    door.enter();
    door.enter();
    const closed = [door.close(), door.close()];
    door.leave();
    door.leave();
    assert.deepEqual(await Promise.all(closed), [true, true]);
    assert.equal(clock.armedCount, 0);
  });

  it(`waits for nobody longer than ${leaveMsMax} ms`, async () => {
    const clock = createManualClock();
    const door = createDoor(clock);
    door.enter();
    const closed = door.close();
    await clock.advance(leaveMsMax);
    assert.equal(await closed, false);
    door.leave();
  });
});

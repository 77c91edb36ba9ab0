import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock, settle } from "../test/support/manual-clock.ts";
import { checkQuotasHourly } from "./quota-check.ts";

const hourMs = 3_600_000;

describe("checkQuotasHourly()", () => {
  it("compares each hour, waits out a busy moment, and goes on after a failure", async () => {
    const clock = createManualClock();
    const answers: (number | null | Error)[] = [0, null, null, 7, new Error("away"), 0];
    const heard: unknown[] = [];
    const stop = checkQuotasHourly(
      {
        async findDrift() {
          const answer = answers.shift() as number | null | Error;
          if (answer instanceof Error) throw answer;
          return answer;
        },
        onChecked: (drift) => heard.push([clock.now(), drift]),
        onFailure: (error) => heard.push([clock.now(), (error as Error).message]),
      },
      clock,
    );
    for (let minute = 0; minute < 5 * 60; minute++) await clock.advance(60_000);
    assert.deepEqual(heard, [
      [hourMs, 0],
      [2 * hourMs + 120_000, 7],
      [3 * hourMs + 120_000, "away"],
      [4 * hourMs + 120_000, 0],
    ]);
    stop();
    assert.equal(clock.armedCount, 0);
  });

  it("is over when it is ended, also while the records are read", async () => {
    const clock = createManualClock();
    const reading = Promise.withResolvers<number>();
    const stop = checkQuotasHourly({ findDrift: () => reading.promise, onChecked() {}, onFailure() {} }, clock);
    await clock.advance(hourMs);
    stop();
    reading.resolve(0);
    await settle();
    assert.equal(clock.armedCount, 0);
  });
});

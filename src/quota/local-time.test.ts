import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createLocalTime } from "./local-time.ts";

describe("createLocalTime()", () => {
  it("writes a time as its zone does, with the offset of that moment", () => {
    const at = Date.parse("2026-11-23T16:00:00Z");
    const written = ["UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/St_Johns", "Europe/London"].map((timeZone) =>
      createLocalTime(timeZone)(at),
    );
    assert.deepEqual(written, [
      "2026-11-23T16:00:00Z",
      "2026-11-24T00:00:00+08:00",
      "2026-11-23T21:45:00+05:45",
      "2026-11-23T12:30:00-03:30",
      "2026-11-23T16:00:00Z",
    ]);
    assert.equal(createLocalTime("Europe/Berlin")(Date.parse("2026-07-01T00:00:00Z")), "2026-07-01T02:00:00+02:00");
  });

  it("is read as the same time again, to the second", () => {
    const zones = ["Asia/Shanghai", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Europe/Berlin"];
    const moments = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2040, 0) });
    fc.assert(
      fc.property(fc.constantFrom(...zones), moments, (timeZone, at) => {
        assert.equal(Date.parse(createLocalTime(timeZone)(at)), Math.floor(at / 1_000) * 1_000);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createCalendar } from "./calendar-day.ts";

const hourMs = 3_600_000;
const zones = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe"];

describe("createCalendar()", () => {
  it("knows the day at a place", () => {
    const at = Date.parse("2026-11-23T20:00:00Z");
    assert.equal(createCalendar("UTC").dayOf(at), "2026-11-23");
    assert.equal(createCalendar("Asia/Shanghai").dayOf(at), "2026-11-24");
    assert.equal(createCalendar("America/New_York").dayOf(at), "2026-11-23");
  });

  it("begins days where the place does", () => {
    assert.equal(createCalendar("Asia/Shanghai").startOf("2026-11-24"), Date.parse("2026-11-23T16:00:00Z"));
    assert.equal(createCalendar("Pacific/Kiritimati").startOf("2026-11-24"), Date.parse("2026-11-23T10:00:00Z"));
    assert.equal(createCalendar("Etc/GMT+12").startOf("2026-11-24"), Date.parse("2026-11-24T12:00:00Z"));
  });

  it("has days of 23 and 25 hours where clocks are changed", () => {
    const berlin = createCalendar("Europe/Berlin");
    const lengthOf = (day: string) => (berlin.startOf(berlin.next(day)) - berlin.startOf(day)) / hourMs;
    assert.deepEqual(["2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26"].map(lengthOf), [24, 23, 25, 24]);
  });

  it("begins a day at one o'clock where midnight is skipped", () => {
    // Chile's clocks go from 24:00 to 1:00.
    assert.equal(createCalendar("America/Santiago").startOf("2026-09-06"), Date.parse("2026-09-06T04:00:00Z"));
    const formatted = new Date(Date.parse("2026-09-06T04:00:00Z")).toLocaleTimeString("en-GB", {
      timeZone: "America/Santiago",
    });
    assert.equal(formatted, "01:00:00");
  });

  it("counts days over the ends of months and leap years", () => {
    const { next } = createCalendar("UTC");
    assert.deepEqual(["2027-12-31", "2028-02-28", "2028-02-29"].map(next), ["2028-01-01", "2028-02-29", "2028-03-01"]);
  });

  it("puts every moment into exactly one day, at any place", () => {
    const moments = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) });
    fc.assert(
      fc.property(moments, fc.constantFrom(...zones), (at, zone) => {
        const calendar = createCalendar(zone);
        const day = calendar.dayOf(at);
        assert.ok(calendar.startOf(day) <= at && at < calendar.startOf(calendar.next(day)));
        assert.equal(calendar.dayOf(calendar.startOf(day)), day);
        assert.ok(calendar.dayOf(calendar.startOf(day) - 1) < day);
      }),
    );
  });

  it("knows no place that is none", () => {
    assert.throws(() => createCalendar("Mars/Olympus"), RangeError);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatAge, formatMoment, formatSpan, isDay, parseMoment, parseSpan } from "./times.ts";

const now = Date.parse("2026-11-23T12:00:00Z");
const hour = 3_600_000;

describe("parseSpan()", () => {
  it("reads spans, also several units together", () => {
    assert.equal(parseSpan("90s"), 90_000);
    assert.equal(parseSpan("1h30m"), 1.5 * hour);
    assert.equal(parseSpan("0.5d"), 12 * hour);
    assert.equal(parseSpan("2w"), 14 * 24 * hour);
  });

  it("knows what is none", () => {
    for (const text of ["", "5", "h", "-1h", "1x", "1 h", "1e3s", "999999999999w"])
      assert.equal(parseSpan(text), null, text);
  });
});

describe("parseMoment()", () => {
  it("reads days as they begin here, times, and spans in either direction", () => {
    assert.equal(parseMoment("2027-01-01", now, 1), new Date(2027, 0, 1).getTime());
    assert.equal(parseMoment("2027-01-01T12:30", now, 1), new Date(2027, 0, 1, 12, 30).getTime());
    assert.equal(parseMoment("2027-01-01 12:30", now, 1), new Date(2027, 0, 1, 12, 30).getTime());
    assert.equal(parseMoment("2027-01-01T12:30:05+08:00", now, 1), Date.parse("2027-01-01T04:30:05Z"));
    assert.equal(parseMoment("30d", now, 1), now + 30 * 24 * hour);
    assert.equal(parseMoment("30d", now, -1), now - 30 * 24 * hour);
  });

  it("refuses days that no calendar has, and everything else", () => {
    for (const text of [
      "2027-02-29",
      "2027-13-01",
      "2027-1-1",
      "tomorrow",
      "1",
      "2027-02-30T12:00Z",
      "2027-01-01T25:00",
    ]) {
      assert.equal(parseMoment(text, now, 1), null, text);
    }
    assert.ok(isDay("2028-02-29") && !isDay("2027-02-29"));
  });
});

describe("what people read", () => {
  it("is a span in the unit that fits", () => {
    const spans: [number, string][] = [
      [0, "0 ms"],
      [249.6, "250 ms"],
      [999.6, "1.0 s"],
      [5_040, "5.0 s"],
      [99_960, "1 min 40 s"],
      [120_000, "2 min"],
      [3 * hour + 12 * 60_000, "3 h 12 min"],
      [52 * hour, "2 d 4 h"],
    ];
    for (const [ms, text] of spans) assert.equal(formatSpan(ms), text);
  });

  it("is how long ago, and beyond two days the day", () => {
    const ago = (ms: number) => formatAge(new Date(now - ms).toISOString(), now);
    assert.equal(ago(59_000), "now");
    assert.equal(ago(5 * 60_000), "5 min ago");
    assert.equal(ago(47 * hour), "47 h ago");
    assert.match(ago(49 * hour), /^2026-11-2\d$/);
  });

  it("is the machine's own time, and text that is none stays", () => {
    const iso = new Date(2026, 10, 23, 9, 5).toISOString();
    assert.equal(formatMoment(iso), "2026-11-23 09:05");
    assert.equal(formatMoment("never"), "never");
  });
});

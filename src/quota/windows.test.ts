import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCalendar } from "../ledger/calendar-day.ts";
import { createWindows } from "./windows.ts";

const iso = (ms: number) => new Date(ms).toISOString();
const windowsOf = (timeZone: string, at: string) => createWindows(createCalendar(timeZone))(Date.parse(at));

describe("createWindows()", () => {
  it("finds minute, hour, day and month around a time", () => {
    const { minute, hour, day, month, total } = windowsOf("UTC", "2026-12-31T23:59:59.999Z");
    assert.deepEqual(
      [minute, hour, day, month].map(({ startsAt, endsAt }) => [iso(startsAt), iso(endsAt)]),
      [
        ["2026-12-31T23:59:00.000Z", "2027-01-01T00:00:00.000Z"],
        ["2026-12-31T23:00:00.000Z", "2027-01-01T00:00:00.000Z"],
        ["2026-12-31T00:00:00.000Z", "2027-01-01T00:00:00.000Z"],
        ["2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"],
      ],
    );
    assert.deepEqual(total, { startsAt: Number.NEGATIVE_INFINITY, endsAt: Number.POSITIVE_INFINITY });
  });

  it("counts days and months where the users are", () => {
    const { day, month } = windowsOf("Asia/Shanghai", "2026-10-31T16:00:00Z");
    assert.equal(iso(day.startsAt), "2026-10-31T16:00:00.000Z");
    assert.equal(iso(month.startsAt), "2026-10-31T16:00:00.000Z");
    assert.equal(iso(month.endsAt), "2026-11-30T16:00:00.000Z");
  });

  it("knows hours that begin at half past, and days of 23 and 25 hours", () => {
    assert.equal(iso(windowsOf("Asia/Kathmandu", "2026-11-23T10:20:00Z").hour.startsAt), "2026-11-23T10:15:00.000Z");
    const spring = windowsOf("Europe/Berlin", "2026-03-29T12:00:00Z").day;
    const autumn = windowsOf("Europe/Berlin", "2026-10-25T12:00:00Z").day;
    assert.equal((spring.endsAt - spring.startsAt) / 3_600_000, 23);
    assert.equal((autumn.endsAt - autumn.startsAt) / 3_600_000, 25);
  });

  it("covers all of a year without a gap and without an overlap, in zones that change their clocks", () => {
    for (const zone of [
      "Europe/Berlin",
      "America/Sao_Paulo",
      "Australia/Lord_Howe",
      "Pacific/Apia",
      "America/Havana",
    ]) {
      const calendar = createCalendar(zone);
      for (const name of ["hour", "day", "month"] as const) {
        const end = Date.UTC(2027, 0, 5);
        for (let at = Date.UTC(2026, 0, 1); at < end; ) {
          const window = createWindows(calendar)(at)[name];
          assert.ok(window.startsAt <= at && at < window.endsAt, `${zone} ${name} ${iso(at)}`);
          const next = createWindows(calendar)(window.endsAt)[name];
          assert.equal(next.startsAt, window.endsAt, `${zone} ${name} after ${iso(window.endsAt)}`);
          at = name === "hour" ? window.endsAt + 13 * 86_400_000 : window.endsAt;
        }
      }
    }
  });

  it("begins no window a second time when the clock is put back a little, and follows one that is put back far", () => {
    const windows = createWindows(createCalendar("UTC"));
    const at = Date.UTC(2026, 10, 23, 12, 30);
    const first = windows(at);
    assert.equal(windows(at - 3_600_000), first);
    assert.equal(iso(windows(at - 3_600_001).hour.startsAt), "2026-11-23T11:00:00.000Z");
  });
});

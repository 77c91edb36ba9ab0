import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createCalendar } from "../ledger/calendar-day.ts";
import { createWindows, type Days, type Windows } from "./windows.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const zones = [
  "UTC",
  "Asia/Shanghai",
  "Europe/Berlin",
  "America/Sao_Paulo",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "America/Havana",
  "Pacific/Apia",
];

const iso = (ms: number) => new Date(ms).toISOString();

function windowsAt(days: Days, wallMs: number): Windows {
  return createWindows(days, { now: () => 0, wallNow: () => wallMs })();
}

function windowsOf(timeZone: string, at: string): Windows {
  return windowsAt(createCalendar(timeZone), Date.parse(at));
}

/** A clock that stands still, and can be set. */
function setUp(at: string) {
  const clock = createManualClock(0, Date.parse(at));
  let setByMs = 0;
  const windows = createWindows(createCalendar("UTC"), { now: clock.now, wallNow: () => clock.wallNow() + setByMs });
  const begins = (name: keyof Windows) => iso(windows()[name].startsAt).slice(11, 19);
  const set = (ms: number) => {
    setByMs += ms;
  };
  return { clock, windows, begins, set };
}

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
    assert.deepEqual([total.startsAt, total.endsAt], [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
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
    assert.equal((spring.endsAt - spring.startsAt) / hourMs, 23);
    assert.equal((autumn.endsAt - autumn.startsAt) / hourMs, 25);
  });

  it("counts an hour that the clocks repeat twice", () => {
    const [first, second] = ["00:30", "01:30"].map((time) => windowsOf("Europe/Berlin", `2026-10-25T${time}:00Z`).hour);
    assert.equal(first && iso(first.endsAt), "2026-10-25T01:00:00.000Z");
    assert.equal(second && iso(second.startsAt), "2026-10-25T01:00:00.000Z");
  });

  it("begins a day at one o'clock where midnight is skipped, and knows a place that skipped a day", () => {
    assert.equal(iso(windowsOf("America/Sao_Paulo", "2018-11-04T12:00:00Z").day.startsAt), "2018-11-04T03:00:00.000Z");
    const { day, month } = windowsOf("Pacific/Apia", "2011-12-30T09:00:00Z");
    assert.deepEqual([iso(day.startsAt), iso(day.endsAt)], ["2011-12-29T10:00:00.000Z", "2011-12-30T10:00:00.000Z"]);
    assert.equal(iso(month.endsAt), "2011-12-31T10:00:00.000Z");
  });

  it("covers all of a year without a gap and without an overlap, in zones that change their clocks", () => {
    for (const zone of zones) {
      const calendar = createCalendar(zone);
      for (const name of ["hour", "day", "month"] as const) {
        const end = Date.UTC(2027, 0, 5);
        for (let at = Date.UTC(2026, 0, 1); at < end; ) {
          const window = windowsAt(calendar, at)[name];
          assert.ok(window.startsAt <= at && at < window.endsAt, `${zone} ${name} ${iso(at)}`);
          const next = windowsAt(calendar, window.endsAt)[name];
          assert.equal(next.startsAt, window.endsAt, `${zone} ${name} after ${iso(window.endsAt)}`);
          at = name === "hour" ? window.endsAt + 13 * dayMs : window.endsAt;
        }
      }
    }
  });

  it("agrees with whoever walks back minute by minute and reads the clock on the wall", () => {
    const around = fc.oneof(
      fc.integer({ min: Date.UTC(2008, 0), max: Date.UTC(2035, 0) }),
      fc.constantFrom(...changes).chain((at) => fc.integer({ min: at - 26 * hourMs, max: at + 26 * hourMs })),
    );
    fc.assert(
      fc.property(fc.constantFrom(...zones), around, (zone, at) => {
        const { minute, hour, day, month } = windowsAt(createCalendar(zone), at);
        const wall = createWall(zone);
        assert.equal(iso(minute.startsAt), iso(Math.floor(at / minuteMs) * minuteMs));
        assert.equal(iso(day.startsAt), iso(walkBack(wall, at, ({ day }) => day)));
        assert.equal(iso(month.startsAt), iso(walkBack(wall, at, ({ month }) => month, 15)));
        assert.equal(iso(day.endsAt), iso(walkOn(wall, at, ({ day }) => day)));
        // Where clocks are moved by half an hour, the hours after it are counted from the day's start.
        if ((day.endsAt - day.startsAt) % hourMs !== 0) return;
        let oclock = minute.startsAt;
        while (wall(oclock).minute !== "00") oclock -= minuteMs;
        assert.equal(iso(hour.startsAt), iso(oclock));
      }),
      { numRuns: 150 },
    );
  });
});

describe("a clock that is put back", () => {
  it("by up to an hour begins no hour, day or month a second time", () => {
    const { clock, windows, begins, set } = setUp("2026-12-01T00:10:00Z");
    const { hour, day, month } = windows();
    set(-hourMs);
    for (let minute = 0; minute < 60; minute++, clock.stall(minuteMs)) {
      assert.deepEqual([windows().hour, windows().day, windows().month], [hour, day, month]);
    }
    assert.equal(begins("hour"), "00:00:00");
    clock.stall(50 * minuteMs);
    assert.equal(begins("hour"), "01:00:00");
  });

  it("makes no minute longer than a minute", () => {
    const { clock, begins, set } = setUp("2026-11-23T12:30:20Z");
    assert.equal(begins("minute"), "12:30:00");
    set(-hourMs);
    clock.stall(39_999);
    assert.equal(begins("minute"), "12:30:00");
    clock.stall(1);
    assert.equal(begins("minute"), "11:31:00");
  });

  it("by more, is followed", () => {
    const { begins, set } = setUp("2026-11-23T12:00:00Z");
    assert.equal(begins("hour"), "12:00:00");
    set(-hourMs);
    assert.equal(begins("hour"), "12:00:00");
    set(-1);
    assert.equal(begins("hour"), "10:00:00");
  });

  it("after it was put on by mistake lets nobody have a window twice", () => {
    const { clock, windows, begins, set } = setUp("2026-11-23T23:30:00Z");
    windows();
    set(hourMs);
    const { day } = windows();
    set(-hourMs);
    assert.equal(windows().day, day);
    clock.stall(30 * minuteMs);
    assert.equal(windows().day, day);
    clock.stall(24 * hourMs);
    assert.notEqual(windows().day, day);
    assert.equal(begins("day"), "00:00:00");
  });
});

/** When some of the zones changed their clocks, or their day. */
const changes = [
  "2026-03-29T01:00Z",
  "2026-10-25T01:00Z",
  "2018-11-04T03:00Z",
  "2018-02-18T02:00Z",
  "2026-10-03T15:30Z",
  "2026-04-04T15:00Z",
  "2026-03-08T05:00Z",
  "2026-11-01T05:00Z",
  "2011-12-30T10:00Z",
  "2020-09-26T14:00Z",
].map((at) => Date.parse(at));

interface Wall {
  readonly month: string;
  readonly day: string;
  readonly minute: string;
}

function createWall(timeZone: string): (at: number) => Wall {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" });
  return (at) => {
    const text = format.format(at);
    return { month: text.slice(0, 7), day: text.slice(0, 10), minute: text.slice(-2) };
  };
}

/** The first minute that reads as the one at `at` does. */
function walkBack(wall: (at: number) => Wall, at: number, read: (wall: Wall) => string, minutes = 1): number {
  const step = minutes * minuteMs;
  let start = Math.floor(at / step) * step;
  const label = read(wall(start));
  while (read(wall(start - step)) === label) start -= step;
  return start;
}

function walkOn(wall: (at: number) => Wall, at: number, read: (wall: Wall) => string): number {
  let end = Math.floor(at / minuteMs) * minuteMs;
  const label = read(wall(end));
  while (read(wall(end)) === label) end += minuteMs;
  return end;
}

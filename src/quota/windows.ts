// The calendar windows that quotas are counted in, now. Worked out once and kept until the next one begins.

import { type LimitWindow, limitWindows } from "../base/limits.ts";

/** Days of a time zone: what this needs of a calendar. */
export interface Days {
  /** 2026-11-23 */
  dayOf(wallMs: number): string;
  startOf(day: string): number;
  next(day: string): string;
}

/** From its start to before its end, in Unix milliseconds. `total` has neither. */
export interface Window {
  readonly startsAt: number;
  readonly endsAt: number;
}

export type Windows = Readonly<Record<LimitWindow, Window>>;

const minuteMs = 60_000;
const hourMs = 3_600_000;
/** A clock that is put back by less than this begins no window a second time. */
const setBackMsMax = hourMs;

export function createWindows(days: Days): (wallMs: number) => Windows {
  let current: Windows | null = null;
  return (wallMs) => {
    const isCurrent =
      current !== null && wallMs < current.minute.endsAt && wallMs >= current.minute.startsAt - setBackMsMax;
    if (!isCurrent) current = toWindows(days, wallMs);
    return current as Windows;
  };
}

function toWindows(days: Days, wallMs: number): Windows {
  const day = days.dayOf(wallMs);
  const dayStart = days.startOf(day);
  const dayEnd = days.startOf(days.next(day));
  const [year = 0, month = 0] = day.split("-").map(Number);
  const hourStart = dayStart + Math.floor((wallMs - dayStart) / hourMs) * hourMs;
  const minuteStart = Math.floor(wallMs / minuteMs) * minuteMs;
  return {
    minute: { startsAt: minuteStart, endsAt: minuteStart + minuteMs },
    // Hours are counted from the day's own start, so that a day of 23 or 25 hours has as many.
    hour: { startsAt: hourStart, endsAt: Math.min(hourStart + hourMs, dayEnd) },
    day: { startsAt: dayStart, endsAt: dayEnd },
    month: {
      startsAt: days.startOf(toFirst(year, month)),
      endsAt: days.startOf(month === 12 ? toFirst(year + 1, 1) : toFirst(year, month + 1)),
    },
    total: { startsAt: Number.NEGATIVE_INFINITY, endsAt: Number.POSITIVE_INFINITY },
  };
}

function toFirst(year: number, month: number): string {
  return `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-01`;
}

/** When everything began, by window: from where counters are rebuilt. Null for `total`. */
export function listStarts(windows: Windows): readonly (readonly [LimitWindow, number | null])[] {
  return limitWindows.map((name) => [name, name === "total" ? null : windows[name].startsAt] as const);
}

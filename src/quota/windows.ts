// The calendar windows that quotas are counted in, now. Worked out once and kept until the next minute begins.

import type { Clock } from "../base/clock.ts";
import { type LimitWindow, limitWindows } from "../base/limits.ts";

/** Days of a time zone: what this needs of a calendar. */
export interface Days {
  /** 2026-11-23 */
  dayOf(wallMs: number): string;
  startOf(day: string): number;
  next(day: string): string;
}

/** From its start to before its end. `total` has neither. */
export interface Window {
  /** Unix milliseconds. */
  readonly startsAt: number;
  readonly endsAt: number;
  /** Its start on the clock that is never put back: whoever came before belongs to the window before. */
  readonly begunAt: number;
}

export type Windows = Readonly<Record<LimitWindow, Window>>;

const minuteMs = 60_000;
const hourMs = 3_600_000;
const setBackMsMax = hourMs;

/**
 * A clock that is put back by an hour at most begins no window a second time: the window that has begun goes on until
 * the clock has caught up, or until as much time has really passed as it is long, so that a minute stays one.
 */
export function createWindows(days: Days, clock: Pick<Clock, "now" | "wallNow">): () => Windows {
  let current: Windows | null = null;

  function keep(fresh: Window, known: Window, wallMs: number): Window {
    if (fresh.startsAt === known.startsAt) return known;
    const isSetBack = wallMs < known.startsAt && wallMs >= known.startsAt - setBackMsMax;
    const isOver = clock.now() >= known.begunAt + (known.endsAt - known.startsAt);
    return isSetBack && !isOver ? known : fresh;
  }

  return () => {
    const wallMs = clock.wallNow();
    // Zones differ by whole minutes, so that no window begins within one.
    if (current && wallMs >= current.minute.startsAt && wallMs < current.minute.endsAt) return current;
    const known = current;
    const fresh = toWindows(days, wallMs, clock.now());
    current = known ? mapWindows((name) => keep(fresh[name], known[name], wallMs)) : fresh;
    return current;
  };
}

function toWindows(days: Days, wallMs: number, now: number): Windows {
  const day = days.dayOf(wallMs);
  const dayStart = days.startOf(day);
  const dayEnd = days.startOf(days.next(day));
  const [year = 0, month = 0] = day.split("-").map(Number);
  const hourStart = dayStart + Math.floor((wallMs - dayStart) / hourMs) * hourMs;
  const minuteStart = Math.floor(wallMs / minuteMs) * minuteMs;
  const toWindow = (startsAt: number, endsAt: number) => ({ startsAt, endsAt, begunAt: now - (wallMs - startsAt) });
  return {
    minute: toWindow(minuteStart, minuteStart + minuteMs),
    // Hours are counted from the day's own start, so that a day of 23 or 25 hours has as many, and one in which the
    // clock is moved by half an hour (Lord Howe) has none twice.
    hour: toWindow(hourStart, Math.min(hourStart + hourMs, dayEnd)),
    day: toWindow(dayStart, dayEnd),
    month: toWindow(
      days.startOf(toFirst(year, month)),
      days.startOf(month === 12 ? toFirst(year + 1, 1) : toFirst(year, month + 1)),
    ),
    total: { startsAt: Number.NEGATIVE_INFINITY, endsAt: Number.POSITIVE_INFINITY, begunAt: Number.NEGATIVE_INFINITY },
  };
}

function mapWindows(toWindow: (name: LimitWindow) => Window): Windows {
  return {
    minute: toWindow("minute"),
    hour: toWindow("hour"),
    day: toWindow("day"),
    month: toWindow("month"),
    total: toWindow("total"),
  };
}

function toFirst(year: number, month: number): string {
  return `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-01`;
}

/** When everything began, by window: from where counters are rebuilt. Null for `total`. */
export function listStarts(windows: Windows): readonly (readonly [LimitWindow, number | null])[] {
  return limitWindows.map((name) => [name, name === "total" ? null : windows[name].startsAt] as const);
}

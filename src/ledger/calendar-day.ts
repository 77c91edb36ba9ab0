// Calendar days of a time zone as ranges of time, exact where clocks are changed: a day may have 23 or 25 hours, and
// need not begin at midnight.

export interface Calendar {
  /** 2026-11-23 */
  dayOf(wallMs: number): string;
  /** The first millisecond of the day, or of the next one where the zone skipped it. */
  startOf(day: string): number;
  /** The day after. */
  next(day: string): string;
}

const hourMs = 3_600_000;
/** Zones are at most 14 hours ahead and 12 behind. */
const offsetHoursMax = 15;
const startsMax = 10_000;

/** `timeZone` is an IANA name; throws RangeError when there is none of it. */
export function createCalendar(timeZone: string): Calendar {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    numberingSystem: "latn",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  const starts = new Map<string, number>();

  function dayOf(wallMs: number): string {
    const parts: Record<string, string> = {};
    for (const { type, value } of format.formatToParts(wallMs)) parts[type] = value;
    return `${String(parts.year).padStart(4, "0")}-${parts.month}-${parts.day}`;
  }

  /** The date never goes back while time goes on, so that halving the time between finds its first change. */
  function findStart(day: string): number {
    const midnightUtc = Date.parse(`${day}T00:00:00Z`);
    let before = midnightUtc - offsetHoursMax * hourMs;
    let within = midnightUtc + offsetHoursMax * hourMs;
    while (within - before > 1) {
      const middle = Math.floor((before + within) / 2);
      if (dayOf(middle) >= day) within = middle;
      else before = middle;
    }
    return within;
  }

  return {
    dayOf,
    startOf(day) {
      const known = starts.get(day);
      if (known !== undefined) return known;
      const start = findStart(day);
      if (starts.size >= startsMax) starts.clear();
      starts.set(day, start);
      return start;
    },
    next: (day) => new Date(Date.parse(`${day}T00:00:00Z`) + 24 * hourMs).toISOString().slice(0, 10),
  };
}

// Times and spans as people type and read them. The API speaks ISO 8601 in UTC; people read the machine's own time zone.

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const spanMsMax = 100 * 365 * 86_400_000;

/** "90s", "30m", "12h", "7d", "2w", also together: "1h30m". Null: it is none. */
export function parseSpan(text: string): number | null {
  if (!/^(?:\d+(?:\.\d+)?[smhdw])+$/.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g))
    ms += Number(amount) * (unitMs[unit] ?? 0);
  return ms <= spanMsMax ? ms : null;
}

/**
 * A moment in Unix milliseconds: a date ("2027-01-01", where it begins here), a time ("2027-01-01T12:00", with or
 * without an offset), or a span from now into the future (`direction` 1) or the past (-1). Null: it is none.
 */
export function parseMoment(text: string, nowMs: number, direction: 1 | -1): number | null {
  const spanMs = parseSpan(text);
  if (spanMs !== null) return nowMs + direction * spanMs;
  if (isDay(text)) return Date.parse(`${text}T00:00:00`);
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?$/.test(text)) return null;
  const ms = isDay(text.slice(0, 10)) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

/** Whether it is a day of the calendar, as 2026-11-23. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

/** "2026-11-23 12:30", here. */
export function formatMoment(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : `${formatDay(date)} ${formatTime(date).slice(0, 5)}`;
}

/** "2026-11-23 12:30:05", here. */
export function formatSecond(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : `${formatDay(date)} ${formatTime(date)}`;
}

/** "12:30:05", here. */
export function formatTimeOfDay(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : formatTime(date);
}

export function formatDay(date: Date): string {
  return `${String(date.getFullYear()).padStart(4, "0")}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** "250 ms", "5.0 s", "2 min 5 s", "3 h 12 min", "2 d 4 h". */
export function formatSpan(ms: number): string {
  const seconds = ms / 1_000;
  if (Math.round(ms) < 1_000) return `${Math.round(ms)} ms`;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return join(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 48 * 60) return join(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return join(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** "now", "5 min ago", "3 h ago"; beyond two days the day itself. */
export function formatAge(iso: string, nowMs: number): string {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return iso;
  const seconds = (nowMs - at) / 1_000;
  if (seconds < 60) return "now";
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h ago`;
  return formatDay(new Date(at));
}

function join(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function formatTime(date: Date): string {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

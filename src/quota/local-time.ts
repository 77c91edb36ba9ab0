// A time as people in its zone write it, with the zone's offset (ISO 8601): 2026-11-24T00:00:00+08:00.

/** `timeZone` is an IANA name. */
export function createLocalTime(timeZone: string): (wallMs: number) => string {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return (wallMs) => {
    const parts: Record<string, string> = {};
    for (const { type, value } of format.formatToParts(wallMs)) parts[type] = value;
    const local = `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}`;
    const offsetMinutes = Math.round((Date.parse(`${local}Z`) - Math.floor(wallMs / 1_000) * 1_000) / 60_000);
    if (offsetMinutes === 0) return `${local}Z`;
    const [hours, minutes] = [Math.floor(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60];
    return `${local}${offsetMinutes < 0 ? "-" : "+"}${pad(hours)}:${pad(minutes)}`;
  };
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

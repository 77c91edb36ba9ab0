// Between values on the wire and inside: times, money, and what a change leaves out.

export function toTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

export function toTimeOrNull(wallMs: number | null): string | null {
  return wallMs === null ? null : toTime(wallMs);
}

export function fromTimeOrNull(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

/** Inside, money is in millionths. */
export function toMoney(micros: number): number {
  return micros / 1_000_000;
}

/** Without the fields that are undefined: what a change leaves out stays. */
export function omitUndefined<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

// Reads requests of clients: what has the wrong type is refused by the name of its place, what is not known is left out.

import { Refusal } from "../base/refusal.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function requireFields(value: unknown, param: string): Fields {
  if (!isFields(value)) throw wrong(param, "it must be an object");
  return value;
}

export function requireText(value: unknown, param: string): string {
  if (typeof value !== "string") throw wrong(param, "it must be text");
  return value;
}

export function requireList(value: unknown, param: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(param, "it must be a list");
  return value;
}

/** Undefined for what is not there, or null. */
export function optional<Value>(
  value: unknown,
  param: string,
  read: (value: unknown, param: string) => Value,
): Value | undefined {
  return value === undefined || value === null ? undefined : read(value, param);
}

export function requireNumber(value: unknown, param: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(param, "it must be a number");
  return value;
}

/** Placeholders for what a client sent are short, whatever it sent. */
export function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

export function wrong(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}

/** Without members that are undefined. */
export function compact(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

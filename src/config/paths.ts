// Places inside a configuration: ["auth", "users", 0, "weight"] and its spelling `auth.users[0].weight`.
// Also finds the rule and the value that stand at such a place.

import { configType } from "./schema.ts";
import type { Secrecy, ValueType } from "./value-types.ts";

export type Path = readonly (string | number)[];
export type Table = Record<string, unknown>;

export function formatPath(path: Path): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else text += `${text === "" ? "" : "."}${/^[\w-]+$/.test(segment) ? segment : JSON.stringify(segment)}`;
  }
  return text;
}

export function isTable(value: unknown): value is Table {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

export function readPath(root: unknown, path: Path): unknown {
  let value = root;
  for (const segment of path) {
    if (Array.isArray(value) && typeof segment === "number") value = value[segment];
    else if (isTable(value) && Object.hasOwn(value, segment)) value = value[segment];
    else return undefined;
  }
  return value;
}

/** Type and secrecy of the key at a place, or null when no key can stand there. */
export function findKey(path: Path): { type: ValueType; secrecy: Secrecy } | null {
  let type: ValueType = configType;
  let secrecy: Secrecy = "open";
  for (const segment of path) {
    if (type.rules) {
      const rule = Object.hasOwn(type.rules, segment) ? type.rules[segment] : undefined;
      if (!rule) return null;
      type = rule.type;
      secrecy = rule.secrecy;
    } else if (type.item) type = type.item;
    else return null;
  }
  return { type, secrecy };
}

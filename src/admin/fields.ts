// Fields that came in, checked against their schema: the first thing that is wrong becomes a refusal that names the field
// and says what it must be. Unknown fields are refused: whoever mistypes one should hear of it.

import type { z } from "@hono/zod-openapi";
import { limitNames } from "../base/limits.ts";
import { Refusal } from "../base/refusal.ts";
import { findNearest } from "../config/nearest-name.ts";

/** Throws `invalid_field`. `place` stands for the whole where no single field is at fault. */
export function parseFields<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: "path" | "query" | "body",
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (!issue) throw new Refusal("invalid_field", { param: place });
  throw toRefusal(schema, value, issue, place);
}

type Issue = z.core.$ZodIssue;

const partsShown = 4;
const partCharactersMax = 64;

function toRefusal(schema: z.ZodType, value: unknown, issue: Issue, place: string): Refusal {
  if (issue.code === "unrecognized_keys" || issue.code === "invalid_key") {
    const name = issue.code === "unrecognized_keys" ? (issue.keys[0] ?? "") : String(issue.path.at(-1) ?? "");
    const path = issue.code === "unrecognized_keys" ? [...issue.path, name] : issue.path;
    const known = path.length > 1 ? limitNames : namesOf(schema);
    return new Refusal("invalid_field", { param: toParam(path, place), detail: describeUnknown(name, known) });
  }
  return new Refusal("invalid_field", { param: toParam(issue.path, place), detail: describe(issue, value) });
}

function describeUnknown(name: string, known: readonly string[]): string {
  const nearest = findNearest(name, known);
  if (nearest !== null) return `it is not known: did you mean "${nearest}"`;
  return known.length === 0 ? "nothing is expected here" : `it is not known; known are ${known.join(", ")}`;
}

function namesOf(schema: z.ZodType): string[] {
  return "shape" in schema && typeof schema.shape === "object" ? Object.keys(schema.shape ?? {}) : [];
}

function toParam(path: readonly PropertyKey[], place: string): string {
  if (path.length === 0) return place;
  return path
    .slice(0, partsShown)
    .map((part) => String(part).slice(0, partCharactersMax))
    .join(".");
}

function describe(issue: Issue, value: unknown): string {
  const isMissing = read(value, issue.path) === undefined;
  switch (issue.code) {
    case "invalid_type":
      return isMissing ? "it is missing" : `it must be ${withArticle(issue.expected)}`;
    case "invalid_value":
      return `${isMissing ? "it is missing: " : ""}it must be ${issue.values.map(String).join(" or ")}`;
    case "too_small":
      return `it must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case "too_big":
      return `it must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case "invalid_format":
      return issue.format === "datetime"
        ? "it must be a time such as 2026-11-23T08:00:00Z"
        : `it must be ${issue.message}`;
    case "invalid_union":
      return isMissing
        ? "it is missing"
        : "it must be a day such as 2026-11-23, or a time such as 2026-11-23T08:00:00Z";
    default:
      return issue.message;
  }
}

function withArticle(type: string): string {
  if (type === "int") return "a whole number";
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function unitOf(origin: string): string {
  return origin === "string" ? " characters long" : origin === "array" ? " items long" : "";
}

function read(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[part];
  }
  return found;
}

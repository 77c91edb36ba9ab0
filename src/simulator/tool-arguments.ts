// Arguments for a tool call that fit the tool's JSON Schema roughly: a value of the right type for each property. Not a
// schema validator: what it doesn't know becomes a text.

import type { Random } from "./random.ts";

type Schema = Readonly<Record<string, unknown>>;

const texts = ["北京", "上海", "Lisbon", "gateway"];
const depthMax = 4;

/** A JSON object as text. */
export function composeArguments(parameters: unknown, random: Random): string {
  return JSON.stringify(composeObject((parameters ?? {}) as Schema, random, 0));
}

function composeObject({ properties }: Schema, random: Random, depth: number): object {
  if (typeof properties !== "object" || properties === null || depth >= depthMax) return {};
  const entries = Object.entries(properties).map(([name, schema]) => [name, composeValue(schema, random, depth + 1)]);
  return Object.fromEntries(entries) as object;
}

function composeValue(value: unknown, random: Random, depth: number): unknown {
  const schema = (typeof value === "object" && value !== null ? value : {}) as Schema;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return random.pick(schema.enum as unknown[]);
  switch (schema.type) {
    case "number":
    case "integer":
      return random.below(10);
    case "boolean":
      return random.below(2) === 1;
    case "array":
      return depth >= depthMax ? [] : [composeValue(schema.items, random, depth + 1)];
    case "object":
      return composeObject(schema, random, depth);
    default:
      return random.pick(texts);
  }
}

// The two ways of an answer: a table or a few lines for a person at a terminal, JSON for whatever reads a pipe.

import { toHarmlessJson } from "../../base/clean-text.ts";
import type { Input, OptionSpec } from "../command.ts";
import type { World } from "../world.ts";
import { createStyle, type Style } from "./style.ts";
import { type Column, layoutTable } from "./table.ts";

export type Format = "table" | "json" | "csv";

export const formatOptions: readonly OptionSpec[] = [
  {
    flags: "--format <format>",
    description: "default: table on a terminal, else json",
    choices: ["table", "json"],
  },
  { flags: "--json", description: "the same as --format json" },
];

export function formatOf(input: Input, world: World): Format {
  const named = input.text("format") as Format | undefined;
  return named ?? (input.isSet("json") || !world.isTerminal ? "json" : "table");
}

/** Where the text for people goes to. */
export interface Page {
  /** Columns; no end of them in a pipe. */
  readonly width: number;
  readonly style: Style;
}

export function createPage(world: World): Page {
  return {
    width: world.isTerminal ? world.screenSize().columns : Number.POSITIVE_INFINITY,
    style: createStyle(world.isTerminal, world.env),
  };
}

/** `whenEmpty`: what a person reads instead of a table without rows. */
export function printRows<Row>(
  input: Input,
  world: World,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  whenEmpty: string,
): void {
  if (formatOf(input, world) === "json") printJson(world, rows);
  else if (rows.length === 0) world.print(whenEmpty);
  else printTable(world, rows, columns);
}

export function printTable<Row>(world: World, rows: readonly Row[], columns: readonly Column<Row>[]): void {
  const { width, style } = createPage(world);
  for (const line of layoutTable(columns, rows, width, style)) world.print(line);
}

export function printJson(world: World, value: unknown): void {
  world.print(toHarmlessJson(JSON.stringify(value, null, 2)));
}

// Tables for people: columns as wide as their content on the screen, cut to the terminal's width.

import { toOneLine } from "../../base/clean-text.ts";
import { cutToWidth, measureWidth, padToWidth } from "./display-width.ts";
import type { Style, StyleName } from "./style.ts";

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May hold anything: it is made one harmless line. Null: nothing to say. */
  text(row: Row): string | null;
  style?(row: Row): StyleName | null;
  /** Whether it gives way when the terminal is too narrow. The widest goes first. */
  readonly canShrink?: boolean;
}

const gap = 2;
const shrunkWidthMin = 8;
const nothing = "-";

/** Lines without their ends. Columns in which no row says anything are left out. */
export function layoutTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  widthMax: number,
  style: Style,
): string[] {
  const told = columns
    .map((column) => ({ ...column, cells: rows.map((row) => toCell(column.text(row))) }))
    .filter(({ cells }, index) => index === 0 || cells.some((cell) => cell !== nothing));
  const widths = fitWidths(
    told.map(({ title, cells, canShrink = false }) => ({
      width: Math.max(measureWidth(title), ...cells.map(measureWidth)),
      canShrink,
    })),
    widthMax,
  );
  const line = (texts: readonly { text: string; align?: "left" | "right" | undefined; name: StyleName | null }[]) => {
    let left = widthMax;
    const parts: string[] = [];
    for (const [index, { text, align, name }] of texts.entries()) {
      if (left <= 0) break;
      const width = Math.min(widths[index] ?? 0, left);
      const isLast = index === texts.length - 1 && align !== "right";
      const cut = cutToWidth(text, width);
      const filled = isLast ? cut : padToWidth(cut, width, align);
      parts.push(name === null ? filled : style.apply(name, filled));
      left -= width + gap;
    }
    return parts.join(" ".repeat(gap)).trimEnd();
  };
  return [
    line(told.map(({ title, align }) => ({ text: title.toUpperCase(), align, name: "dim" }))),
    ...rows.map((row, index) =>
      line(
        told.map((column) => ({
          text: column.cells[index] ?? nothing,
          align: column.align,
          name: column.style?.(row) ?? null,
        })),
      ),
    ),
  ];
}

function toCell(text: string | null): string {
  return text === null || text === "" ? nothing : toOneLine(text);
}

function fitWidths(columns: readonly { width: number; canShrink: boolean }[], widthMax: number): number[] {
  const widths = columns.map(({ width }) => width);
  let excess = widths.reduce((total, width) => total + width, 0) + gap * (widths.length - 1) - widthMax;
  while (excess > 0) {
    let widest = -1;
    for (const [index, { canShrink }] of columns.entries()) {
      const width = widths[index] ?? 0;
      if (canShrink && width > shrunkWidthMin && width > (widths[widest] ?? 0)) widest = index;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

/** Names and values of one thing, the names in a column. */
export function layoutFacts(facts: readonly (readonly [name: string, value: string | null])[], style: Style): string[] {
  const told = facts.filter((fact): fact is [string, string] => fact[1] !== null);
  const width = Math.max(0, ...told.map(([name]) => measureWidth(name)));
  return told.map(([name, value]) => `${style.apply("dim", padToWidth(name, width))}  ${toOneLine(value)}`);
}

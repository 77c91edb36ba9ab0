// Results as tables: each cell is the median over the seeds with its range, or a word.

export interface Section {
  readonly id: string;
  readonly title: string;
  /** How to read it: what is fixed, what is measured, what is left out. */
  readonly note: string;
  /** The first one names the rows. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

export interface Row {
  readonly name: string;
  readonly cells: readonly Cell[];
}

/** A word, or a value for each seed. */
export type Cell = string | { readonly values: readonly number[]; readonly format: Format };

export interface Format {
  readonly digits: number;
  readonly factor?: number;
  readonly unit?: string;
}

export const percent: Format = { digits: 1, factor: 100, unit: "%" };
export const seconds: Format = { digits: 2, factor: 1 / 1_000 };
export const count: Format = { digits: 0 };
export const ratio: Format = { digits: 3 };

/** Half of the values are at most this; NaN when none is a number. */
export function findMedian(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

export function formatCell(cell: Cell): string {
  if (typeof cell === "string") return cell;
  const { values, format } = cell;
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return "–";
  const show = (value: number) => (value * (format.factor ?? 1)).toFixed(format.digits);
  const [least, most] = [show(Math.min(...known)), show(Math.max(...known))];
  const median = `${show(findMedian(known))}${format.unit ?? ""}`;
  return least === most ? median : `${median} (${least}–${most})`;
}

/** Reads as Markdown and as plain text. */
export function formatSection({ id, title, note, columns, rows }: Section): string {
  const grid = [columns, ...rows.map(({ name, cells }) => [name, ...cells.map(formatCell)])];
  const widths = columns.map((_, column) => Math.max(...grid.map((line) => (line[column] ?? "").length)));
  const toLine = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head = [], ...body] = grid;
  return [`### ${id} ${title}`, "", note, "", toLine(head), rule, ...body.map(toLine), ""].join("\n");
}

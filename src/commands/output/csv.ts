// Comma-separated values after RFC 4180, safe to open in a spreadsheet and to read in a terminal.

import { toOneLine } from "../../base/clean-text.ts";

export type CsvCell = string | number | boolean | null;

export function formatCsv(titles: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [titles, ...rows].map((cells) => `${cells.map(formatCell).join(",")}\r\n`).join("");
}

function formatCell(cell: CsvCell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const safe = toOneLine(neutraliseFormula(cell));
  return /[",]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A spreadsheet runs what begins like a formula; an apostrophe before it makes it a text (OWASP, "CSV Injection"). */
function neutraliseFormula(text: string): string {
  return /^[\s\p{C}]*[=+\-@＝＋－＠]|^[\t\r\n]/u.test(text) ? `'${text}` : text;
}

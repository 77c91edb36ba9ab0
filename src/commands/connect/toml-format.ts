// Changes settings in a TOML text: values are replaced where they stand, new pairs come last in their table, and a new
// table last in the file. Values are texts.

import { readPath } from "../../config/paths.ts";
import { parseConfigFile } from "../../config/toml-file.ts";
import { type FileFormat, FormatProblem, isUnder, lineEndOf, type Setting } from "./file-format.ts";
import { listStatements, type TomlStatement } from "./toml-text.ts";

export const tomlFormat: FileFormat = {
  emptyText: "",
  parse(text) {
    const parsed = parseConfigFile(text, "line");
    if ("problem" in parsed)
      throw new FormatProblem(parsed.problem.replace(/^line:([\d:]+): (.*)$/s, "it is $2 at $1"));
    return {
      get: (path) => readPath(parsed.tree, path),
      without: (paths) => {
        const others = listStatements(text)
          .filter(({ path }) => path !== null && isUnder(path, paths))
          .reduceRight((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), text);
        return others
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== "" && !isEmptiedHeader(line, paths));
      },
    };
  },
  set: (text, settings) => settings.reduce(setOne, text),
};

/** A table may have been made for nothing but the settings in it. */
function isEmptiedHeader(line: string, paths: readonly (readonly string[])[]): boolean {
  const [statement] = line.startsWith("[") ? listStatements(line) : [];
  const table = statement?.kind === "header" ? statement.path : null;
  return table !== null && paths.some((path) => path.length > 1 && table?.join("\n") === path.slice(0, -1).join("\n"));
}

function setOne(text: string, { path, value }: Setting): string {
  const statements = listStatements(text);
  const rendered = JSON.stringify(value);
  const pair = statements.find((one) => one.kind === "pair" && isSame(one.path, path));
  if (pair) {
    // Another way of quoting says the same.
    if (text.slice(pair.valueStart, pair.valueEnd) === `'${String(value)}'`) return text;
    return text.slice(0, pair.valueStart) + rendered + text.slice(pair.valueEnd);
  }
  const end = lineEndOf(text);
  const line = `${path.at(-1)} = ${rendered}${end}`;
  const table = path.slice(0, -1);
  const last = findLastOf(statements, table);
  if (last) return insert(text, last.end, line, end);
  if (table.length > 0) {
    const gap = text.trim() === "" ? "" : end;
    return insert(text, text.length, `${gap}[${table.join(".")}]${end}${line}`, end);
  }
  const header = statements[0];
  return header
    ? insert(text, startWithComments(text, header.start), `${line}${end}`, end)
    : insert(text, text.length, line, end);
}

/** The table's header or the last pair after it; of the root, its last pair. */
function findLastOf(statements: readonly TomlStatement[], table: readonly string[]): TomlStatement | undefined {
  const begin =
    table.length === 0 ? 0 : statements.findIndex((one) => one.kind === "header" && isSame(one.path, table));
  if (begin === -1) return undefined;
  const next = statements.findIndex((one, index) => one.kind === "header" && (table.length === 0 || index > begin));
  return statements[(next === -1 ? statements.length : next) - 1];
}

/** Comments right above a header are about it. */
function startWithComments(text: string, start: number): number {
  let top = start;
  while (top > 0) {
    const above = text.lastIndexOf("\n", top - 2) + 1;
    if (!/^[ \t]*#/.test(text.slice(above, top))) break;
    top = above;
  }
  return top;
}

function insert(text: string, at: number, lines: string, end: string): string {
  const before = text.slice(0, at);
  return `${before}${before === "" || before.endsWith("\n") ? "" : end}${lines}${text.slice(at)}`;
}

function isSame(a: readonly string[] | null, b: readonly string[]): boolean {
  return a !== null && a.length === b.length && a.every((name, index) => name === b[index]);
}

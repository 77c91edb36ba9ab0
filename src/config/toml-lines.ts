// Where each key of a TOML text stands. The parser tells values but no positions; this walks over the same text and
// tells positions but no values. It expects text that the parser accepted and judges nothing.

import { formatPath, type Path } from "./paths.ts";

/** Line (from 1) by the spelling of `formatPath`, for keys, tables and elements of arrays. */
export type LineMap = ReadonlyMap<string, number>;

export function locateKeys(toml: string): LineMap {
  const lines = new Map<string, number>();
  /** Index of the latest `[[table]]`, by the path of its array. */
  const latestIndex = new Map<string, number>();
  let position = 0;
  let line = 1;
  let table: Path = [];

  skipBlank();
  while (position < toml.length) {
    if (toml[position] === "[") readHeader();
    else readPair(table, "");
    skipBlank();
  }
  return lines;

  function readHeader(): void {
    const isArray = toml.startsWith("[[", position);
    const headerLine = line;
    position += isArray ? 2 : 1;
    const names = readKey("]");
    position += isArray ? 2 : 1;
    table = enterTable(names, isArray);
    mark(table, headerLine);
  }

  /** The header's path with the index of the latest element after each array of tables that it passes. */
  function enterTable(names: readonly string[], isArray: boolean): Path {
    let path: Path = [];
    for (const [depth, name] of names.entries()) {
      path = [...path, name];
      const id = formatPath(path);
      const isLast = depth === names.length - 1;
      const latest = latestIndex.get(id);
      const index = isArray && isLast ? (latest ?? -1) + 1 : latest;
      if (index === undefined) continue;
      mark(path, line);
      latestIndex.set(id, index);
      path = [...path, index];
    }
    return path;
  }

  /** `key = value`, up to a line's end or one of `terminators`. */
  function readPair(parent: Path, terminators: string): void {
    const pairLine = line;
    const path = [...parent, ...readKey("=")];
    position++;
    mark(path, pairLine);
    skipBlank();
    readValue(path, terminators);
  }

  function readValue(path: Path, terminators: string): void {
    const start = toml[position];
    if (start === '"' || start === "'") readString();
    else if (start === "[") readArray(path);
    else if (start === "{") readInlineTable(path);
    else while (position < toml.length && !`\n#${terminators}`.includes(toml.charAt(position))) position++;
  }

  function readArray(path: Path): void {
    position++;
    for (let index = 0; moreUntil("]"); index++) {
      mark([...path, index], line);
      readValue([...path, index], ",]");
    }
  }

  function readInlineTable(path: Path): void {
    position++;
    while (moreUntil("}")) readPair(path, ",}");
  }

  /** Steps over blanks and commas; false, and past the closing character, when nothing more comes. */
  function moreUntil(close: string): boolean {
    skipBlank();
    while (toml[position] === ",") {
      position++;
      skipBlank();
    }
    if (position < toml.length && toml[position] !== close) return true;
    position++;
    return false;
  }

  /** Names of a dotted key. Stops at `end`. */
  function readKey(end: string): string[] {
    const names: string[] = [];
    while (position < toml.length && toml[position] !== end) {
      const start = toml.charAt(position);
      if (start === '"' || start === "'") names.push(unquote(readString()));
      else if (/[\s.]/.test(start)) position++;
      else names.push(readBareName());
    }
    return names;
  }

  function readBareName(): string {
    const start = position;
    position++;
    while (position < toml.length && !/[\s.=\]]/.test(toml.charAt(position))) position++;
    return toml.slice(start, position);
  }

  function readString(): string {
    const start = position;
    const quote = toml.charAt(position);
    const fence = toml.startsWith(quote.repeat(3), position) ? quote.repeat(3) : quote;
    position += fence.length;
    while (position < toml.length && !toml.startsWith(fence, position)) {
      if (toml[position] === "\\" && quote === '"') position++;
      if (toml[position] === "\n") line++;
      position++;
    }
    position += fence.length;
    // Up to two quotes may stand right before the closing three.
    while (fence.length === 3 && toml[position] === quote) position++;
    return toml.slice(start, position);
  }

  function skipBlank(): void {
    for (; position < toml.length; position++) {
      const character = toml.charAt(position);
      if (character === "\n") line++;
      else if (character === "#") position = endOfLine(toml, position) - 1;
      else if (!/\s/.test(character)) return;
    }
  }

  /** The first line at which a place is named, and so for every table around it. */
  function mark(path: Path, at: number): void {
    for (let length = path.length; length > 0; length--) {
      const id = formatPath(path.slice(0, length));
      if (lines.has(id)) return;
      lines.set(id, at);
    }
  }
}

function endOfLine(toml: string, position: number): number {
  const end = toml.indexOf("\n", position);
  return end === -1 ? toml.length : end;
}

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  if (quoted.startsWith("'") || !inner.includes("\\")) return inner;
  try {
    // Escaped characters are taken pairwise, or the second half of an escaped backslash would begin another escape.
    const json = quoted.replace(/\\(?:U([0-9a-fA-F]{8})|[\s\S])/g, (written: string, hex?: string) =>
      hex === undefined ? written : toJsonEscape(hex),
    );
    return JSON.parse(json) as string;
  } catch {
    return inner;
  }
}

function toJsonEscape(hex: string): string {
  return JSON.stringify(String.fromCodePoint(Number.parseInt(hex, 16))).slice(1, -1);
}

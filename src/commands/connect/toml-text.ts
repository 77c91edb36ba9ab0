// Where the statements of a TOML text stand: headers and pairs with their whole names, so that one can be changed and the
// rest stay as it is. Expects text that the parser accepted and judges nothing.

export interface TomlStatement {
  readonly kind: "pair" | "header";
  /** With the names of the table that it is in. Null: in an array of tables, where a name alone says too little. */
  readonly path: readonly string[] | null;
  readonly start: number;
  /** Of a pair. */
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Past its line's end. */
  readonly end: number;
}

const string = /"""[\s\S]*?(?<!\\)(?:\\\\)*"""+|'''[\s\S]*?'''+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/y;
const name = /"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+/g;

export function listStatements(text: string): TomlStatement[] {
  const statements: TomlStatement[] = [];
  const arrays: (readonly string[])[] = [];
  let table: readonly string[] | null = [];
  let position = 0;
  while (skipBlank()) {
    const start = position;
    if (text[position] === "[") {
      const isArray = text.startsWith("[[", position);
      const path = readNames("]");
      if (isArray) arrays.push(path);
      table = arrays.some((array) => array.every((part, index) => part === path[index])) ? null : path;
      position = endOfLine(position);
      statements.push({ kind: "header", path: table, start, valueStart: start, valueEnd: start, end: position });
    } else {
      const names = readNames("=");
      position++;
      while (/[ \t]/.test(text.charAt(position))) position++;
      const valueStart = position;
      skipValue();
      const valueEnd = valueStart + text.slice(valueStart, position).trimEnd().length;
      position = endOfLine(position);
      statements.push({
        kind: "pair",
        path: table && [...table, ...names],
        start,
        valueStart,
        valueEnd,
        end: position,
      });
    }
  }
  return statements;

  /** False at the end. */
  function skipBlank(): boolean {
    for (; position < text.length; position++) {
      if (text[position] === "#") position = endOfLine(position) - 1;
      else if (!/\s/.test(text.charAt(position))) return true;
    }
    return false;
  }

  /** Stops at `end`. */
  function readNames(end: string): string[] {
    const start = position;
    while (position < text.length && text[position] !== end) if (!skipString()) position++;
    return Array.from(text.slice(start, position).matchAll(name), ([part]) => unquote(part));
  }

  function skipValue(): void {
    let depth = 0;
    for (; position < text.length; ) {
      const character = text.charAt(position);
      if (skipString()) continue;
      if (character === "#") {
        if (depth === 0) return;
        position = endOfLine(position);
        continue;
      }
      if (character === "\n" && depth === 0) return;
      if (character === "[" || character === "{") depth++;
      if (character === "]" || character === "}") depth--;
      position++;
    }
  }

  function skipString(): boolean {
    string.lastIndex = position;
    const found = string.exec(text)?.[0];
    if (found === undefined) return false;
    position += found.length;
    return true;
  }

  function endOfLine(from: number): number {
    const end = text.indexOf("\n", from);
    return end === -1 ? text.length : end + 1;
  }
}

function unquote(part: string): string {
  if (part.startsWith("'")) return part.slice(1, -1);
  if (!part.startsWith('"')) return part;
  try {
    return JSON.parse(part) as string;
  } catch {
    // An escape that JSON does not have: no name that we look for.
    return part;
  }
}

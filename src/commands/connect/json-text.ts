// Where everything stands in a JSON text, with comments and trailing commas where they are allowed (JSONC), so that a
// value can be changed and the rest stay as it is.

import { FormatProblem } from "./file-format.ts";

export interface JsonNode {
  readonly start: number;
  /** Past its last character. */
  readonly end: number;
  /** Of an object; else null. */
  readonly members: readonly JsonMember[] | null;
  /** Past the comma after the last member; null: there is none. */
  readonly commaEnd: number | null;
  readonly value: unknown;
}

export interface JsonMember {
  readonly name: string;
  readonly start: number;
  readonly node: JsonNode;
}

export interface JsonText {
  readonly root: JsonNode;
  readonly comments: readonly string[];
}

const depthMax = 100;
const literal = /-?\d[\d.eE+-]*|true|false|null/y;
const quoted = /"(?:[^"\\\n\r]|\\.)*"/y;
const trivia = /\s+|\/\/[^\n\r]*|\/\*[\s\S]*?\*\//y;

/** Throws FormatProblem, with the place. */
export function scanJson(text: string, allowsComments: boolean): JsonText {
  let position = 0;
  const comments: string[] = [];
  skip();
  const root = readNode(0);
  skip();
  if (position < text.length) throw problem();
  return { root, comments };

  function readNode(depth: number): JsonNode {
    if (depth > depthMax) throw problem();
    const start = position;
    if (text[position] === "{") return readObject(start, depth);
    if (text[position] === "[") return readArray(start, depth);
    const value = JSON.parse(text[position] === '"' ? take(quoted) : take(literal)) as unknown;
    return { start, end: position, members: null, commaEnd: null, value };
  }

  function readObject(start: number, depth: number): JsonNode {
    const members: JsonMember[] = [];
    const commaEnd = readItems("}", () => {
      const memberStart = position;
      const name = JSON.parse(take(quoted)) as string;
      skip();
      if (text[position] !== ":") throw problem();
      position++;
      skip();
      members.push({ name, start: memberStart, node: readNode(depth + 1) });
    });
    const value = Object.fromEntries(members.map(({ name, node }) => [name, node.value]));
    return { start, end: position, members, commaEnd, value };
  }

  function readArray(start: number, depth: number): JsonNode {
    const value: unknown[] = [];
    readItems("]", () => value.push(readNode(depth + 1).value));
    return { start, end: position, members: null, commaEnd: null, value };
  }

  /** Returns where a trailing comma ends, and stands past the closing character. */
  function readItems(close: string, readItem: () => void): number | null {
    let commaEnd: number | null = null;
    position++;
    skip();
    for (let isFirst = true; text[position] !== close; isFirst = false) {
      if (!isFirst && commaEnd === null) throw problem();
      readItem();
      skip();
      commaEnd = null;
      if (text[position] !== ",") continue;
      commaEnd = ++position;
      skip();
      if (text[position] === close && !allowsComments) throw problem();
    }
    position++;
    return commaEnd;
  }

  function take(pattern: RegExp): string {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0];
    if (found === undefined || !isJson(found)) throw problem();
    position += found.length;
    return found;
  }

  function skip(): void {
    for (;;) {
      trivia.lastIndex = position;
      const found = trivia.exec(text)?.[0];
      if (found === undefined) return;
      if (found.startsWith("/")) {
        if (!allowsComments) throw problem();
        comments.push(found);
      }
      position += found.length;
    }
  }

  function problem(): FormatProblem {
    const before = text.slice(0, position).split("\n");
    return new FormatProblem(`it is not valid JSON at ${before.length}:${(before.at(-1) ?? "").length + 1}`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Changes settings in a JSON or JSONC text: values are replaced where they stand, new members come last in their object
// with the indentation that is there, and comments stay where they are.

import { isDeepStrictEqual } from "node:util";
import { type FileFormat, FormatProblem, lineEndOf, type Setting, type SettingPath } from "./file-format.ts";
import { type JsonMember, type JsonNode, type JsonText, scanJson } from "./json-text.ts";

export interface JsonOptions {
  readonly allowsComments: boolean;
  readonly emptyText: string;
}

export function createJsonFormat({ allowsComments, emptyText }: JsonOptions): FileFormat {
  const scan = (text: string): JsonText => {
    const scanned = scanJson(text.trim() === "" ? emptyText : text, allowsComments);
    if (scanned.root.members === null) throw new FormatProblem("it is not an object");
    return scanned;
  };
  return {
    emptyText,
    parse(text) {
      const { root, comments } = scan(text);
      return {
        get: (path) => {
          const found = find(root, path);
          return found.rest.length === 0 ? found.node.value : undefined;
        },
        without: (paths) => [paths.reduce<unknown>(leaveOut, root.value), comments],
      };
    },
    set: (text, settings) =>
      settings.reduce(
        (changed, setting) => setOne(changed, scan(changed).root, setting),
        text.trim() === "" ? emptyText : text,
      ),
  };
}

/** The innermost node on the way that is there, and the names that are not. */
function find(root: JsonNode, path: SettingPath): { node: JsonNode; rest: SettingPath } {
  let node = root;
  for (const [depth, name] of path.entries()) {
    // Of two members of one name, parsers take the last.
    const member = node.members?.findLast((one) => one.name === name);
    if (!member) return { node, rest: path.slice(depth) };
    node = member.node;
  }
  return { node, rest: [] };
}

function setOne(text: string, root: JsonNode, { path, value }: Setting): string {
  const { node, rest } = find(root, path);
  const [name, ...inner] = rest;
  if (name === undefined) {
    if (isDeepStrictEqual(node.value, value)) return text;
    return text.slice(0, node.start) + render(value, text, indentAt(text, node.start)) + text.slice(node.end);
  }
  if (node.members === null) {
    throw new FormatProblem(`${path.slice(0, path.length - rest.length).join(".")} is there and is not an object`);
  }
  const whole = inner.reduceRight<unknown>((value, key) => ({ [key]: value }), value);
  const last = node.members.at(-1);
  return last
    ? insertAfter(text, node, node.members[0] as JsonMember, last, name, whole)
    : fill(text, node, name, whole);
}

/** Makes an object of none its first member. */
function fill(text: string, node: JsonNode, name: string, value: unknown): string {
  const end = lineEndOf(text);
  const outer = indentAt(text, node.start);
  const indent = outer + unitOf(text);
  const inside = text.slice(node.start + 1, node.end - 1).trimEnd();
  const member = `${end}${indent}${JSON.stringify(name)}: ${render(value, text, indent)}${end}${outer}`;
  return `${text.slice(0, node.start + 1)}${inside}${member}${text.slice(node.end - 1)}`;
}

function insertAfter(
  text: string,
  node: JsonNode,
  first: JsonMember,
  last: JsonMember,
  name: string,
  value: unknown,
): string {
  const key = JSON.stringify(name);
  const lastEnd = last.node.end;
  if (!text.slice(node.start, first.start).includes("\n")) {
    return `${text.slice(0, lastEnd)}, ${key}: ${JSON.stringify(value)}${text.slice(lastEnd)}`;
  }
  const indent = indentAt(text, first.start);
  // A comment on the last member's line belongs to it.
  const rest = /^(?:[ \t]|\/\/[^\n\r]*|\/\*[^\n\r]*?\*\/)*/.exec(text.slice(node.commaEnd ?? lastEnd))?.[0] ?? "";
  const lineEnd = (node.commaEnd ?? lastEnd) + rest.trimEnd().length;
  const before =
    node.commaEnd === null ? `${text.slice(0, lastEnd)},${text.slice(lastEnd, lineEnd)}` : text.slice(0, lineEnd);
  const comma = node.commaEnd === null ? "" : ",";
  return `${before}${lineEndOf(text)}${indent}${key}: ${render(value, text, indent)}${comma}${text.slice(lineEnd)}`;
}

function render(value: unknown, text: string, indent: string): string {
  return JSON.stringify(value, null, unitOf(text)).replaceAll("\n", lineEndOf(text) + indent);
}

/** The blanks that the line of a place begins with. */
function indentAt(text: string, position: number): string {
  const line = text.slice(text.lastIndexOf("\n", position - 1) + 1, position);
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

function unitOf(text: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? "  ";
}

/** Objects on the way that have nothing else in them go too. */
function leaveOut(value: unknown, path: SettingPath): unknown {
  const [name, ...inner] = path;
  if (typeof value !== "object" || value === null || Array.isArray(value) || name === undefined) return value;
  const entries = Object.entries(value).flatMap(([key, item]): [string, unknown][] => {
    if (key !== name) return [[key, item]];
    if (inner.length === 0) return [];
    const rest = leaveOut(item, inner);
    return isDeepStrictEqual(rest, {}) ? [] : [[key, rest]];
  });
  return Object.fromEntries(entries);
}

// Turns issues into the lines that a person reads: where it was written, which key, what is allowed, what was found.
// A value is shown only where its key is known and open.

import { redactUrl, showValue } from "./masks.ts";
import { findNearest } from "./nearest-name.ts";
import type { Origins } from "./origins.ts";
import { findKey, formatPath, isTable, type Path, readPath, type Table } from "./paths.ts";
import { findReplacement } from "./removed-keys.ts";
import { sectionRules } from "./schema.ts";
import type { Issue } from "./value-types.ts";

/** Lines in the order of the file, then those of other sources; each said once. */
export function describeIssues(issues: readonly Issue[], tree: Table, origins: Origins): string[] {
  const placed = issues.map((issue) => ({
    line: origins.locate(issue.path).line,
    text: describe(issue, tree, origins),
  }));
  // Not a subtraction: two problems without a line would compare as NaN.
  placed.sort((a, b) => (a.line === b.line ? 0 : a.line < b.line ? -1 : 1));
  return [...new Set(placed.map(({ text }) => text))];
}

function describe(issue: Issue, tree: Table, origins: Origins): string {
  if (issue.path.length === 0) return issue.message;
  const origin = origins.locate(issue.path);
  const subject =
    origin.layer === "file" || origin.layer === "default"
      ? nameInFile(issue.path, tree)
      : nameWithin(issue.path, origin.namedLength);
  return `${origin.text}: ${subject}${tell(issue, tree)}`;
}

function tell(issue: Issue, tree: Table): string {
  const value = readPath(tree, issue.path);
  if (issue.kind === "rule") return issue.message;
  if (issue.kind === "unknown") return findReplacement(issue.path) ?? `${issue.message}${suggest(issue.path, value)}`;
  if (value === undefined) return `is missing: it ${issue.message}`;
  return `${issue.message}: got ${showFound(issue.path, value)}`;
}

/** What was found, unless it is or may hold a secret. */
function showFound(path: Path, value: unknown): string {
  const key = findKey(path);
  const isOpen = key?.secrecy === "open" && key.type.spelling !== "json";
  if (isOpen && typeof value !== "object")
    return showValue(typeof value === "string" ? redactUrl(value) : value, "open");
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return isTable(value) ? "a table" : "a date";
  if (key?.type.spelling === "text" && typeof value === "string")
    return value === "" ? "an empty text" : "another text";
  if (typeof value === "string")
    return key?.type.spelling === "json" ? "a text (variables spell it as JSON)" : "a text";
  return `a ${typeof value}`;
}

/** `[rate_limit] queue_capacity `, `[[auth.users]] weight `, `[server] trusted_proxies[1] `. */
function nameInFile(path: Path, tree: Table): string {
  const last = path.findLastIndex((segment) => typeof segment === "string");
  const value = readPath(tree, path);
  if (path.length === 1) return isTable(value) || findKey(path) ? `[${formatPath(path)}] ` : `${formatPath(path)} `;
  if (last < path.length - 1 && findKey(path)?.type.rules) {
    return `[[${formatPath(path.slice(0, last + 1))}]] entry ${Number(path.at(-1)) + 1} `;
  }
  const header = path.slice(0, last);
  const isElement = typeof header.at(-1) === "number";
  const title = formatPath(isElement ? header.slice(0, -1) : header);
  return `${isElement ? `[[${title}]]` : `[${title}]`} ${formatPath(path.slice(last))} `;
}

/** A variable or a flag names its key already; what remains is the place inside its list or table. */
function nameWithin(path: Path, namedLength: number): string {
  return path.length > namedLength ? `${formatPath(path.slice(namedLength))} ` : "";
}

function suggest(path: Path, value: unknown): string {
  const name = String(path.at(-1));
  const parent = path.slice(0, -1);
  const siblings = Object.keys(parent.length === 0 ? sectionRules : (findKey(parent)?.type.rules ?? {}));
  if (parent.length === 0 && isTable(value)) {
    const section = findNearest(name, siblings);
    return section ? `: did you mean [${section}]?` : "";
  }
  const home = Object.keys(sectionRules).find((section) => findKey([section, name]));
  if (home && home !== parent.at(-1)) return ` here: it belongs to [${home}]`;
  const nearest = parent.length === 0 ? null : findNearest(name, siblings);
  return nearest ? `: did you mean "${nearest}"?` : "";
}

// Changes variables in a .env text: values are replaced where they stand, new ones come last.

import { parseEnv } from "node:util";
import { type FileFormat, FormatProblem, isUnder, lineEndOf } from "./file-format.ts";

/** What is before the value, and the value. */
const assignment =
  /([ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*)("[^"]*"|'[^']*'|`[^`]*`|[^\n#]*?)(?=[ \t]*(?:#[^\n]*)?\r?(?:\n|$))/y;
const nothing = /[ \t]*(?:#[^\n]*)?\r?(?:\n|$)/y;

interface Assignment {
  readonly name: string;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
}

export const dotenvFormat: FileFormat = {
  emptyText: "",
  parse(text) {
    const assignments = listAssignments(text);
    const values = parseEnv(text);
    return {
      get: ([name = ""]) => (Object.hasOwn(values, name) ? values[name] : undefined),
      without: (paths) =>
        assignments
          .filter(({ name }) => isUnder([name], paths))
          .reduceRight((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), text)
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== ""),
    };
  },
  set: (text, settings) =>
    settings.reduce((changed, { path: [name = ""], value }) => {
      if (Object.hasOwn(parseEnv(changed), name) && parseEnv(changed)[name] === value) return changed;
      // Of two lines for one variable, the last counts.
      const old = listAssignments(changed).findLast((one) => one.name === name);
      if (old) return changed.slice(0, old.valueStart) + quote(String(value)) + changed.slice(old.end);
      const end = lineEndOf(changed);
      return `${changed}${changed === "" || changed.endsWith("\n") ? "" : end}${name}=${quote(String(value))}${end}`;
    }, text),
};

function listAssignments(text: string): Assignment[] {
  const assignments: Assignment[] = [];
  let position = 0;
  while (position < text.length) {
    nothing.lastIndex = position;
    const blank = nothing.exec(text);
    if (blank) {
      position += blank[0].length;
      continue;
    }
    assignment.lastIndex = position;
    const found = assignment.exec(text);
    if (!found) throw new FormatProblem(`line ${text.slice(0, position).split("\n").length} is not like NAME=value`);
    const [whole, before = "", name = ""] = found;
    assignments.push({ name, start: position, valueStart: position + before.length, end: position + whole.length });
    position += whole.length;
  }
  return assignments;
}

function quote(value: string): string {
  if (/^[\w.:/+=@-]*$/.test(value)) return value;
  if (!value.includes("'")) return `'${value}'`;
  return `"${value}"`;
}

// The query of a call: the parameters that its endpoint knows go upstream, each once; others do not.

import { Refusal } from "../base/refusal.ts";

/** By name, in the order in which they came. Throws `bad_request` for one that comes twice. */
export function readQuery(query: string, known: readonly string[]): Map<string, string> {
  const parameters = new Map<string, string>();
  if (query === "" || known.length === 0) return parameters;
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name)) continue;
    if (parameters.has(name)) throw new Refusal("bad_request", { detail: `its query has ${name} more than once` });
    parameters.set(name, value);
  }
  return parameters;
}

/** With its "?", or empty. */
export function formatQuery(parameters: ReadonlyMap<string, string>): string {
  if (parameters.size === 0) return "";
  return `?${Array.from(parameters, ([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}

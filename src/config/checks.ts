// Rules between keys, which no single key's type can tell. They look at raw values, so that they speak even when other
// keys have the wrong type; what is not of the type they expect they skip.

import { checkKeys } from "./check-keys.ts";
import { isTable, readPath, type Table } from "./paths.ts";
import type { Issue } from "./value-types.ts";

export function checkRules(tree: Table): Issue[] {
  return [
    ...checkUsers(tree),
    ...checkAliases(tree),
    ...checkFallbacks(tree),
    ...checkKeys(tree),
    ...checkFamilies(tree),
  ];
}

function checkUsers(tree: Table): Issue[] {
  const users = readPath(tree, ["auth", "users"]);
  if (!Array.isArray(users)) return [];
  const firstIndex = new Map<string, number>();
  return users.flatMap((user: unknown, index) => {
    if (!isTable(user)) return [];
    const issues: Issue[] = checkPassword(user, index);
    if (typeof user.username !== "string") return issues;
    const name = user.username.normalize("NFC");
    const twin = firstIndex.get(name);
    if (twin === undefined) firstIndex.set(name, index);
    else issues.push(rule(["auth", "users", index, "username"], `is the same as that of entry ${twin + 1}`));
    return issues;
  });
}

function checkPassword(user: Table, index: number): Issue[] {
  const count = ["password", "password_hash"].filter((name) => Object.hasOwn(user, name)).length;
  const path = ["auth", "users", index];
  if (count === 2) return [rule(path, "must have password_hash or password, not both")];
  return count === 1 ? [] : [rule(path, "must have a password_hash (made by glm-proxy hash-password) or a password")];
}

function checkAliases(tree: Table): Issue[] {
  const aliases = readPath(tree, ["glm", "aliases"]);
  if (!isTable(aliases)) return [];
  return Object.keys(aliases)
    .filter((name) => resolveAlias(name, aliases) === null)
    .map((name) => rule(["glm", "aliases", name], "leads back to itself"));
}

/** The name at the end of a chain of aliases, or null when there is no end. */
export function resolveAlias(name: string, aliases: Readonly<Record<string, unknown>>): string | null {
  const seen = new Set<string>();
  let current = name;
  while (Object.hasOwn(aliases, current)) {
    if (seen.has(current)) return null;
    seen.add(current);
    const next = aliases[current];
    if (typeof next !== "string") break;
    current = next;
  }
  return current;
}

/** By the upstream's names: an alias and its model are one and the same here. */
function checkFallbacks(tree: Table): Issue[] {
  const fallbacks = readPath(tree, ["glm", "fallbacks"]);
  if (!isTable(fallbacks)) return [];
  const aliases = readPath(tree, ["glm", "aliases"]);
  const resolve = (name: string) => resolveAlias(name, isTable(aliases) ? aliases : {}) ?? name;
  const lists = new Map<string, string[]>();
  const issues: Issue[] = [];
  for (const [name, list] of Object.entries(fallbacks)) {
    if (!Array.isArray(list) || !list.every((entry) => typeof entry === "string")) continue;
    const path = ["glm", "fallbacks", name];
    const targets = list.map(resolve);
    if (lists.has(resolve(name))) issues.push(rule(path, "is the same model as one above"));
    const twin = targets.findIndex((target, index) => targets.indexOf(target) < index);
    if (twin >= 0) issues.push(rule([...path, twin], "is in the list already"));
    lists.set(resolve(name), targets);
  }
  const circular = Object.keys(fallbacks).filter((name) => leadsBack(resolve(name), lists));
  return [...issues, ...circular.map((name) => rule(["glm", "fallbacks", name], "leads back to itself"))];
}

function leadsBack(name: string, lists: ReadonlyMap<string, readonly string[]>): boolean {
  const reached = new Set<string>(lists.get(name));
  for (const target of reached) for (const next of lists.get(target) ?? []) reached.add(next);
  return reached.has(name);
}

/** A family with no limit at all would be one without any protection. */
function checkFamilies(tree: Table): Issue[] {
  const families = readPath(tree, ["rate_limit", "families"]);
  if (!isTable(families)) return [];
  return Object.entries(families).flatMap(([name, limits]) =>
    name !== "poll" && isTable(limits) && Object.keys(limits).length === 0
      ? [rule(["rate_limit", "families", name], "must have requests_per_second or max_concurrency")]
      : [],
  );
}

function rule(path: Issue["path"], message: string): Issue {
  return { path, kind: "rule", message };
}

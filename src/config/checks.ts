// Rules between keys, which no single key's type can tell. They look at raw values, so that they speak even when other
// keys have the wrong type; what is not of the type they expect they skip.

import { isTable, readPath, type Table } from "./paths.ts";
import type { Issue } from "./value-types.ts";

export function checkRules(tree: Table): Issue[] {
  return [...checkUsers(tree), ...checkAliases(tree), ...checkUpstreamKey(tree)];
}

function checkUsers(tree: Table): Issue[] {
  const users = readPath(tree, ["auth", "users"]);
  if (!Array.isArray(users)) return [];
  const firstIndex = new Map<string, number>();
  return users.flatMap((user: unknown, index) => {
    if (!isTable(user)) return [];
    const issues: Issue[] = checkPassword(user, index);
    if (typeof user.username !== "string") return issues;
    const twin = firstIndex.get(user.username);
    if (twin === undefined) firstIndex.set(user.username, index);
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

function checkUpstreamKey(tree: Table): Issue[] {
  const candidates = [readPath(tree, ["glm", "api_key"]), readPath(tree, ["glm", "keys", 0, "api_key"])];
  if (candidates.some((value) => value !== undefined)) return [];
  const message = "Cannot find the upstream key: set GLM_FLASH_API_KEY (or GLM_FLASH_API_KEY_FILE, or [glm] api_key)";
  return [rule([], message)];
}

function rule(path: Issue["path"], message: string): Issue {
  return { path, kind: "rule", message };
}

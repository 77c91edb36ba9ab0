// Rules about the pool of upstream keys, over raw values as all of checks.ts: names, what each key needs, twins, and
// keys of one account that contradict each other.

import { isTable, readPath, type Table } from "./paths.ts";
import { limitNames } from "./pool.ts";
import type { Issue } from "./value-types.ts";

interface Entry {
  readonly index: number;
  readonly table: Table;
}

export function checkKeys(tree: Table): Issue[] {
  const keys = readPath(tree, ["glm", "keys"]);
  const entries = Array.isArray(keys)
    ? keys.flatMap((table: unknown, index): Entry[] => (isTable(table) ? [{ index, table }] : []))
    : [];
  return [
    ...checkFirst(tree, entries),
    ...entries.flatMap((entry) => [
      ...checkNeeds(entry, entries, readPath(tree, ["glm", "api_key"]) !== undefined),
      ...checkTwin(entry, entries, readPath(tree, ["glm", "api_key"])),
      ...checkAccount(entry, entries),
    ]),
  ];
}

/** A pool of none or one may have its key from [glm]. */
function checkFirst(tree: Table, entries: readonly Entry[]): Issue[] {
  const [first, ...others] = entries;
  const keys = [readPath(tree, ["glm", "api_key"]), first?.table.api_key];
  if (others.length > 0 || first?.table.kind === "openai" || keys.some((value) => value !== undefined)) return [];
  const message = "Cannot find the upstream key: set GLM_FLASH_API_KEY (or GLM_FLASH_API_KEY_FILE, or [glm] api_key)";
  return [rule([], message)];
}

function checkNeeds({ index, table }: Entry, entries: readonly Entry[], hasGeneralKey: boolean): Issue[] {
  const path = ["glm", "keys", index];
  const issues: Issue[] = [];
  const isOneOfMany = entries.length > 1;
  if (isOneOfMany && table.name === undefined) issues.push(rule(path, "must have a name, since there are several"));
  if (table.kind === "openai" && table.base_url === undefined) {
    issues.push(rule(path, 'must have a base_url: none is usual for kind = "openai"'));
  }
  if (isOneOfMany && table.kind !== "openai" && table.api_key === undefined && !hasGeneralKey) {
    issues.push(rule(path, `must have an api_key (or set GLM_PROXY__GLM__KEYS__${index}__API_KEY)`));
  }
  if (Array.isArray(table.models) && table.models.length === 0) {
    issues.push(rule([...path, "models"], 'must name a model, or it serves none: "*" stands for all'));
  }
  return issues;
}

/** One name stands for one key, and one key has one name unless both say that they share an account. */
function checkTwin({ index, table }: Entry, entries: readonly Entry[], general: unknown): Issue[] {
  const before = entries.filter((other) => other.index < index);
  const named = before.find((other) => typeof table.name === "string" && other.table.name === table.name);
  if (named) return [rule(["glm", "keys", index, "name"], `is the same as that of entry ${named.index + 1}`)];
  const own = secretOf(table, general);
  const twin = before.find((other) => typeof own === "string" && secretOf(other.table, general) === own);
  if (!twin || accountOf(twin.table) === accountOf(table)) return [];
  const isOwn = table.api_key !== undefined;
  const advice = `give both the same account, or ${isOwn ? "remove one" : "give it an api_key of its own"}`;
  const path = ["glm", "keys", index, ...(isOwn ? ["api_key"] : [])];
  return [rule(path, `${isOwn ? "is" : "has"} the same key as entry ${twin.index + 1}: ${advice}`)];
}

function secretOf({ kind, api_key: own }: Table, general: unknown): unknown {
  return own ?? (kind === "openai" ? undefined : general);
}

/** What entries of an account say of its limits must be one and the same. */
function checkAccount({ index, table }: Entry, entries: readonly Entry[]): Issue[] {
  const account = accountOf(table);
  if (account === null) return [];
  const before = entries.filter((other) => other.index < index && accountOf(other.table) === account);
  const names = ["kind", ...limitNames];
  return names.flatMap((name) => {
    const own = name === "kind" ? (table.kind ?? "glm") : table[name];
    const other = before.find((sibling) => {
      const value = name === "kind" ? (sibling.table.kind ?? "glm") : sibling.table[name];
      return own !== undefined && value !== undefined && value !== own;
    });
    if (!other) return [];
    const path = ["glm", "keys", index, ...(table[name] === undefined ? [] : [name])];
    const subject = table[name] === undefined ? `must have the ${name}` : "must be the same as that";
    return [
      rule(path, `${subject} of entry ${other.index + 1}: keys of the account ${JSON.stringify(account)} share it`),
    ];
  });
}

/** Without one of its own, a key is an account of its name. */
function accountOf({ account, name }: Table): string | null {
  const own = account ?? name;
  return typeof own === "string" ? own : null;
}

function rule(path: Issue["path"], message: string): Issue {
  return { path, kind: "rule", message };
}

// Keys that are recognised and checked but whose feature this version does not have: setting one is a problem, since
// ignoring it would promise a protection that is not there. Deleting a row here makes its key count.

import { isTable, type Path, readPath } from "./paths.ts";
import type { Issue } from "./value-types.ts";

interface UnavailableKey {
  /** `*` stands for any name or index. */
  readonly path: readonly string[];
  /** Values that ask for nothing. */
  readonly isHarmless?: (value: unknown, path: Path) => boolean;
}

const unavailableKeys: readonly UnavailableKey[] = [{ path: ["cluster", "redis_url"] }];

/** `tree` holds raw values: what has the wrong type is somebody else's problem. */
export function findUnavailable(tree: unknown): Issue[] {
  return unavailableKeys.flatMap(({ path: pattern, isHarmless }) =>
    expand(tree, pattern)
      .filter((path) => !isHarmless?.(readPath(tree, path), path))
      .map((path): Issue => ({ path, kind: "rule", message: "is not available in this version: remove it" })),
  );
}

export function isUnavailable(path: Path): boolean {
  return unavailableKeys.some(({ path: pattern }) => formatMatches(pattern, path));
}

function formatMatches(pattern: readonly string[], path: Path): boolean {
  return pattern.length === path.length && pattern.every((name, index) => name === "*" || name === path[index]);
}

/** Every place of the tree that the pattern names. */
function expand(tree: unknown, pattern: readonly string[]): Path[] {
  let paths: Path[] = [[]];
  for (const name of pattern) {
    paths = paths.flatMap((path) => listNames(readPath(tree, path), name).map((next) => [...path, next]));
  }
  return paths;
}

function listNames(value: unknown, name: string): (string | number)[] {
  if (Array.isArray(value)) return name === "*" ? [...value.keys()] : [];
  if (!isTable(value)) return [];
  return name === "*" ? Object.keys(value) : [name].filter((known) => Object.hasOwn(value, known));
}

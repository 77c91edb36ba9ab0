// Keys of earlier versions that are gone: who still has one reads what takes its place.

import { formatPath, type Path } from "./paths.ts";

const replacements: Readonly<Record<string, string>> = {
  "server.workers":
    "was removed: remove it, and for more than one processor core run several processes, each with upstream keys of its own",
};

/** What replaces a key that was removed; null: there never was such a key. */
export function findReplacement(path: Path): string | null {
  const name = formatPath(path);
  return Object.hasOwn(replacements, name) ? (replacements[name] ?? null) : null;
}

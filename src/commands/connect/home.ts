// Where people's own files are.

import { isAbsolute, join, relative, resolve } from "node:path";
import { usageError } from "../command-error.ts";
import type { World } from "../world.ts";

/** The folder that a variable names, else one in the home folder. Throws CommandError when nobody is at home. */
export function ownFolder(world: World, variable: string, ...names: readonly string[]): string {
  const named = world.env[variable];
  if (named) return resolve(world.cwd, named);
  const home = homeOf(world);
  if (home) return join(home, ...names);
  throw usageError("Cannot tell your home folder: HOME is not set. Name the file with --file.");
}

/** As people write it. */
export function showPath(path: string, world: World): string {
  const home = homeOf(world);
  const fromHome = home ? relative(home, path) : "..";
  return fromHome === "" || fromHome.startsWith("..") || isAbsolute(fromHome) ? path : join("~", fromHome);
}

function homeOf({ env }: World): string | undefined {
  return env.HOME || env.USERPROFILE;
}

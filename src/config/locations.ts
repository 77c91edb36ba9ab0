// Where the configuration file and the data folder are, by the conventions of systemd and of the XDG base directory
// specification. Computes paths from the environment it is given; touches no file.

import { isAbsolute, join, relative, resolve, sep } from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Paths at which a configuration file is looked for when none is named, first match first. */
export function listSearchPath(env: Environment, cwd: string): string[] {
  const configHome = absoluteOr(env.XDG_CONFIG_HOME, join(homeFolder(env), ".config"));
  return [join(cwd, "config.toml"), join(configHome, "glm-proxy", "config.toml"), "/etc/glm_proxy/config.toml"];
}

/** Folder for what the gateway itself keeps: the database, the generated secret. It may not exist yet. */
export function dataFolder(env: Environment): string {
  const [stateFolder] = (env.STATE_DIRECTORY ?? "").split(":");
  if (stateFolder) return stateFolder;
  return join(absoluteOr(env.XDG_DATA_HOME, join(homeFolder(env), ".local", "share")), "glm-proxy");
}

/** The path as people read it: relative when it is inside the working folder. */
export function toDisplayPath(path: string, cwd: string): string {
  const fromHere = relative(cwd, resolve(cwd, path));
  const isInside = fromHere !== "" && fromHere !== ".." && !fromHere.startsWith(`..${sep}`) && !isAbsolute(fromHere);
  return isInside ? fromHere : path;
}

/** The specification says that relative paths in XDG variables are to be ignored. */
function absoluteOr(path: string | undefined, fallback: string): string {
  return path && isAbsolute(path) ? path : fallback;
}

function homeFolder(env: Environment): string {
  return env.HOME || env.USERPROFILE || "/";
}

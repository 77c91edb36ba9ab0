// Gathers what every source says and lays the layers over each other: one tree of raw values, and who said what.
// Finds and reads the files; judges no value.

import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { credentialPaths, type Override, type OverrideLayer, readFlags, readVariables } from "./environment.ts";
import { type ConfigFiles, explainFileError } from "./files.ts";
import { type Environment, listSearchPath, toDisplayPath } from "./locations.ts";
import type { Origin } from "./origins.ts";
import { formatPath, isTable, type Path, type Table } from "./paths.ts";
import { sectionRules } from "./schema.ts";
import { type FileLayer, parseConfigFile } from "./toml-file.ts";

export interface ConfigSources {
  /** The file that the command line names; undefined: the usual places are searched. */
  readonly path?: string | undefined;
  readonly env: Environment;
  readonly cwd: string;
  /** Values from the command line, by key: `{ "server.port": "8081" }`. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly files: ConfigFiles;
}

export interface Layers {
  readonly tree: Table;
  /** By `section.key` or `section.key[0].key`: the winning origin of every key that something above the file set. */
  readonly overrides: ReadonlyMap<string, Origin>;
  readonly file: FoundFile | null;
  /** Absolute path of the `.env` that was read. */
  readonly dotenvPath: string | null;
  /** A source that cannot be read or understood; the tree then lacks what it says. */
  readonly problems: readonly string[];
  /** True when the file exists but its content is not in the tree. */
  readonly isFileLost: boolean;
}

export interface FoundFile extends FileLayer {
  /** Absolute. */
  readonly path: string;
}

export function gatherLayers(sources: ConfigSources): Layers {
  const fileResult = readConfigFile(sources);
  const dotenv = readDotenv(sources);
  const credentials = readCredentials(sources);
  const environment = readVariables(sources.env, "environment", createSecretReader(sources));
  const upper = [credentials, dotenv, environment, { overrides: readFlags(sources.flags ?? {}), problems: [] }];
  const tree = fileResult.file?.tree ?? {};
  const applied = applyOverrides(
    tree,
    upper.flatMap((layer) => layer.overrides),
  );
  return {
    tree,
    overrides: applied.origins,
    file: fileResult.file,
    dotenvPath: dotenv.path,
    problems: [...fileResult.problems, ...upper.flatMap((layer) => layer.problems), ...applied.problems],
    isFileLost: fileResult.problems.length > 0,
  };
}

function readConfigFile({ path, env, cwd, files }: ConfigSources): { file: FoundFile | null; problems: string[] } {
  const candidates = path === undefined ? listSearchPath(env, cwd) : [resolve(cwd, path)];
  for (const candidate of candidates) {
    const name = toDisplayPath(candidate, cwd);
    try {
      const text = files.readText(candidate);
      if (text === null) continue;
      const layer = parseConfigFile(text, name);
      if ("problem" in layer) return { file: null, problems: [layer.problem] };
      return { file: { ...layer, path: candidate }, problems: [] };
    } catch (error) {
      return { file: null, problems: [`${name}: cannot be read: ${explainFileError(error)}`] };
    }
  }
  return { file: null, problems: path === undefined ? [] : [`${path}: there is no such file`] };
}

function readDotenv(sources: ConfigSources): OverrideLayer & { path: string | null } {
  const path = join(sources.cwd, ".env");
  try {
    const text = sources.files.readText(path);
    if (text === null) return { overrides: [], problems: [], path: null };
    return { ...readVariables(parseEnv(text), "dotenv", createSecretReader(sources)), path };
  } catch (error) {
    return { overrides: [], problems: [`.env: cannot be read: ${explainFileError(error)}`], path: null };
  }
}

function readCredentials({ env, files }: ConfigSources): OverrideLayer {
  const folder = env.CREDENTIALS_DIRECTORY;
  const overrides: Override[] = [];
  const problems: string[] = [];
  if (!folder) return { overrides, problems };
  for (const [name, path] of Object.entries(credentialPaths)) {
    const origin: Origin = { layer: "credential", text: `credential ${name}` };
    try {
      const text = files.readText(join(folder, name));
      if (text !== null) overrides.push({ path, value: dropLineEnd(text), origin });
    } catch (error) {
      problems.push(`${origin.text}: cannot be read: ${explainFileError(error)}`);
    }
  }
  return { overrides, problems };
}

function createSecretReader({ cwd, files }: ConfigSources) {
  return (path: string): { text: string } | { problem: string } => {
    try {
      const text = files.readText(resolve(cwd, path));
      if (text === null) return { problem: `there is no file ${path}` };
      const secret = dropLineEnd(text);
      return secret === "" ? { problem: `the file ${path} is empty` } : { text: secret };
    } catch (error) {
      return { problem: `the file ${path} cannot be read: ${explainFileError(error)}` };
    }
  };
}

/** Later overrides win. Every section exists in the tree afterwards, so that its defaults can be filled in. */
function applyOverrides(
  tree: Table,
  overrides: readonly Override[],
): { origins: Map<string, Origin>; problems: string[] } {
  const origins = new Map<string, Origin>();
  const problems: string[] = [];
  for (const section of Object.keys(sectionRules)) tree[section] ??= {};
  for (const { path, value, origin } of overrides) {
    const table = path.length > 2 ? findEntry(tree, path) : tree[String(path[0])];
    if (table === "missing") {
      problems.push(`${origin.text}: there is no such entry: they have numbers from 0 on, without a gap`);
      continue;
    }
    if (!isTable(table)) continue;
    table[String(path.at(-1))] = value;
    // What was said of parts of it before counts no more.
    const name = formatPath(path);
    for (const other of [...origins.keys()]) if (other.startsWith(`${name}[`)) origins.delete(other);
    origins.set(name, origin);
  }
  return { origins, problems };
}

/** The entry of a list that `section.key[number].key` names: the next one is made, others must be there. */
function findEntry(tree: Table, [section = "", key = "", number]: Path): unknown {
  const table = tree[section];
  if (!isTable(table)) return null;
  table[key] ??= [];
  const list = table[key];
  if (!Array.isArray(list)) return null;
  if (number === list.length) list.push({});
  return list[Number(number)] ?? "missing";
}

function dropLineEnd(text: string): string {
  return text.replace(/[\r\n]+$/, "");
}

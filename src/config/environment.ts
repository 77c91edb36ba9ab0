// What environment variables, flags and credentials say about the configuration, as a list of overrides.
// Every key has the name GLM_PROXY__SECTION__KEY, secrets also one with _FILE; a few names are older or shorter. One
// entry of a list of tables has a number: GLM_PROXY__GLM__KEYS__0__API_KEY.

import { parseRustLog } from "./log-level.ts";
import { findNearest } from "./nearest-name.ts";
import type { Layer, Origin } from "./origins.ts";
import { findKey, type Path } from "./paths.ts";
import { findReplacement } from "./removed-keys.ts";
import { sectionRules } from "./schema.ts";
import type { ValueType } from "./value-types.ts";

export interface Override {
  readonly path: Path;
  readonly value: unknown;
  readonly origin: Origin;
}

export interface OverrideLayer {
  /** Lowest precedence first. */
  readonly overrides: readonly Override[];
  readonly problems: readonly string[];
}

/** The text of a file named by a `…_FILE` variable, or why it cannot be had. */
export type ReadSecret = (path: string) => { text: string } | { problem: string };

interface Binding {
  readonly name: string;
  readonly path: Path;
  /** `file`: the variable names a file that holds the value. */
  readonly spelling: "value" | "file" | "rust-log";
}

const prefix = "GLM_PROXY__";

/** Variables that speak about one key, lowest precedence first. Empty ones count as not set. */
export function readVariables(
  variables: Readonly<Record<string, string | undefined>>,
  layer: Extract<Layer, "environment" | "dotenv">,
  readSecret: ReadSecret,
): OverrideLayer {
  const place = layer === "dotenv" ? ".env" : "environment";
  const bindings = [...listBindings(), ...listEntryBindings(variables)];
  const overrides: Override[] = [];
  const problems = findUnknown(variables, bindings, place);
  for (const { name, path, spelling } of bindings) {
    const text = variables[name];
    if (text === undefined || text === "") continue;
    const origin: Origin = { layer, text: `${place} ${name}` };
    if (spelling === "rust-log") {
      const level = parseRustLog(text);
      if (level) overrides.push({ path, value: level, origin });
    } else if (spelling === "file") {
      const secret = readSecret(text);
      if ("problem" in secret) problems.push(`${origin.text}: ${secret.problem}`);
      else overrides.push({ path, value: secret.text, origin });
    } else overrides.push({ path, value: parseText(path, text), origin });
  }
  return { overrides, problems };
}

/** Flags by the path of their key: `{ "server.port": "8081" }`. */
export function readFlags(flags: Readonly<Record<string, string | undefined>>): Override[] {
  return Object.entries(flags).flatMap(([id, text]) => {
    const path = id.split(".");
    if (!findKey(path)) throw new Error(`no key for the flag ${id}`);
    const origin: Origin = { layer: "flag", text: `flag --${path.at(-1)?.replaceAll("_", "-")}` };
    return text === undefined ? [] : [{ path, value: parseText(path, text), origin }];
  });
}

/** Files that systemd's LoadCredential= puts into one folder. */
export const credentialPaths: Readonly<Record<string, Path>> = {
  glm_api_key: ["glm", "api_key"],
  jwt_secret: ["auth", "jwt_secret"],
};

/** `GLM_PROXY__RATE_LIMIT__QUEUE_CAPACITY` for ["rate_limit", "queue_capacity"]. */
export function toVariableName(path: Path): string {
  return prefix + path.join("__").toUpperCase();
}

function listBindings(): Binding[] {
  const paths = Object.entries(sectionRules).flatMap(([section, rule]) =>
    Object.keys(rule.type.rules ?? {}).map((key): Path => [section, key]),
  );
  const secrets = paths.filter(isFileable);
  return [
    { name: "GLM_FLASH_API_KEY_FILE", path: ["glm", "api_key"], spelling: "file" },
    { name: "GLM_FLASH_API_KEY", path: ["glm", "api_key"], spelling: "value" },
    { name: "RUST_LOG", path: ["log", "level"], spelling: "rust-log" },
    { name: "GLM_PROXY_LOG", path: ["log", "level"], spelling: "value" },
    ...secrets.map((path): Binding => ({ name: `${toVariableName(path)}_FILE`, path, spelling: "file" })),
    ...paths.map((path): Binding => ({ name: toVariableName(path), path, spelling: "value" })),
  ];
}

/** Of those variables that are there and name a key of one entry of a list, by its number from 0. */
function listEntryBindings(variables: Readonly<Record<string, string | undefined>>): Binding[] {
  const bindings = Object.keys(variables).flatMap((name): Binding[] => {
    const [section = "", list = "", number = "", key = "", ...rest] = readSegments(name);
    if (!/^(0|[1-9]\d{0,5})$/.test(number) || !findKey([section, list])?.type.isList || rest.length > 0) return [];
    const toPath = (own: string): Path => [section, list, Number(number), own];
    if (findKey(toPath(key))) return [{ name, path: toPath(key), spelling: "value" }];
    const secret = toPath(key.replace(/_file$/, ""));
    return key.endsWith("_file") && isFileable(secret) ? [{ name, path: secret, spelling: "file" }] : [];
  });
  const rank = ({ path, spelling }: Binding) => Number(path[2]) * 2 + (spelling === "file" ? 0 : 1);
  return bindings.sort((a, b) => rank(a) - rank(b));
}

function readSegments(name: string): string[] {
  return name.startsWith(prefix) ? name.slice(prefix.length).toLowerCase().split("__") : [];
}

function isFileable(path: Path): boolean {
  return findKey(path)?.secrecy === "masked";
}

function findUnknown(
  variables: Readonly<Record<string, string | undefined>>,
  bindings: readonly Binding[],
  place: string,
): string[] {
  const known = bindings.map((binding) => binding.name);
  const unknown = Object.keys(variables).filter((name) => name.startsWith(prefix) && !known.includes(name));
  return unknown.sort().map((name) => {
    const replacement = findReplacement(readSegments(name));
    if (replacement !== null) return `${place} ${name}: ${replacement}`;
    const nearest = findNearest(name, known);
    return `${place} ${name}: is not known${nearest ? `: did you mean ${nearest}?` : ""}`;
  });
}

function parseText(path: Path, text: string): unknown {
  const type = findKey(path)?.type;
  return type ? spell(type, text) : text;
}

/** The value that a text spells; the text itself when it spells none, which validation then tells. */
function spell(type: ValueType, text: string): unknown {
  const trimmed = text.trim();
  if (type.spelling === "number" && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  if (type.spelling === "boolean" && /^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === "true";
  if (type.spelling !== "json") return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

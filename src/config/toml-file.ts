// Reads the configuration file into a tree of raw values with the line of each key. Validates nothing but TOML's
// syntax, and puts right what the position of `[[auth.users]]` makes of the keys that follow it.

import { parse, TomlError } from "smol-toml";
import { escapeControls } from "./masks.ts";
import type { Notice } from "./notices.ts";
import { formatPath, isTable, readPath, type Table } from "./paths.ts";
import { type LineMap, locateKeys } from "./toml-lines.ts";

export interface FileLayer {
  /** As shown in messages. */
  readonly name: string;
  readonly tree: Table;
  readonly lines: LineMap;
  readonly notices: readonly Notice[];
}

/** Keys of `[auth]` that belong to the last user by TOML's rules when they stand after its table. */
const misplacedKeys = ["jwt_secret", "token_ttl_seconds"] as const;

/** The layer, or the one line that says why the text is not TOML. */
export function parseConfigFile(toml: string, name: string): FileLayer | { problem: string } {
  const text = toml.replace(/^\uFEFF/, "");
  const tree = parseToml(text, name);
  if (typeof tree === "string") return { problem: tree };
  const lines = new Map(locateKeys(text));
  dropEmptyKeys(tree);
  const notices = moveMisplacedKeys(tree, lines, name);
  return { name, tree, lines, notices };
}

function parseToml(text: string, name: string): Table | string {
  try {
    return parse(text, { maxDepth: 32, unsafeKeyBehaviour: "throw" }) as Table;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The rest of the message quotes the lines around, which may hold a secret.
    const [reason = ""] = error.message.replace("Invalid TOML document: ", "").split("\n");
    return `${name}:${error.line}:${error.column}: not valid TOML: ${escapeControls(reason)}`;
  }
}

/** `api_key = ""` is how people leave the key to the environment. */
function dropEmptyKeys(tree: Table): void {
  const pool = readPath(tree, ["glm", "keys"]);
  for (const holder of [tree.glm, ...(Array.isArray(pool) ? pool : [])]) {
    if (isTable(holder) && holder.api_key === "") delete holder.api_key;
  }
}

function moveMisplacedKeys(tree: Table, lines: Map<string, number>, name: string): Notice[] {
  const auth = tree.auth;
  if (!isTable(auth) || !Array.isArray(auth.users)) return [];
  const lastIndex = auth.users.length - 1;
  const lastUser: unknown = auth.users[lastIndex];
  if (!isTable(lastUser)) return [];
  const moved = misplacedKeys.filter((key) => Object.hasOwn(lastUser, key) && !Object.hasOwn(auth, key));
  for (const key of moved) {
    auth[key] = lastUser[key];
    delete lastUser[key];
    const line = lines.get(formatPath(["auth", "users", lastIndex, key]));
    if (line !== undefined) lines.set(formatPath(["auth", key]), line);
  }
  if (moved.length === 0) return [];
  const places = moved.map((key) => `${key} (${name}:${lines.get(`auth.${key}`) ?? "?"})`).join(" and ");
  const message = `${places}: written after [[auth.users]], which in TOML makes it part of that user; taken as meant for [auth]. Move it above the first [[auth.users]].`;
  return [{ level: "info", code: "auth_keys_misplaced", message }];
}

// What a tool is to be told: the gateway's URL, a key, a model. A key that was not given here in so many words is not
// shown, only named.

import { resolve } from "node:path";
import { ConfigError, createSecretMaker } from "../../config/config.ts";
import { systemFiles } from "../../config/files.ts";
import { describeBaseUrl, readBaseUrl } from "../client/base-url.ts";
import { environmentOf } from "../client/environment.ts";
import { createHttpClient } from "../client/http-client.ts";
import { probe, socketPath } from "../client/open-client.ts";
import type { Input } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { loadFor } from "../load.ts";
import type { World } from "../world.ts";
import type { Word } from "./shell-lines.ts";

/** Where a key is looked for, and what tools are told to look for it in. */
export const keyVariable = "GLM_PROXY_KEY";
const defaultUrl = "http://127.0.0.1:8080";
export const defaultModel = "glm-4.5-flash";
export const keyPlaceholder = "<your key>";

export interface Access {
  /** Without a slash and without /v1 at the end. */
  readonly url: string;
  readonly model: string;
  readonly key: ToolKey;
}

/** given: by an option, and so to be shown · variable: in the environment, where it stays · none: not known */
export type ToolKey =
  | { readonly kind: "given"; readonly text: string }
  | { readonly kind: "variable"; readonly text: string }
  | { readonly kind: "none" };

/** Rejects with CommandError or ConfigError. */
export async function readAccess(input: Input, world: World): Promise<Access> {
  const model = input.text("model") ?? defaultModel;
  if (!/^[^\s\p{C}]{1,256}$/u.test(model)) throw usageError("Cannot use the model: it must be a name without spaces.");
  const key = await readKey(input, world);
  const url = await findUrl(input, world);
  return { url, model, key };
}

async function readKey(input: Input, world: World): Promise<ToolKey> {
  const typed = input.text("key");
  const file = input.text("key-file");
  if (typed !== undefined && file !== undefined) throw usageError("Cannot use both --key and --key-file: give one.");
  if (typed === "-" || file === "-") return toGiven(await world.readInput(), "on standard input");
  if (file !== undefined) return toGiven(readKeyFile(resolve(world.cwd, file)), `in ${file}`);
  if (typed !== undefined) return toGiven(typed, "after --key");
  const text = world.env[keyVariable];
  return text ? { kind: "variable", text: check(text, `in ${keyVariable}`) } : { kind: "none" };
}

function toGiven(text: string, place: string): ToolKey {
  return { kind: "given", text: check(text.trim(), place) };
}

function check(text: string, place: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return text;
  throw usageError(`Cannot use what is ${place}: a key is visible ASCII characters without spaces.`);
}

function readKeyFile(path: string): string {
  try {
    const text = systemFiles.readText(path);
    if (text === null) throw new Error(`there is no file ${path}`);
    return text;
  } catch (error) {
    throw new CommandError(`Cannot read the key: ${(error as Error).message}.`);
  }
}

/** Of the server that was named, else of the one of this machine, else where one usually is. */
async function findUrl(input: Input, world: World): Promise<string> {
  const isHere = input.text("config") !== undefined || input.text("data") !== undefined;
  const named = input.text("url") ?? (isHere ? undefined : world.env.GLM_PROXY_URL);
  if (named) return toBaseUrl(named, world);
  const url = (await askServer(input, world)) ?? readConfigured(input, world);
  if (url.endsWith(":PORT")) {
    throw new CommandError("Cannot tell the gateway's port, which the system chose: name its URL with --url.");
  }
  return url;
}

async function askServer(input: Input, world: World): Promise<string | null> {
  const path = socketPath(input, world);
  if ((await probe(path)) !== "answers") return null;
  const client = createHttpClient({ kind: "socket", path }, `glm-proxy/${world.version}`);
  try {
    return (await readBaseUrl(client)).url;
  } finally {
    await client.close();
  }
}

function readConfigured(input: Input, world: World): string {
  const config = input.text("config");
  try {
    const { settings } = loadFor(
      config === undefined ? {} : { config },
      // No call is made: the upstream key may be missing.
      { ...world, env: { GLM_FLASH_API_KEY: "not-needed-here", ...environmentOf(input, world) } },
      { createSecret: createSecretMaker(), mayStoreSecret: false },
    );
    return describeBaseUrl(settings.server.host, String(settings.server.port)).url;
  } catch (error) {
    // Whoever uses a gateway of somebody else's has no configuration of one, or an old one.
    if (error instanceof ConfigError && config === undefined) return defaultUrl;
    throw error;
  }
}

function toBaseUrl(text: string, world: World): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw usageError("Cannot use the URL: it must be like https://glm.example.org, without credentials and query.");
  }
  if (url.protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)) {
    world.printError("warning: the key crosses the network unencrypted: use https.");
  }
  return (url.origin + url.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

/** For a shell. */
export function toWord(key: ToolKey): Word {
  if (key.kind === "variable") return { variable: keyVariable };
  return key.kind === "given" ? key.text : keyPlaceholder;
}

/** For a file or a form. */
export function toText(key: ToolKey): string {
  return key.kind === "given" ? key.text : keyPlaceholder;
}

/** For a file that is written: also the one of the environment. Throws CommandError when there is none. */
export function requireKey(key: ToolKey): string {
  if (key.kind !== "none") return key.text;
  throw usageError(
    "Nothing was written: a key is missing.",
    `Name a file with --key-file, give it on standard input with --key -, or set ${keyVariable}; \`glm-proxy key add --name NAME\` makes one.`,
  );
}

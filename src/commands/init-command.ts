// glm-proxy init: a first configuration, by questions or flags. Overwrites nothing unless it is told to.

import { existsSync, lstatSync, readFileSync, renameSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { createFile, ForeignFileError, replaceFile, requirePlainFile } from "../base/own-files.ts";
import { loadConfig } from "../config/config.ts";
import { systemFiles } from "../config/files.ts";
import { toDisplayPath } from "../config/locations.ts";
import type { Input, Verb } from "./command.ts";
import { CommandError, usageError } from "./command-error.ts";
import { type Choices, formatConfig } from "./init-template.ts";
import { exitCodes, type World } from "./world.ts";

const keyName = "GLM_FLASH_API_KEY";
const platforms = {
  bigmodel: "https://open.bigmodel.cn/api/paas/v4",
  zai: "https://api.z.ai/api/paas/v4",
} as const;
const keyPlaces = ["dotenv", "config", "none"] as const;

export const init: Verb = {
  name: "init",
  summary: "write a first configuration, by questions or flags",
  details:
    "Asks on a terminal for what no flag says; takes defaults with --yes and where nobody can be asked. The GLM key goes into " +
    ".env beside you (GLM_FLASH_API_KEY, kept apart from what you may want to share), or into the file; both are made for " +
    "your eyes only (0600), and an .env that is there keeps its mode. A key in the environment already is left there.",
  options: [
    { flags: "-c, --config <file>", description: "the file to write", fallback: "config.toml" },
    {
      flags: "--platform <name>",
      description: "where the key is from: bigmodel (open.bigmodel.cn) or zai (api.z.ai)",
      choices: Object.keys(platforms),
    },
    { flags: "--key-stdin", description: "read the GLM key from standard input" },
    { flags: "--key-in <place>", description: "where the GLM key is kept", choices: keyPlaces },
    { flags: "--rate <number>", description: "calls that may start in a second (default: 2)" },
    { flags: "--max-concurrency <number>", description: "calls at once (default: the gateway finds out)" },
    {
      flags: "--host <address>",
      description: "address to listen on: 0.0.0.0 for all, 127.0.0.1 for this machine alone",
    },
    { flags: "--port <number>", description: "port to listen on (default: 8080)" },
    { flags: "-y, --yes", description: "ask nothing" },
    { flags: "--force", description: "replace what is there; the old file is kept with .old at its end" },
  ],
  examples: [
    "glm-proxy init",
    "glm-proxy init --yes --rate 2 --port 8080 --host 127.0.0.1",
    "glm-proxy init --yes --platform zai --key-stdin < key.txt",
  ],
  async run(input, world) {
    const file = resolve(world.cwd, input.text("config") ?? "config.toml");
    const name = toDisplayPath(file, world.cwd);
    if (requirePlace(file, name) && !input.isSet("force")) {
      throw new CommandError(`Nothing was written: ${name} is there already.`, {
        advice: "--force replaces it and keeps the old one, --config names another file.",
      });
    }
    const choices = await choose(input, world);
    const text = formatConfig(choices);
    const dotenv = choices.keyPlace === "dotenv" ? choices.apiKey : null;
    const dotenvPath = join(world.cwd, ".env");
    const hasDotenv = requirePlace(dotenvPath, ".env");
    const dotenvText = dotenv === null ? null : addToDotenv(dotenvPath, dotenv, input.isSet("force"));
    writeConfig(file, text);
    world.print(`Wrote ${name}.`);
    if (dotenvText !== null) {
      doing(dotenvPath, () => (hasDotenv ? replaceFile(dotenvPath, dotenvText) : createFile(dotenvPath, dotenvText)));
      world.print("Wrote the GLM key to .env; keep both files out of version control.");
      if ((statSync(dotenvPath).mode & 0o077) !== 0) {
        world.printError("warning: others can read .env, and a key is in it: chmod 600 .env");
      }
    }
    check(file, world);
    sayNext(world, name, choices);
    return exitCodes.fine;
  },
};

async function choose(input: Input, world: World): Promise<Choices> {
  const ask = input.isSet("yes") || !world.ask ? null : world.ask;
  if (ask) world.printError("A few questions; Enter takes what is in brackets.\n");
  const platform =
    input.text("platform") ??
    (await pick(ask, world, "Where is your GLM key from, open.bigmodel.cn or api.z.ai?", ["bigmodel", "zai"]));
  const apiKey = await chooseKey(input, world, ask !== null);
  const keyPlace = apiKey === null ? "none" : await choosePlace(input, world, ask);
  const rate = await chooseNumber(
    input,
    world,
    ask,
    "rate",
    "How many calls may start in a second?",
    "2",
    0.001,
    1_000_000,
  );
  const concurrency = await chooseNumber(
    input,
    world,
    ask,
    "max-concurrency",
    "How many calls at once does GLM allow you? Empty if you don't know: the gateway finds out",
    "",
    1,
    100_000,
  );
  const reach =
    input.text("host") ??
    (await pick(ask, world, "Who is to reach the gateway, the network or this machine alone?", ["network", "alone"]));
  const host = reach === "network" ? "0.0.0.0" : reach === "alone" ? "127.0.0.1" : reach;
  const port = await chooseNumber(input, world, ask, "port", "On which port?", "8080", 0, 65_535);
  return {
    baseUrl: platforms[platform as keyof typeof platforms],
    apiKey,
    keyPlace,
    requestsPerSecond: rate ?? 2,
    concurrencyMax: concurrency,
    host,
    port: port ?? 8_080,
  };
}

type Ask = World["ask"];

async function pick(ask: Ask, world: World, question: string, names: readonly [string, ...string[]]): Promise<string> {
  const [first] = names;
  while (ask) {
    const typed = (await ask(`${question} (${names.join(", ")}) [${first}] `)).trim().toLowerCase();
    if (typed === "") break;
    if (names.includes(typed)) return typed;
    world.printError(`Please type ${names.join(" or ")}.`);
  }
  return first;
}

/** Null: none is to be written, because there is none or the environment has it. */
async function chooseKey(input: Input, world: World, mayAsk: boolean): Promise<string | null> {
  if (input.isSet("key-stdin")) {
    const typed = (await world.readInput()).trim();
    if (!isKey(typed)) throw usageError("Nothing was written: there is no GLM key on standard input.");
    return typed;
  }
  if (world.env[keyName]) {
    if (mayAsk) world.printError(`The GLM key is in the environment already (${keyName}) and stays there.`);
    return null;
  }
  while (mayAsk && world.askSecret) {
    const typed = (await world.askSecret("Your GLM key (it is not shown; empty: later): ")).trim();
    if (typed === "") return null;
    if (isKey(typed)) return typed;
    world.printError("That is no key: it has no spaces, and visible ASCII characters only.");
  }
  return null;
}

function isKey(text: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(text);
}

async function choosePlace(input: Input, world: World, ask: Ask): Promise<Choices["keyPlace"]> {
  const named = input.text("key-in");
  if (named !== undefined) return named as Choices["keyPlace"];
  const question = "Keep it in .env, apart from what you may share, or in the configuration file?";
  return (await pick(ask, world, question, ["dotenv", "config"])) as Choices["keyPlace"];
}

/** Null: nothing was said. */
async function chooseNumber(
  input: Input,
  world: World,
  ask: Ask,
  option: string,
  question: string,
  fallback: string,
  min: number,
  max: number,
): Promise<number | null> {
  const isWhole = option !== "rate";
  const given = isWhole ? input.wholeNumber(option, min, max) : input.number(option, min, max);
  if (given !== undefined) return given;
  while (ask) {
    const typed = (await ask(`${question}${fallback === "" ? "" : ` [${fallback}]`} `)).trim() || fallback;
    if (typed === "") return null;
    const value = Number(typed);
    if (value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value;
    world.printError(`Please type a ${isWhole ? "whole " : ""}number from ${min} to ${max}.`);
  }
  return null;
}

/** The text of `.env` with the key in it. Throws CommandError when it has another one. */
function addToDotenv(path: string, key: string, mayReplace: boolean): string {
  const line = `${keyName}=${quote(key)}`;
  const old = existsSync(path) ? readFileSync(path, "utf8") : "";
  const pattern = new RegExp(`^[ \\t]*(?:export[ \\t]+)?${keyName}[ \\t]*=.*$`, "m");
  if (!pattern.test(old)) return `${old}${old === "" || old.endsWith("\n") ? "" : "\n"}${line}\n`;
  if (mayReplace) return old.replace(pattern, () => line);
  throw new CommandError(`Nothing was written: .env has a ${keyName} already.`, {
    advice: "--force replaces it; with --key-in none it stays.",
  });
}

/** As Node's own reader of such files understands it. */
function quote(key: string): string {
  if (/^[\w.:/+=@-]+$/.test(key)) return key;
  return key.includes("'") ? `"${key}"` : `'${key}'`;
}

/** Whether a file is there. Throws CommandError for anything but a regular file. */
function requirePlace(path: string, name: string): boolean {
  return doing(path, () => requirePlainFile(path, name) !== null);
}

/** For its owner's eyes alone. What was there before is kept under the first of its names that is free. */
function writeConfig(file: string, text: string): void {
  doing(file, () => {
    if (!existsSync(file)) return createFile(file, text);
    let kept = `${file}.old`;
    for (let number = 2; lstatSync(kept, { throwIfNoEntry: false }); number++) kept = `${file}.old.${number}`;
    renameSync(file, kept);
    try {
      return createFile(file, text);
    } catch (error) {
      renameSync(kept, file);
      throw error;
    }
  });
}

function doing<Result>(path: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    if (error instanceof ForeignFileError) {
      throw new CommandError(`Nothing was written: ${error.message}.`, { exitCode: exitCodes.unavailable });
    }
    throw new CommandError(`Cannot write ${path}: ${(error as Error).message}`);
  }
}

/** What was written is what the server will read: better to hear of a mistake now. Throws ConfigError. */
function check(file: string, world: World): void {
  const env = { [keyName]: "set-later", ...world.env };
  loadConfig(
    { path: file, env, cwd: world.cwd, files: systemFiles },
    { createSecret: () => "-".repeat(32), mayStoreSecret: false },
  );
}

function sayNext(world: World, name: string, { apiKey, port }: Choices): void {
  const config = name === "config.toml" ? "" : ` --config ${name}`;
  const needsKey = apiKey === null && !world.env[keyName];
  const steps = [
    ...(needsKey ? [[`echo ${keyName}=YOUR-KEY >> .env && chmod 600 .env`, "the GLM key"]] : []),
    [`glm-proxy doctor --online${config}`, "is everything in place, does GLM take the key?"],
    [`glm-proxy user add NAME --admin${config}`, "the first administrator"],
    [`glm-proxy serve${config}`, `the gateway, on port ${port}`],
    ["glm-proxy key add --owner NAME --name laptop", "an API key, while it runs"],
  ] as const;
  const width = Math.max(...steps.map(([command]) => command?.length ?? 0));
  world.print("\nNext:");
  for (const [command = "", what] of steps) world.print(`  ${command.padEnd(width)}  # ${what}`);
}

// glm-proxy doctor: what is wrong with this installation, or soon will be, each with one fix. Changes nothing.

import { join, resolve } from "node:path";
import { toOneLine } from "../base/clean-text.ts";
import { ConfigError, createSecretMaker, type LoadedConfig } from "../config/config.ts";
import { dataFolder } from "../config/locations.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { ask } from "./client/ask.ts";
import { environmentOf } from "./client/environment.ts";
import { createHttpClient } from "./client/http-client.ts";
import { probe, socketPath } from "./client/open-client.ts";
import { loadWithoutServing } from "./client/store-client.ts";
import type { QueueJson } from "./client/wire.ts";
import type { Input, Verb } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { checkDirectly, checkThroughServer } from "./doctor/database.ts";
import { checkModes, checkSpace } from "./doctor/files.ts";
import { type Finding, fail, ok, warn } from "./doctor/finding.ts";
import { checkLimits } from "./doctor/limits.ts";
import { checkKey, checkOnline, checkReach } from "./doctor/upstream.ts";
import { loadFor } from "./load.ts";
import { padToWidth, wrapText } from "./output/display-width.ts";
import { createPage, formatOf, formatOptions, printJson } from "./output/report.ts";
import type { StyleName } from "./output/style.ts";
import { plural } from "./output/words.ts";
import { exitCodes, type World } from "./world.ts";

export const doctor: Verb = {
  name: "doctor",
  summary: "look for what is wrong, or soon will be, and say how to put it right",
  details:
    "Checks the configuration, files and their modes, disk, database or running server, the way to the upstream, and limits " +
    "that the upstream has taught. Exit code 1 when something fails; warnings alone are 0.",
  options: [
    { flags: "--online", description: "also make one call of one token with the upstream key, and compare clocks" },
    ...formatOptions,
    { flags: "-c, --config <file>", description: "configuration file" },
    { flags: "--data <folder>", description: "the data folder, where it is not the usual one" },
  ],
  examples: ["glm-proxy doctor", "glm-proxy doctor --online --config /etc/glm_proxy/config.toml"],
  async run(input, world) {
    const isJson = formatOf(input, world) === "json";
    const findings: Finding[] = [];
    for await (const finding of examine(input, world)) {
      findings.push(finding);
      if (!isJson) print(finding, world);
    }
    const failures = findings.filter(({ level }) => level === "fail").length;
    const warnings = findings.filter(({ level }) => level === "warn").length;
    if (isJson) printJson(world, findings);
    else world.print(summarise(failures, warnings));
    return failures > 0 ? exitCodes.failure : exitCodes.fine;
  },
};

async function* examine(input: Input, world: World): AsyncGenerator<Finding> {
  const socket = socketPath(input, world);
  const state = await probe(socket);
  const { loaded, findings, hasKey } = examineConfig(input, world, state !== "absent");
  yield* findings;
  const folder = resolve(world.cwd, dataFolder(environmentOf(input, world)));
  yield* checkModes(loaded?.file ?? null, join(world.cwd, ".env"), folder);
  if (loaded === null) return;
  yield checkSpace(loaded);
  if (state === "answers") yield* examineServer(socket, world);
  else if (state === "forbidden") {
    const fix = "run this as the account that runs the gateway";
    yield warn("server", `a gateway runs, but ${socket} is another account's`, fix);
  } else {
    yield ok("server", "none runs here: looking at the database itself");
    yield* await checkDirectly(loaded);
  }
  const { upstreams } = loaded.settings.glm;
  for (const baseUrl of new Set(upstreams.map((upstream) => upstream.baseUrl))) {
    yield* await checkReach(baseUrl, world.clock);
  }
  if (!hasKey) return;
  for (const upstream of upstreams) yield checkKey(loaded, upstream);
  if (!input.isSet("online")) return;
  for (const upstream of upstreams) yield* await checkOnline(upstream, `glm-proxy/${world.version}`, world.clock);
}

interface Examined {
  /** Null: nothing can be said of anything that is configured. */
  readonly loaded: LoadedConfig | null;
  readonly findings: readonly Finding[];
  readonly hasKey: boolean;
}

function examineConfig(input: Input, world: World, isServed: boolean): Examined {
  const config = input.text("config");
  try {
    const mode = { createSecret: createSecretMaker(), mayStoreSecret: false };
    const loaded = loadFor(
      config === undefined ? {} : { config },
      { ...world, env: environmentOf(input, world) },
      mode,
    );
    return { loaded, findings: describeConfig(loaded), hasKey: true };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    try {
      const loaded = loadWithoutServing(input, world);
      const fix = "set GLM_FLASH_API_KEY, in the environment or in .env; glm-proxy init asks for it";
      const missing = isServed
        ? warn("key", "the upstream key is not known in this shell: only the running gateway has it", fix)
        : fail("key", "there is no upstream key", fix);
      return { loaded, findings: [...describeConfig(loaded), missing], hasKey: false };
    } catch {
      const findings = error.problems.map((problem) =>
        fail("configuration", problem, "correct it; glm-proxy check tries it"),
      );
      return { loaded: null, findings, hasKey: false };
    }
  }
}

/** The business of the checks of files and of the key. */
const toldElsewhere: ReadonlySet<string> = new Set(["readable_secrets", "sample_key"]);

function describeConfig({ file, notices }: LoadedConfig): Finding[] {
  const others = notices.filter(({ level, code }) => level === "warn" && !toldElsewhere.has(code));
  const source = file ?? "the environment and defaults, since there is no file";
  return [ok("configuration", `${source}: valid`), ...others.map(({ message }) => splitNotice(message))];
}

/** Notices say what is and what to do in that order, in sentences. */
function splitNotice(message: string): Finding {
  const [text = message, ...rest] = message.split(/(?<=[.:]) (?=[A-Z]|chmod)/);
  return warn("configuration", text.replace(/[.:]$/, ""), rest.join(" ") || "see the documentation of this key");
}

async function* examineServer(socket: string, world: World): AsyncGenerator<Finding> {
  const client = createHttpClient({ kind: "socket", path: socket }, `glm-proxy/${world.version}`);
  try {
    yield await lookAtServer(client);
    yield* await checkThroughServer(client);
    yield* await checkLimits(client);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    yield fail("server", error.message, "restart it; its log says more");
  } finally {
    await client.close();
  }
}

async function lookAtServer(client: AdminClient): Promise<Finding> {
  const {
    running_count: running,
    waiting_count: waiting,
    queue_capacity: capacity,
  } = await ask<QueueJson>(client, "look at the queue", "GET", "/admin/queue");
  const text = `a gateway runs here: ${plural(running, "call runs", "calls run")}, ${waiting} of at most ${capacity} wait`;
  return waiting >= capacity && capacity > 0
    ? warn(
        "server",
        text,
        "the queue is full: raise [rate_limit] queue_capacity, or see with glm-proxy top who fills it",
      )
    : ok("server", text);
}

const shown: Readonly<Record<Finding["level"], { word: string; style: StyleName }>> = {
  ok: { word: "ok", style: "green" },
  warn: { word: "warn", style: "yellow" },
  fail: { word: "FAIL", style: "red" },
};

/** Where the texts of findings begin. */
const textIndent = 21;

function print({ level, what, text, fix }: Finding, world: World): void {
  const { style, width } = createPage(world);
  const { word, style: name } = shown[level];
  const lines = (text: string, indent: number) =>
    wrapText(toOneLine(text), width - indent).join(`\n${" ".repeat(indent)}`);
  world.print(`${style.apply(name, padToWidth(word, 4))}  ${padToWidth(what, 13)}  ${lines(text, textIndent)}`);
  if (fix !== null) world.print(`${" ".repeat(textIndent)}→ ${lines(fix, textIndent + 2)}`);
}

function summarise(failures: number, warnings: number): string {
  if (failures + warnings === 0) return "\nNothing is wrong.";
  const parts = [
    failures > 0 ? plural(failures, "failure", "failures") : null,
    warnings > 0 ? plural(warnings, "warning", "warnings") : null,
  ];
  return `\n${parts.filter((part) => part !== null).join(" and ")}.`;
}

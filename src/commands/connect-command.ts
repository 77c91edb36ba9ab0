// glm-proxy connect: what to set in a tool so that it asks the gateway, and its own configuration changed so, and back.

import { resolve } from "node:path";
import { toOneLine } from "../base/clean-text.ts";
import { escapeControls, maskSecret, quote, redactUrl } from "../config/masks.ts";
import type { Input, Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { type Access, readAccess } from "./connect/access.ts";
import { claude } from "./connect/claude.ts";
import { codex } from "./connect/codex.ts";
import { type Change, type EditedFile, findFile, restore, type Written, writeSettings } from "./connect/edited-file.ts";
import { cline, openwebui } from "./connect/forms.ts";
import { showPath } from "./connect/home.ts";
import { curl, node, python } from "./connect/libraries.ts";
import { opencode } from "./connect/opencode.ts";
import { guessShell, type Shell, shells } from "./connect/shell-lines.ts";
import type { Tool, ToolFile } from "./connect/tool.ts";
import { cutToWidth } from "./output/display-width.ts";
import { createPage, printJson } from "./output/report.ts";
import type { StyleName } from "./output/style.ts";
import { exitCodes, type World } from "./world.ts";

const options: NonNullable<Verb["options"]> = [
  { flags: "--url <url>", description: "the gateway's URL (default: that of this machine); also GLM_PROXY_URL" },
  { flags: "--key <key>", description: "an API key; it shows in process lists: better - for standard input" },
  {
    flags: "--key-file <file>",
    description: "a file with the key; without both, GLM_PROXY_KEY is used, but not shown",
  },
  { flags: "--model <model>", description: "the model to use (default: glm-4.5-flash)" },
  { flags: "--shell <shell>", description: "whose lines are printed (default: yours)", choices: shells },
  { flags: "--write", description: "change the tool's own configuration, and keep what was there beside it" },
  { flags: "--restore", description: "put back what was there before the first --write" },
  { flags: "--force", description: "with --restore: also when the file was changed since" },
  { flags: "--file <file>", description: "with --write and --restore: the file, where it is not the usual one" },
  { flags: "--json", description: "the same as JSON" },
  { flags: "-c, --config <file>", description: "configuration of the gateway of this machine" },
  { flags: "--data <folder>", description: "its data folder, where it is not the usual one" },
];

/** One for each tool. */
export const connectVerbs: readonly Verb[] = [claude, codex, opencode, cline, openwebui, python, node, curl].map(
  (tool): Verb => ({
    name: tool.name,
    summary: tool.summary,
    ...(tool.details !== undefined && { details: tool.details }),
    options,
    examples: tool.examples.map((line) => `glm-proxy connect ${line}`),
    async run(input, world) {
      const [isWrite, isRestore] = [input.isSet("write"), input.isSet("restore")];
      if (isWrite && isRestore) throw usageError("Cannot both --write and --restore: give one.");
      if (input.isSet("force") && !isRestore) throw usageError("--force goes with --restore.");
      if (input.text("file") !== undefined && !isWrite && !isRestore) {
        throw usageError("--file goes with --write and --restore.");
      }
      if (isRestore) return restoreFile(tool, input, world);
      if (isWrite) return writeFile(tool, input, world);
      printSnippets(tool, await readAccess(input, world), input, world);
      return exitCodes.fine;
    },
  }),
);

function shellOf(input: Input, world: World): Shell {
  return (input.text("shell") as Shell | undefined) ?? guessShell(world.env);
}

/** Text in pipes too: it is made to be put somewhere. */
function printSnippets(tool: Tool, access: Access, input: Input, world: World): void {
  const snippets = tool.describe(access, shellOf(input, world));
  if (input.isSet("json")) {
    printJson(world, { tool: tool.name, url: access.url, model: access.model, snippets });
    return;
  }
  const { style } = createPage(world);
  world.print(style.apply("bold", `# ${tool.title} at ${access.url}`));
  for (const { where, text } of snippets) world.print(`${style.apply("dim", `# ${where}`)}\n${text}\n`);
  if (typeof tool.file === "string") return;
  const path = tool.file.locate(world);
  const place = path === null ? "into the file that --file names" : `into ${showPath(path, world)}`;
  world.print(style.apply("dim", `# --write puts it ${place}, and --restore takes it out again.`));
}

function requireFile(tool: Tool, input: Input, world: World): { file: ToolFile; edited: EditedFile } {
  const { file } = tool;
  if (typeof file === "string") {
    throw usageError(
      `There is nothing to write for ${tool.title}: ${file}.`,
      `glm-proxy connect ${tool.name} shows what to set.`,
    );
  }
  const named = input.text("file");
  const path = named === undefined ? file.locate(world) : resolve(world.cwd, named);
  if (path === null) {
    throw usageError(`Cannot tell which file ${tool.title} reads: name it with --file, such as --file .env.`);
  }
  return { file, edited: findFile(path, showPath(path, world), file.format) };
}

async function writeFile(tool: Tool, input: Input, world: World): Promise<number> {
  const { file, edited } = requireFile(tool, input, world);
  const access = await readAccess(input, world);
  const settings = file.settings(access);
  const written = writeSettings(edited, settings);
  if (input.isSet("json")) {
    const changes = written.changes.map((change) => ({
      setting: change.path.join("."),
      before: show(change, change.before),
      after: show(change, change.after),
    }));
    printJson(world, { tool: tool.name, file: edited.path, backup: written.backup, changes });
    return exitCodes.fine;
  }
  printWritten(tool, edited, written, world);
  if (written.isOpen && settings.some(({ isSecret }) => isSecret)) {
    world.printError(`warning: others can read ${edited.shownPath}, and a key is in it: chmod 600 ${edited.shownPath}`);
  }
  for (const line of file.next(access, shellOf(input, world))) world.print(line);
  return exitCodes.fine;
}

function printWritten(tool: Tool, { shownPath }: EditedFile, { changes, backup }: Written, world: World): void {
  if (changes.length === 0) {
    world.print(`${shownPath} has it all already.`);
    return;
  }
  const { style } = createPage(world);
  const line = (sign: string, change: Change, value: unknown, name: StyleName) =>
    value !== undefined &&
    world.print(style.apply(name, toOneLine(`${sign} ${change.path.join(".")} = ${show(change, value)}`)));
  world.print(shownPath);
  for (const change of changes) {
    line("-", change, change.before, "red");
    line("+", change, change.after, "green");
  }
  const kept = backup === null ? "There was none before" : `What was there is in ${shownPath}.before-glm-proxy`;
  world.print(`${kept}; glm-proxy connect ${tool.name} --restore puts it back.`);
}

/** Also values from before may be secrets. Undefined: there is none. */
function show({ isSecret }: Change, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") return cutToWidth(escapeControls(JSON.stringify(value)), 60);
  if (isSecret && value !== "" && !/^\{env:\w+\}$/.test(value)) return maskSecret(value);
  return quote(value.includes("://") ? redactUrl(value) : value);
}

function restoreFile(tool: Tool, input: Input, world: World): number {
  const { file, edited } = requireFile(tool, input, world);
  const outcome = restore(edited, file.owned, input.isSet("force"));
  if (input.isSet("json")) printJson(world, { tool: tool.name, file: edited.path, outcome });
  else if (outcome === "removed") world.print(`Removed ${edited.shownPath}: there was none before.`);
  else world.print(`${edited.shownPath} is as it was before.`);
  return exitCodes.fine;
}

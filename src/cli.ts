// The command line: makes a parser and its help of the commands in src/commands/tree.ts, runs the one that was asked for,
// and turns what it throws into words and an exit code.

import { Command, CommanderError, Option } from "commander";
import { type Entry, Input, longNameOf, type OptionSpec, type Verb } from "./commands/command.ts";
import { entries } from "./commands/tree.ts";
import { exitCodes, type World } from "./commands/world.ts";

/** After sysexits(3). 69: a server, a port or the database. */
const exitCodesText = "Exit codes: 0 fine, 1 failure, 2 usage, 69 not available, 78 configuration.";

/** Resolves with the exit code. */
export async function runCli(argv: readonly string[], world: World): Promise<number> {
  let exitCode: number = exitCodes.fine;
  const program = createCommand("glm-proxy", world)
    .description("Shares one scarce GLM API key safely and fairly among many users and tools.")
    .version(world.version)
    .addHelpText(
      "after",
      `\nglm-proxy COMMAND --help has examples.\n${exitCodesText}\n` +
        "Without --config: ./config.toml, $XDG_CONFIG_HOME/glm-proxy/config.toml,\n/etc/glm_proxy/config.toml.",
    );

  const named = entries.find(({ name }) => name === argv[0]);
  if (!named && /^[^-]/.test(argv[0] ?? "") && argv[0] !== "help") return refuseUnknown(argv[0] ?? "", world);
  for (const entry of named ? [named] : entries) {
    const command = program.command(entry.name, { isDefault: entry.isDefault === true }).description(entry.summary);
    // Of the others, help needs the summary alone.
    if (entry !== named && !entry.isDefault && entry.name !== argv[1]) continue;
    const loaded = await entry.load();
    if ("run" in loaded) addVerb(command, loaded);
    else addVerbs(command, entry, loaded);
  }

  function addVerbs(command: Command, { name }: Entry, verbs: readonly Verb[]): void {
    for (const verb of verbs) {
      const child = createCommand(verb.name, world);
      command.addCommand(child);
      addVerb(child, verb);
    }
    command.addHelpText("after", `\nglm-proxy ${name} VERB --help has examples.\n${exitCodesText}`);
  }

  function addVerb(command: Command, verb: Verb): void {
    command.description([verb.summary, verb.details].filter(Boolean).join("\n\n")).summary(verb.summary);
    for (const { name, description, fallback } of verb.arguments ?? []) command.argument(name, description, fallback);
    for (const spec of verb.options ?? []) command.addOption(toOption(spec));
    const examples = (verb.examples ?? []).map((line) => `  ${line}\n`).join("");
    command.addHelpText("after", `${examples === "" ? "" : `\nExamples:\n${examples}`}\n${exitCodesText}`);
    command.action(async (...given: unknown[]) => {
      const args = given.slice(0, -2).map((value) => (typeof value === "string" ? value : undefined));
      exitCode = await verb.run(new Input(args, readOptions(command, verb)), world);
    });
  }

  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    // Commander has printed its complaint, or the help or version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage;
    const { explainFailure } = await import("./commands/explain-failure.ts");
    return explainFailure(error, world);
  }
  return exitCode;
}

async function refuseUnknown(word: string, world: World): Promise<number> {
  const { findNearest } = await import("./config/nearest-name.ts");
  const { toOneLine } = await import("./base/clean-text.ts");
  const names = entries.map(({ name }) => name);
  const nearest = findNearest(word, names);
  world.printError(
    `error: unknown command '${toOneLine(word)}'${nearest === null ? "" : `: did you mean ${nearest}?`}`,
  );
  world.printError("glm-proxy --help lists the commands.");
  return exitCodes.usage;
}

function createCommand(name: string, world: World): Command {
  return new Command(name)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => world.write(text),
      writeErr: (text) => world.printError(text.trimEnd()),
      getOutHelpWidth: () => world.screenSize().columns,
      getErrHelpWidth: () => world.screenSize().columns,
    });
}

function toOption({ flags, description, fallback, choices, isRepeated }: OptionSpec): Option {
  const option = new Option(flags, description);
  if (choices) option.choices(choices);
  if (isRepeated) option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  else if (fallback !== undefined) option.default(fallback);
  return option;
}

/** By their long names. Of a pair `--x <value>` and `--no-x`, the one that was given is there. */
function readOptions(command: Command, verb: Verb): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { flags } of verb.options ?? []) {
    const name = longNameOf(flags);
    const option = command.options.find(({ long }) => long === `--${name}`);
    if (!option) continue;
    const value: unknown = command.getOptionValue(option.attributeName());
    if (option.negate) values[name] = value === false;
    else if (value !== false) values[name] = value;
  }
  return values;
}

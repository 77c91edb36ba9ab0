// The life of the process: checks the runtime, gives the command line its world, ends with its exit code.

import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { isatty } from "node:tty";
import { toHarmlessLines } from "./base/clean-text.ts";
import { systemClock } from "./base/clock.ts";
import { mayOthersFill } from "./base/own-files.ts";
import { runCli } from "./cli.ts";
import { CommandError } from "./commands/command-error.ts";
import { openOutput } from "./commands/output/standard-output.ts";
import { exitCodes, type World } from "./commands/world.ts";
import { findRuntimeProblem } from "./runtime.ts";

/** How long a process that ends waits for the readers of its outputs. */
const flushMsMax = 1_000;

// Where another account could put code into it, there is no cache.
if (process.env.NODE_COMPILE_CACHE || !mayOthersFill(join(tmpdir(), "node-compile-cache"))) enableCompileCache?.();

await main();

async function main(): Promise<void> {
  const problem = findRuntimeProblem(process.versions, process.execArgv, process.env.NODE_OPTIONS);
  if (problem !== null) {
    console.error(problem);
    process.exit(exitCodes.failure);
  }

  const whenOutputCloses: (() => void)[] = [];
  const output = openOutput(process.stdout, () => {
    for (const handler of whenOutputCloses.splice(0)) handler();
  });
  const errorOutput = openOutput(process.stderr, () => {});
  let handlesSignals = false;

  const world: World = {
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    version: readVersion(),
    isTerminal: process.stdout.isTTY === true,
    screenSize: () => ({ columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 }),
    isTerminalGone: () => process.stdout.isTTY === true && !isatty(process.stdout.fd),
    output,
    print: (line) => output.write(`${toHarmlessLines(line)}\n`),
    printError: (line) => errorOutput.write(`${toHarmlessLines(line)}\n`),
    write: output.write,
    onOutputClosed: (handler) => void whenOutputCloses.push(handler),
    async readInput() {
      let text = "";
      for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
      return text;
    },
    ask: process.stdin.isTTY ? (question) => ask(question, true) : null,
    askSecret: process.stdin.isTTY ? (question) => ask(question, false) : null,
    readKeys: process.stdin.isTTY ? readKeys : null,
    onSignal(signal, handler) {
      handlesSignals = true;
      process.on(signal, handler);
    },
    onUnexpected(handler) {
      process.on("uncaughtException", handler);
      process.on("unhandledRejection", handler);
    },
  };

  const exitCode = await runCli(process.argv.slice(2), world);
  const flushed = Promise.all([output.flush(), errorOutput.flush()]);
  // A command that handles signals can't be ended by one any more: its outputs and whatever it left open don't keep it.
  if (handlesSignals) {
    await Promise.race([flushed, new Promise<void>((resolve) => systemClock.after(flushMsMax, resolve))]);
    process.exit(exitCode);
  }
  await flushed;
  if (output.failure !== null) errorOutput.write(`Cannot write to standard output: ${output.failure.message}\n`);
  process.exitCode = exitCode === exitCodes.fine && output.failure !== null ? exitCodes.failure : exitCode;
}

/** On standard error, so that the answer of a command can go into a pipe. */
async function ask(question: string, isShown: boolean): Promise<string> {
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  // Takes the terminal's echo away: only then the question, so that nothing of a quick answer shows.
  const reader = createInterface({ input: process.stdin, output: isShown ? process.stderr : hidden, terminal: true });
  if (!isShown) process.stderr.write(question);
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  reader.once("SIGINT", () => reader.close());
  reader.once("close", () => reject(new CommandError("Nothing was done: the question was not answered.")));
  try {
    return await Promise.race([reader.question(isShown ? question : ""), givenUp]);
  } finally {
    givenUp.catch(() => {});
    if (!isShown) process.stderr.write("\n");
    reader.close();
  }
}

function readKeys(onKey: (key: string) => void): () => void {
  const { stdin } = process;
  const wasRaw = stdin.isRaw;
  const take = (key: Buffer) => onKey(key.toString("utf8"));
  stdin.setRawMode(true);
  stdin.on("data", take).resume();
  return () => {
    stdin.off("data", take).pause();
    stdin.setRawMode(wasRaw);
  };
}

/** The bundle carries its version; a checkout reads it from package.json. */
function readVersion(): string {
  if (process.env.GLM_PROXY_BUNDLED_VERSION) return process.env.GLM_PROXY_BUNDLED_VERSION;
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

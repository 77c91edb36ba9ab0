// The life of the process: checks the runtime, gives the command line its world, ends with its exit code.

import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { systemClock } from "./base/clock.ts";
import { runCli } from "./cli.ts";
import { exitCodes, type World } from "./commands/world.ts";
import { findRuntimeProblem } from "./runtime.ts";

enableCompileCache?.();

const problem = findRuntimeProblem(process.versions, process.execArgv, process.env.NODE_OPTIONS);
if (problem !== null) {
  console.error(problem);
  process.exit(exitCodes.failure);
}

const world: World = {
  env: process.env,
  cwd: process.cwd(),
  clock: systemClock,
  version: readVersion(),
  isTerminal: process.stdout.isTTY === true,
  print: (line) => void process.stdout.write(`${line}\n`),
  printError: (line) => void process.stderr.write(`${line}\n`),
  write: (text) => void process.stdout.write(text),
  async readInput() {
    let text = "";
    for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
    return text;
  },
  askSecret: process.stdin.isTTY ? askSecret : null,
  onSignal: (signal, handler) => void process.on(signal, handler),
  onUnexpected(handler) {
    process.on("uncaughtException", handler);
    process.on("unhandledRejection", handler);
  },
};

// A reader that goes away (as `| head` does) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

process.exitCode = await runCli(process.argv.slice(2), world);

async function askSecret(question: string): Promise<string> {
  process.stderr.write(question);
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: hidden, terminal: true });
  try {
    return await reader.question("");
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}

/** The bundle carries its version; a checkout reads it from package.json. */
function readVersion(): string {
  if (process.env.GLM_PROXY_BUNDLED_VERSION) return process.env.GLM_PROXY_BUNDLED_VERSION;
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

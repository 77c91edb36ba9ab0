// Loading the configuration for a command: the same sources for the start, each reload, and the check.

import { toOneLine } from "../base/clean-text.ts";
import { ConfigError, type LoadedConfig, type LoadOptions, loadConfig } from "../config/config.ts";
import { systemFiles } from "../config/files.ts";
import { wrapText } from "./output/display-width.ts";
import { createPage } from "./output/report.ts";
import type { World } from "./world.ts";

export interface ConfigChoice {
  readonly config?: string;
  readonly host?: string;
  readonly port?: string;
}

export type LoadMode = LoadOptions;

/** Throws ConfigError. */
export function loadFor({ config, host, port }: ConfigChoice, world: World, mode: LoadMode): LoadedConfig {
  const flags = { "server.host": host, "server.port": port };
  return loadConfig({ path: config, env: world.env, cwd: world.cwd, flags, files: systemFiles }, mode);
}

/** Prints what is wrong; rethrows what is no problem of the configuration. */
export function printProblems(error: unknown, world: World): void {
  if (!(error instanceof ConfigError)) throw error;
  const count = error.problems.length;
  world.printError(`Cannot use the configuration: ${count} ${count === 1 ? "problem" : "problems"}.`);
  const { width } = createPage(world);
  for (const problem of error.problems) {
    world.printError(`  ${wrapText(toOneLine(problem), width - 4).join("\n    ")}`);
  }
  // The first start of all, as a rule.
  if (error.problems.some((problem) => /no such file|Cannot find the upstream key/.test(problem))) {
    world.printError("To write a first configuration by questions: glm-proxy init");
  }
}

// What a command threw, in words on standard error, and the exit code that stands for it.

import { toOneLine } from "../base/clean-text.ts";
import { ForeignFileError } from "../base/own-files.ts";
import { ConfigError } from "../config/config.ts";
import { StoreError } from "../store/store.ts";
import { CommandError } from "./command-error.ts";
import { printProblems } from "./load.ts";
import { wrapText } from "./output/display-width.ts";
import { createPage } from "./output/report.ts";
import { exitCodes, type World } from "./world.ts";

/** Rethrows what nobody expected. */
export function explainFailure(error: unknown, world: World): number {
  if (error instanceof CommandError) {
    printProse(error.message, world);
    if (error.advice !== undefined) world.printError(error.advice.split("\n").map(toOneLine).join("\n"));
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    printProblems(error, world);
    return exitCodes.configuration;
  }
  if (error instanceof StoreError) {
    printProse(`Cannot use the database: ${error.message}.`, world);
    return exitCodes.unavailable;
  }
  if (error instanceof ForeignFileError) {
    printProse(`Nothing was changed: ${error.message}, which is not the gateway's.`, world);
    return exitCodes.unavailable;
  }
  throw error;
}

function printProse(text: string, world: World): void {
  world.printError(wrapText(toOneLine(text), createPage(world).width).join("\n"));
}

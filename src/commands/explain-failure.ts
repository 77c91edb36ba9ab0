// What a command threw, in words on standard error, and the exit code that stands for it.

import { ForeignFileError } from "../base/own-files.ts";
import { ConfigError } from "../config/config.ts";
import { StoreError } from "../store/store.ts";
import { CommandError } from "./command-error.ts";
import { printProblems } from "./load.ts";
import { toOneLine } from "./output/display-width.ts";
import { exitCodes, type World } from "./world.ts";

/** Rethrows what nobody expected. */
export function explainFailure(error: unknown, world: World): number {
  if (error instanceof CommandError) {
    world.printError(toOneLine(error.message));
    if (error.advice !== undefined) world.printError(error.advice.split("\n").map(toOneLine).join("\n"));
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    printProblems(error, world);
    return exitCodes.configuration;
  }
  if (error instanceof StoreError) {
    world.printError(`Cannot use the database: ${toOneLine(error.message)}.`);
    return exitCodes.unavailable;
  }
  if (error instanceof ForeignFileError) {
    world.printError(`Nothing was changed: ${toOneLine(error.message)}, which is not the gateway's.`);
    return exitCodes.unavailable;
  }
  throw error;
}

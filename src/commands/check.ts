// glm-proxy check: validates the configuration and prints every value in effect with where it came from.

import { createSecretMaker } from "../config/config.ts";
import { describeSettings } from "../config/describe.ts";
import { type ConfigChoice, loadFor, printProblems } from "./load.ts";
import { exitCodes, type World } from "./world.ts";

export function checkCommand(choice: ConfigChoice, world: World): number {
  try {
    const loaded = loadFor(choice, world, { createSecret: createSecretMaker(), mayStoreSecret: false });
    world.print(describeSettings(loaded));
    return exitCodes.fine;
  } catch (error) {
    printProblems(error, world);
    return exitCodes.configuration;
  }
}

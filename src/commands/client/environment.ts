// The environment of a command: the process's, with the data folder that was named.

import { resolve } from "node:path";
import type { Input } from "../command.ts";
import type { World } from "../world.ts";

export function environmentOf(input: Input, world: World): World["env"] {
  const folder = input.text("data");
  return folder === undefined ? world.env : { ...world.env, STATE_DIRECTORY: resolve(world.cwd, folder) };
}

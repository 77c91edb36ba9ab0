// Asking before what can't be undone. Where nobody can be asked, it must have been said.

import { toOneLine } from "../base/clean-text.ts";
import type { Input, OptionSpec } from "./command.ts";
import { CommandError, usageError } from "./command-error.ts";
import type { World } from "./world.ts";

export const yesOption: OptionSpec = { flags: "-y, --yes", description: "do it without asking" };

/** Throws CommandError unless it is wanted. */
export async function confirm(input: Input, world: World, question: string): Promise<void> {
  if (input.isSet("yes")) return;
  if (world.ask === null) throw usageError("Nobody can be asked whether it is meant: say so with --yes.");
  const answer = await world.ask(`${toOneLine(question)} [y/N] `);
  if (!/^\s*y(es)?\s*$/i.test(answer)) throw new CommandError("Nothing was done.");
}

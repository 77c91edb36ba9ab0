// Passwords as they come to a command: typed twice, piped, or made here. Never an argument, since arguments show in
// process lists.

import { randomInt } from "node:crypto";
import { usageError } from "./command-error.ts";
import type { World } from "./world.ts";

/** Without those that look alike. */
const letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const groups = 4;
const lettersPerGroup = 5;

/** About 115 bits, in groups that can be read out. */
export function makePassword(): string {
  const group = () => Array.from({ length: lettersPerGroup }, () => letters[randomInt(letters.length)]).join("");
  return Array.from({ length: groups }, group).join("-");
}

/** Null: nothing was typed. Rejects with CommandError when the two are not the same. */
export async function askPassword(
  askSecret: NonNullable<World["askSecret"]>,
  question: string,
): Promise<string | null> {
  const typed = await askSecret(question);
  if (typed === "") return null;
  if ((await askSecret("Again: ")) !== typed) throw usageError("Nothing was done: the two passwords are not the same.");
  return typed;
}

/** From standard input, without its line's end. */
export async function readPassword(world: World): Promise<string> {
  const password = (await world.readInput()).replace(/\r?\n$/, "");
  if (password === "") throw usageError("Nothing was done: there is no password on standard input.");
  return password;
}

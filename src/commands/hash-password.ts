// glm-proxy hash-password: turns a password into what `password_hash` wants. The password is asked for, or read from
// standard input; never an argument, since arguments show in process lists.

import { hashPassword } from "../identity/passwords.ts";
import { exitCodes, type World } from "./world.ts";

const passwordBytesMax = 1_024;

export async function hashPasswordCommand(world: World): Promise<number> {
  const typed = world.askSecret ? await world.askSecret("Password: ") : await world.readInput();
  const password = typed.replace(/\r?\n$/, "");
  if (password === "" || Buffer.byteLength(password) > passwordBytesMax) {
    world.printError(`Cannot hash the password: it must have 1 to ${passwordBytesMax} bytes.`);
    return exitCodes.usage;
  }
  if (world.askSecret && (await world.askSecret("Again:    ")) !== typed) {
    world.printError("Cannot hash the password: the two are not the same.");
    return exitCodes.usage;
  }
  world.print(await hashPassword(password));
  return exitCodes.fine;
}

// The API key that is meant by what was typed: its id, its visible beginning, or its name where that is clear.

import { CommandError } from "../command-error.ts";
import type { AdminClient } from "./admin-client.ts";
import { askAll } from "./ask.ts";
import type { KeyJson } from "./wire.ts";

const prefixLength = 8;
const shownMax = 10;

/** `isActive`: names count only among keys that work. Throws CommandError. */
export async function findKey(
  client: AdminClient,
  typed: string,
  { isActive }: { isActive: boolean },
): Promise<KeyJson> {
  // Whoever pastes the whole key means the one that begins so; the rest of it is not sent anywhere.
  const prefix = (typed.startsWith("glmp_") ? typed.slice("glmp_".length) : typed).slice(0, prefixLength);
  const shown = typed.startsWith("glmp_") ? `glmp_${prefix}…` : typed;
  const keys = await askAll<KeyJson>(client, "look for the key", "/admin/keys");
  const exact = keys.filter(({ id }) => id === typed);
  const begun = keys.filter(
    (view) => view.prefix === prefix && (typed.startsWith("glmp_") || typed.length === prefixLength),
  );
  const named = keys.filter(({ name, owner, state }) => {
    return (name === typed || `${owner}/${name}` === typed) && (!isActive || state === "active");
  });
  const [found, ...others] = exact.length > 0 ? exact : begun.length > 0 ? begun : named;
  if (found === undefined) {
    throw new CommandError(`Cannot find the key ${shown}.`, { advice: "glm-proxy key list --all shows all of them." });
  }
  if (others.length > 0) {
    const lines = [found, ...others].slice(0, shownMax).map((view) => {
      const state = view.state === "active" && view.replaced_by !== null ? "active, replaced" : view.state;
      return `  glmp_${view.prefix}  ${view.owner}/${view.name}  ${state}`;
    });
    throw new CommandError(`Cannot tell which key is meant by ${shown}.`, {
      advice: `Name it by its first characters:\n${lines.join("\n")}`,
    });
  }
  return found;
}

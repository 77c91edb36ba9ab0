// The names under which callers may ask for models: GLM's, as far as a key serves them, those that the configuration
// names, and aliases. In the order of the alphabet, each once.

import { compilePattern } from "./base/name-pattern.ts";
import type { Caller } from "./base/principal.ts";
import type { CallRules } from "./rules.ts";

/** Chat models of GLM, November 2026 (docs.z.ai). Others work too; they are only not listed unless configured. */
const glmModels = [
  "glm-4-flash-250414",
  "glm-4.5",
  "glm-4.5-air",
  "glm-4.5-airx",
  "glm-4.5-flash",
  "glm-4.5-x",
  "glm-4.5v",
  "glm-4.6",
  "glm-4.6v",
  "glm-4.6v-flash",
  "glm-4.7",
  "glm-4.7-flash",
  "glm-4.7-flashx",
  "glm-5",
  "glm-5-turbo",
  "glm-5.1",
  "glm-5.2",
  "glm-5.3",
  "glm-5.3-flash",
  "glm-5v-turbo",
] as const;

export interface ListingKey {
  readonly kind: "glm" | "openai";
  /** Patterns of the models that it serves; null: all that its upstream has. */
  readonly models: readonly string[] | null;
}

export function listModels(
  keys: readonly ListingKey[],
  rules: Pick<CallRules, "aliases" | "allowsModel">,
  caller: Caller,
  /** Names in the configuration that are no models. */
  others: ReadonlySet<string>,
): readonly string[] {
  const patterns = keys.flatMap(({ models }) => models ?? []);
  const named = patterns.filter((pattern) => !pattern.includes("*") && !others.has(pattern));
  const ofGlm = glmModels.filter((model) =>
    keys.some(
      ({ kind, models }) =>
        (models === null && kind === "glm") || models?.some((pattern) => compilePattern(pattern)(model)),
    ),
  );
  const own = [...ofGlm, ...named].filter((model) => rules.allowsModel(caller, model));
  // Who may use what an alias stands for may use the alias.
  const aliases = Array.from(rules.aliases).flatMap(([alias, model]) =>
    rules.allowsModel(caller, model) ? [alias] : [],
  );
  return [...new Set([...own, ...aliases])].sort();
}

// What the configuration says about single calls: names and times. Rebuilt as a whole at each reload.

import { compilePattern } from "./base/name-pattern.ts";
import type { Caller } from "./base/principal.ts";
import { Refusal } from "./base/refusal.ts";
import type { CallTimeouts } from "./deadline.ts";

export interface CallRules {
  /** Model names that clients use, to those that the upstream knows. */
  readonly aliases: ReadonlyMap<string, string>;
  timeoutsFor(model: string): CallTimeouts;
  /** Throws `model_not_allowed` when the caller's API key is not for this model. */
  requireModel(caller: Pick<Caller, "models">, model: string): void;
}

export interface ModelRule {
  /** A model's name in which `*` stands for any run of characters. */
  readonly pattern: string;
  readonly timeouts: Partial<CallTimeouts>;
}

/** The first rule whose pattern matches a model overrides the defaults, field by field. */
export function createCallRules(
  defaults: CallTimeouts,
  rules: readonly ModelRule[],
  aliases: ReadonlyMap<string, string>,
): CallRules {
  const compiled = rules.map(({ pattern, timeouts }) => ({
    matches: compilePattern(pattern),
    timeouts: { ...defaults, ...timeouts },
  }));
  return {
    aliases,
    requireModel({ models }, model) {
      if (models === null || models.some((pattern) => compilePattern(pattern)(model))) return;
      throw new Refusal("model_not_allowed", { detail: `it may use ${models.join(", ") || "none"}` });
    },
    timeoutsFor: (model) => compiled.find(({ matches }) => matches(model))?.timeouts ?? defaults,
  };
}

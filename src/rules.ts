// What the configuration says about single calls: names and times. Rebuilt as a whole at each reload.

import { compilePattern } from "./base/name-pattern.ts";
import type { CallTimeouts } from "./deadline.ts";

export interface CallRules {
  /** Model names that clients use, to those that the upstream knows. */
  readonly aliases: ReadonlyMap<string, string>;
  timeoutsFor(model: string): CallTimeouts;
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
    timeoutsFor: (model) => compiled.find(({ matches }) => matches(model))?.timeouts ?? defaults,
  };
}

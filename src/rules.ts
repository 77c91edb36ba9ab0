// What the configuration says about single calls: names and times. Rebuilt as a whole at each reload.

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

function compilePattern(pattern: string): (model: string) => boolean {
  const [prefix = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return (model) => model === pattern;
  const suffix = rest.pop() as string;
  return (model) => {
    if (model.length < prefix.length + suffix.length || !model.startsWith(prefix) || !model.endsWith(suffix))
      return false;
    let from = prefix.length;
    const end = model.length - suffix.length;
    for (const part of rest) {
      const at = model.indexOf(part, from);
      if (at === -1 || at + part.length > end) return false;
      from = at + part.length;
    }
    return true;
  };
}

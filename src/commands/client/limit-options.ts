// Quotas on the command line: `--limit requests/day=1000`, several of them; `=none` takes one away.

import { findLimitProblem, isLimitName, type LimitName, type Limits, limitNames } from "../../base/limits.ts";
import { findNearest } from "../../config/nearest-name.ts";
import type { OptionSpec } from "../command.ts";
import { usageError } from "../command-error.ts";

export function limitOption(name: string, description: string): OptionSpec {
  return { flags: `--${name} <name=amount>`, description, isRepeated: true };
}

/** What each named limit becomes; null: none. */
export type LimitChanges = ReadonlyMap<LimitName, number | null>;

/** Throws CommandError. */
export function parseLimits(typed: readonly string[], option = "limit"): LimitChanges {
  return new Map(typed.map((text) => parseLimit(text, option)));
}

function parseLimit(text: string, option: string): [LimitName, number | null] {
  const [name = "", amount = ""] = text.split(/=(.*)/s);
  if (!isLimitName(name)) {
    const nearest = findNearest(name, limitNames);
    throw usageError(
      `Cannot use --${option} ${text}: ${nearest === null ? `known are ${limitNames.join(", ")}.` : `did you mean ${nearest}?`}`,
      `It is written like --${option} requests/day=1000.`,
    );
  }
  if (/^(none|unlimited)$/i.test(amount)) return [name, null];
  const value = /^\d+(?:\.\d+)?$/.test(amount) ? Number(amount) : Number.NaN;
  const problem = Number.isNaN(value) ? "a number, or none" : findLimitProblem(name, value);
  if (problem !== null) throw usageError(`Cannot use --${option} ${text}: ${name} must be ${problem}.`);
  return [name, value];
}

export function applyLimits(limits: Limits, changes: LimitChanges): Limits {
  const all = { ...limits, ...Object.fromEntries(changes) };
  return Object.fromEntries(Object.entries(all).filter(([, amount]) => amount !== null));
}

/** "1,000 requests/day, 2 concurrency"; null: none. */
export function describeLimits(limits: Limits): string | null {
  const told = limitNames.flatMap((name) => {
    const amount = limits[name];
    return amount === undefined ? [] : [`${amount.toLocaleString("en-US")} ${name}`];
  });
  return told.length === 0 ? null : told.join(", ");
}

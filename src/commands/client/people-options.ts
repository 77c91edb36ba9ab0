// Options that users, groups and keys have in common, and what they are in a request.

import { trafficClasses } from "../../base/principal.ts";
import type { Input, OptionSpec } from "../command.ts";
import { usageError } from "../command-error.ts";
import { parseMoment } from "../output/times.ts";
import type { World } from "../world.ts";

export const weightOption: OptionSpec = {
  flags: "--weight <number>",
  description: "share of the upstream relative to others of the same class (0.001 to 1000)",
};

export const classOption: OptionSpec = {
  flags: "--class <class>",
  description: "what the calls are for; interactive ones get the largest share",
  choices: trafficClasses,
};

export const expiresOption: OptionSpec = {
  flags: "--expires <when>",
  description: "a day (2027-01-01), a time, or from now on (30d, 12h)",
};

export const jobsOption: OptionSpec = {
  flags: "--jobs",
  description: "may start batches and fine-tuning jobs although it has limits, which don't count what these use",
};

/** To take what an option gives: of the group, or none. */
export const unsetOptions = {
  weight: { flags: "--no-weight", description: "the group's weight, else 1" },
  class: { flags: "--no-class", description: "the group's class, else default" },
  expires: { flags: "--no-expires", description: "never expires" },
  jobs: { flags: "--no-jobs", description: "no batches and fine-tuning jobs where it has limits" },
} as const satisfies Record<string, OptionSpec>;

/** Weight, class, expiry and the right to jobs as far as they were named; null where they were unset. */
export function readCommon(input: Input, world: World) {
  const weight = input.isSet("no-weight") ? null : input.number("weight", 0.001, 1_000);
  const trafficClass = input.isSet("no-class") ? null : input.text("class");
  const expiresAt = input.isSet("no-expires") ? null : readExpiry(input, world);
  const runsJobs = input.isSet("no-jobs") ? false : input.isSet("jobs") ? true : undefined;
  return {
    ...(runsJobs !== undefined && { runs_jobs: runsJobs }),
    ...(weight !== undefined && { weight }),
    ...(trafficClass !== undefined && { class: trafficClass }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  };
}

function readExpiry(input: Input, world: World): string | undefined {
  const typed = input.text("expires");
  if (typed === undefined) return undefined;
  const now = world.clock.wallNow();
  const at = parseMoment(typed, now, 1);
  if (at === null)
    throw usageError(`Cannot use --expires ${typed}: it must be like 2027-01-01, 2027-01-01T12:00 or 30d.`);
  if (at <= now) throw usageError(`Cannot use --expires ${typed}: that is over already.`);
  return new Date(at).toISOString();
}

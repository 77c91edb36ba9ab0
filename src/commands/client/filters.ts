// Which calls are meant: options that `usage`, `calls`, `ps` and `tail` share, as a query of the control plane.

import type { Input, OptionSpec } from "../command.ts";
import { usageError } from "../command-error.ts";
import { formatDay, isDay, parseMoment } from "../output/times.ts";
import type { World } from "../world.ts";
import type { AdminClient } from "./admin-client.ts";
import { findKey } from "./find-key.ts";

export const callStates = ["open", "served", "refused", "cut", "cancelled", "unknown"] as const;

export const filterOptions = {
  user: { flags: "--user <user>", description: "only this user's" },
  group: { flags: "--group <group>", description: "only this group's" },
  key: { flags: "--key-id <key>", description: "only of this API key: its id, first characters or name" },
  model: { flags: "--model <model>", description: "only of this model" },
  state: { flags: "--state <state>", description: "only those that ended so", choices: callStates },
  from: {
    flags: "--from <when>",
    description: "since a day (2026-11-01), a time, today, yesterday, or so long ago (7d)",
  },
  to: { flags: "--to <when>", description: "before a day, a time, or so long ago" },
} as const satisfies Record<string, OptionSpec>;

export type Query = Readonly<Record<string, string | undefined>>;

export async function readFilters(input: Input, world: World, client: AdminClient): Promise<Query> {
  const key = input.text("key-id");
  return {
    user: input.text("user"),
    group: input.text("group"),
    model: input.text("model"),
    state: input.text("state"),
    ...(key !== undefined && { key_id: (await findKey(client, key, { isActive: false })).id }),
    from: readInstant(input, world, "from"),
    to: readInstant(input, world, "to"),
  };
}

/** A day goes to the server as it is: it begins where quotas are counted, which may be another time zone. */
export function readInstant(input: Input, world: World, option: "from" | "to" | "before"): string | undefined {
  const typed = input.text(option);
  if (typed === undefined) return undefined;
  const now = world.clock.wallNow();
  if (typed === "today") return formatDay(new Date(now));
  if (typed === "yesterday") {
    const noon = new Date(now);
    noon.setHours(12);
    noon.setDate(noon.getDate() - 1);
    return formatDay(noon);
  }
  if (isDay(typed)) return typed;
  const at = parseMoment(typed, now, -1);
  if (at !== null) return new Date(at).toISOString();
  throw usageError(`Cannot use --${option} ${typed}: it must be like 2026-11-01, 2026-11-01T12:00, today or 7d.`);
}

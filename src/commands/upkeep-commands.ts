// glm-proxy backup and prune: care for the database, while the server runs or not.

import { resolve } from "node:path";
import { ask } from "./client/ask.ts";
import { readInstant } from "./client/filters.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import type { Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { confirm, yesOption } from "./confirm.ts";
import { formatOf, formatOptions, printJson } from "./output/report.ts";
import { isDay } from "./output/times.ts";
import { plural } from "./output/words.ts";
import { exitCodes } from "./world.ts";

export const backup: Verb = {
  name: "backup",
  summary: "copy the database into a file, while everything runs",
  details:
    "The copy is consistent, and readable by its owner alone (it has password hashes and who called what). It is a SQLite " +
    "database: to restore it, stop the server, put it in the place of glm-proxy.sqlite in the data folder, remove that file's " +
    "-wal and -shm, and start the server. With PostgreSQL, use pg_dump.",
  arguments: [{ name: "<file>", description: "where to; it must not exist yet" }],
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy backup /var/backups/glm-proxy-$(date +%F).sqlite"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const file = resolve(world.cwd, input.required(0));
      if (client.via === "url") {
        throw usageError(
          "Cannot back up over the network: the file would be on the server's machine.",
          "Run it there.",
        );
      }
      await ask(client, "back up", "POST", "/admin/backup", { file });
      if (formatOf(input, world) === "json") printJson(world, { file });
      else world.print(`Copied the database to ${file}.`);
      return exitCodes.fine;
    }),
};

export const prune: Verb = {
  name: "prune",
  summary: "turn old calls into their daily sums now",
  details:
    "The server does so by itself once a day, after [ledger] retention_days. What is pruned stays in `usage`, but single calls are gone.",
  options: [
    { flags: "--before <when>", description: "calls of days before this day, or so long ago (90d)" },
    yesOption,
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy prune --before 2026-01-01", "glm-proxy prune --before 90d --yes"],
  async run(input, world) {
    const before = readInstant(input, world, "before");
    if (before === undefined)
      throw usageError("Cannot prune: say from when on calls are to stay, with --before 2026-01-01.");
    return withClient(input, world, async (client) => {
      const shown = isDay(before) ? before : before.slice(0, 10);
      await confirm(input, world, `Turn all calls before ${shown} into their sums? Single ones will be gone.`);
      const pruned = await ask<{ calls: number; contents: number }>(client, "prune", "POST", "/admin/prune", {
        before,
      });
      if (formatOf(input, world) === "json") printJson(world, pruned);
      else
        world.print(
          `${plural(pruned.calls, "call is a sum", "calls are sums")} now; stored prompts and answers of ${plural(pruned.contents, "call", "calls")} were deleted.`,
        );
      return exitCodes.fine;
    });
  },
};

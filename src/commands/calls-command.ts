// glm-proxy calls: the ledger's single calls, newest first.

import { callColumns } from "./call-columns.ts";
import { askAll, withQuery } from "./client/ask.ts";
import { filterOptions, readFilters } from "./client/filters.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import type { CallJson } from "./client/wire.ts";
import type { Verb } from "./command.ts";
import { formatOptions, printRows } from "./output/report.ts";
import { exitCodes } from "./world.ts";

const countMax = 100_000;

export const calls: Verb = {
  name: "calls",
  summary: "finished and running calls, newest first",
  details:
    "Older calls than [ledger] retention_days are in the sums of `usage` only. Tokens are input+output; ~ means estimated.",
  options: [
    { flags: "-n, --limit <number>", description: `how many (up to ${countMax})`, fallback: "50" },
    ...Object.values(filterOptions),
    { flags: "--request-id <id>", description: "the one with this x-request-id" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: [
    "glm-proxy calls --user ada --from today",
    "glm-proxy calls --state refused -n 200",
    "glm-proxy calls --request-id 019aaf3e-8000-7abc-8def-0123456789ab --json",
  ],
  async run(input, world) {
    const limit = input.wholeNumber("limit", 1, countMax) ?? 50;
    return withClient(input, world, async (client) => {
      const query = { ...(await readFilters(input, world, client)), request_id: input.text("request-id") };
      const found = await askAll<CallJson>(client, "list calls", withQuery("/admin/calls", query), limit);
      printRows(input, world, found, callColumns, "There are no such calls.");
      return exitCodes.fine;
    });
  },
};

// glm-proxy ps: the queue as it is now.

import { ask, withQuery } from "./client/ask.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import type { QueueJson } from "./client/wire.ts";
import type { Verb } from "./command.ts";
import { createPage, formatOf, formatOptions, printJson, printTable } from "./output/report.ts";
import { formatSpan } from "./output/times.ts";
import { plural } from "./output/words.ts";
import { runningColumns, waitingColumns } from "./queue-columns.ts";
import { exitCodes, type World } from "./world.ts";

export const ps: Verb = {
  name: "ps",
  summary: "calls that run and wait now, with position and time to go",
  details:
    "`starts in` holds if nobody comes who goes before it; nine of ten calls that stood like this started `90% within`.",
  options: [
    { flags: "--user <user>", description: "only this user's" },
    { flags: "--model <model>", description: "only of this model" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy ps", "glm-proxy ps --user ada", "glm-proxy ps --json | jq .waiting_count"],
  run: (input, world) =>
    withClient(
      input,
      world,
      async (client) => {
        const filter = { user: input.text("user"), model: input.text("model") };
        const queue = await ask<QueueJson>(client, "look at the queue", "GET", withQuery("/admin/queue", filter));
        if (formatOf(input, world) === "json") printJson(world, queue);
        else print(world, queue);
        return exitCodes.fine;
      },
      { isLive: true },
    ),
};

function print(world: World, queue: QueueJson): void {
  const { style } = createPage(world);
  world.print(style.apply("bold", plural(queue.running_count, "call runs", "calls run")));
  if (queue.running.length > 0) printTable(world, queue.running, runningColumns);
  world.print("");
  world.print(style.apply("bold", describeWaiting(queue)));
  if (queue.waiting.length > 0) printTable(world, queue.waiting, waitingColumns);
}

export function describeWaiting({
  waiting_count: count,
  queue_capacity: capacity,
  next_start_in_ms: nextMs,
}: QueueJson): string {
  const next = nextMs === null ? "when one ends" : `in ${formatSpan(nextMs)}`;
  return `${plural(count, "call waits", "calls wait")}, of at most ${capacity}${count === 0 ? "" : `; the next starts ${next}`}`;
}

// glm-proxy tail: calls as they end. A server that restarts is waited for, and what ended meanwhile is fetched.

import { between, describeOutcome, describeTokens, styleOf } from "./call-columns.ts";
import type { AdminClient, StreamEvent } from "./client/admin-client.ts";
import { askAll, withQuery } from "./client/ask.ts";
import { filterOptions, type Query, readFilters } from "./client/filters.ts";
import { clientOptions, openClient } from "./client/open-client.ts";
import type { CallJson } from "./client/wire.ts";
import type { Input, Verb } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { cutToWidth, padToWidth, toOneLine } from "./output/display-width.ts";
import { createPage, formatOf } from "./output/report.ts";
import { formatTimeOfDay } from "./output/times.ts";
import { listenForStop } from "./stop-signals.ts";
import { exitCodes, type World } from "./world.ts";

const retryMs = 1_000;
/** How long stopping may take. */
const endMsMax = 1_000;
/** Of lines that their reader has not taken. */
const waitingBytesMax = 16 * 1024 * 1024;
/** Calls that ended while nobody listened, and ids that were printed already: more than that are not kept apart. */
const missedMax = 200;
const printedMax = 2_000;

export const tail: Verb = {
  name: "tail",
  summary: "follow calls as they end",
  details: "In a pipe, one JSON object a line. Ends with Ctrl-C; when the server restarts, it goes on.",
  options: [
    { flags: "-n, --lines <number>", description: "begin with so many that have ended", fallback: "10" },
    filterOptions.user,
    filterOptions.model,
    filterOptions.state,
    { flags: "--json", description: "one JSON object a line, on a terminal too" },
    ...clientOptions,
  ],
  examples: [
    "glm-proxy tail",
    "glm-proxy tail --user ada --state refused",
    "glm-proxy tail --json | jq -r 'select(.cost > 0.1) | .request_id'",
  ],
  async run(input, world) {
    const lines = input.wholeNumber("lines", 0, missedMax) ?? 10;
    const client = await openClient(input, world, { isLive: true });
    const stop = listenForStop(world);
    world.onOutputClosed(() => stop.stop("nobody reads it"));
    const work = async () => {
      const query = await readFilters(input, world, client);
      await follow(client, query, createPrinter(input, world), lines, world, stop.stopped);
    };
    try {
      await stop.settle(work(), endMsMax);
    } finally {
      await stop.settle(client.close(), endMsMax);
    }
    return exitCodes.fine;
  },
};

type Print = (call: CallJson) => void;

async function follow(
  client: AdminClient,
  query: Query,
  print: Print,
  lines: number,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const printed = new Set<string>();
  /** When what is known ended, at the latest, by the server's clock: what ended before is old. */
  let since = 0;
  let isFirst = true;

  function printOnce(call: CallJson): void {
    if (printed.has(call.id) || signal.aborted) return;
    printed.add(call.id);
    if (printed.size > printedMax) printed.delete(printed.values().next().value as string);
    since = Math.max(since, Date.parse(call.ended_at ?? call.arrived_at));
    if (world.output.waitingBytes > waitingBytesMax) throw new CommandError("Cannot go on: the reader is too slow.");
    print(call);
  }

  /** Oldest first. At the first time the last ones, then those that nobody heard of. */
  async function catchUp(): Promise<void> {
    const recent = await askAll<CallJson>(client, "list calls", withQuery("/admin/calls", query), missedMax);
    const ended = recent.filter(({ ended_at }) => ended_at !== null).sort((a, b) => endOf(a) - endOf(b));
    const older = Math.max(0, ended.length - lines);
    const wanted = isFirst ? ended.slice(older) : ended.filter((call) => endOf(call) >= since);
    if (isFirst) {
      for (const { id } of ended.slice(0, older)) printed.add(id);
      since = Math.max(0, ...ended.map(endOf));
    }
    isFirst = false;
    for (const call of wanted) printOnce(call);
  }

  /** Resolves when the stream ends. Listening begins before the catching up: what ends in between is in both. */
  async function listen(): Promise<void> {
    const early: CallJson[] = [];
    let isCaughtUp = false;
    const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>();
    const onEvent = ({ name, json }: StreamEvent) => {
      if (name !== "call") return;
      if (isCaughtUp) printOnce(json as CallJson);
      else early.push(json as CallJson);
    };
    const stream = client.events(withQuery("/admin/events", { types: "call", ...query }), { onOpen, onEvent }, signal);
    await Promise.race([opened, stream]);
    // Its failure is told below, once.
    stream.catch(() => {});
    await catchUp();
    isCaughtUp = true;
    for (const call of early) printOnce(call);
    await stream;
  }

  while (!signal.aborted) {
    try {
      await listen();
      if (!signal.aborted) world.printError("The connection has ended; waiting for the server …");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof CommandError) || error.exitCode !== exitCodes.unavailable) throw error;
    }
    await pause(world, retryMs, signal);
  }
}

function endOf(call: CallJson): number {
  return Date.parse(call.ended_at ?? call.arrived_at);
}

function pause(world: World, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = world.clock.after(ms, resolve);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(cancel);
}

function createPrinter(input: Input, world: World): Print {
  if (formatOf(input, world) === "json") return (call) => world.print(JSON.stringify(call));
  const { style } = createPage(world);
  return (call) => {
    const { columns } = world.screenSize();
    const waited = between(call.arrived_at, call.granted_at);
    const tokens = describeTokens(call);
    const details = [
      call.model ?? "-",
      between(call.arrived_at, call.ended_at) ?? "-",
      waited !== null && waited !== "0 ms" ? `(waited ${waited})` : null,
      tokens === null ? null : `${tokens} tokens`,
      call.request_id,
    ].filter((part) => part !== null);
    const outcome = padToWidth(toOneLine(describeOutcome(call)), 10);
    const head = `${formatTimeOfDay(call.ended_at ?? call.arrived_at)}  `;
    const rest = `  ${padToWidth(toOneLine(call.user), 12)}  ${toOneLine(details.join("  "))}`;
    const left = columns - head.length - outcome.length;
    world.print(
      head + style.apply(styleOf(call) ?? "bold", outcome) + (world.isTerminal ? cutToWidth(rest, left) : rest),
    );
  };
}

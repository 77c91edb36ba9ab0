// glm-proxy tail: calls as they end. A server that restarts is waited for, and what ended meanwhile is fetched.

import { toHarmlessJson, toOneLine } from "../base/clean-text.ts";
import { between, describeOutcome, describeTokens, styleOf } from "./call-columns.ts";
import type { AdminClient, StreamEvent } from "./client/admin-client.ts";
import { askAll, withQuery } from "./client/ask.ts";
import { filterOptions, type Query, readFilters } from "./client/filters.ts";
import { clientOptions, openClient } from "./client/open-client.ts";
import type { CallJson } from "./client/wire.ts";
import type { Input, Verb } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { cutToWidth, padToWidth } from "./output/display-width.ts";
import { createPage, formatOf } from "./output/report.ts";
import type { Style } from "./output/style.ts";
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
  if (formatOf(input, world) === "json") return (call) => world.print(toHarmlessJson(JSON.stringify(call)));
  const { style } = createPage(world);
  const width = () => (world.isTerminal ? world.screenSize().columns : Number.POSITIVE_INFINITY);
  world.print(style.apply("dim", layoutTitles(width())));
  return (call) => world.print(layoutCall(call, width(), style));
}

interface TailColumn {
  readonly title: string;
  /** Fixed, since no line knows the next ones. */
  readonly width: number;
  readonly align?: "left" | "right";
  text(call: CallJson): string | null;
}

const gap = "  ";
/** Below that many columns the screen has no room for what is of use less often. */
const wideFrom = 110;

const columns: readonly (TailColumn & { readonly isForWide?: boolean })[] = [
  { title: "ended", width: 8, text: (call) => formatTimeOfDay(call.ended_at ?? call.arrived_at) },
  { title: "outcome", width: 9, text: ({ state }) => state },
  { title: "user", width: 10, text: ({ user }) => user },
  { title: "model", width: 14, text: ({ model }) => model },
  { title: "waited", width: 10, align: "right", isForWide: true, text: (c) => between(c.arrived_at, c.granted_at) },
  { title: "took", width: 10, align: "right", text: (call) => between(call.arrived_at, call.ended_at) },
  { title: "tokens", width: 9, align: "right", isForWide: true, text: describeTokens },
];

function layoutTitles(width: number): string {
  return layout(({ title }) => title.toUpperCase(), "REASON, REQUEST ID", width);
}

/** The reason, where there is one, is what matters: it comes before the id, which may be cut. */
export function layoutCall(call: CallJson, width: number, style: Style): string {
  const reason = call.state === "served" ? null : describeOutcome(call).slice(call.state.length + 1);
  const rest = [reason || null, call.request_id].filter((part) => part !== null).join(gap);
  const line = layout((column) => column.text(call) ?? "-", rest, width);
  const name = styleOf(call);
  return name === null ? line : line.replace(call.state, (state) => style.apply(name, state));
}

function layout(textOf: (column: TailColumn) => string, rest: string, width: number): string {
  const cells = columns
    .filter(({ isForWide = false }) => !isForWide || width >= wideFrom)
    .map((column) => padToWidth(cutToWidth(toOneLine(textOf(column)), column.width), column.width, column.align));
  return cutToWidth(`${cells.join(gap)}${gap}${toOneLine(rest)}`, width);
}

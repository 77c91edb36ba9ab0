// glm-proxy top: one screen of what happens, kept up to date. Draws on the terminal's other screen and gives it back.

import { toOneLine } from "../base/clean-text.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { ask, withQuery } from "./client/ask.ts";
import { clientOptions, openClient } from "./client/open-client.ts";
import { describeLane, type UpstreamJson } from "./client/upstreams.ts";
import type { QueueJson } from "./client/wire.ts";
import type { Verb } from "./command.ts";
import { CommandError, usageError } from "./command-error.ts";
import { cutToWidth, measureWidth, padToWidth } from "./output/display-width.ts";
import { createStyle, type Style } from "./output/style.ts";
import { type Column, layoutTable } from "./output/table.ts";
import { formatTimeOfDay } from "./output/times.ts";
import { plural } from "./output/words.ts";
import { describeWaiting } from "./ps-command.ts";
import { runningColumns, waitingColumns } from "./queue-columns.ts";
import { listenForStop } from "./stop-signals.ts";
import { exitCodes, type ScreenSize, type World } from "./world.ts";

const refreshMs = 1_000;
/** How long stopping may take. */
const endMsMax = 1_000;
/** q, Ctrl-C, Ctrl-D. */
const endKeys = ["q", "Q", "\u0003", "\u0004"];
const otherScreen = "\u001b[?1049h\u001b[?25l";
const ownScreen = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const toLineEnd = "\u001b[K";
const toScreenEnd = "\u001b[J";

export const top: Verb = {
  name: "top",
  summary: "a view of queue, limits and users that keeps itself up to date",
  details: "q or Ctrl-C ends it. For programs there is ps --json.",
  options: [...clientOptions],
  examples: ["glm-proxy top", "glm-proxy top --url https://glm.example.org"],
  async run(input, world) {
    if (!world.isTerminal || world.readKeys === null) {
      throw usageError("Cannot draw here: top needs a terminal.", "For a pipe there is  glm-proxy ps --json");
    }
    const client = await openClient(input, world, { isLive: true });
    const end = Promise.withResolvers<void>();
    let failure: unknown = null;
    // Before the screen is taken, so that a first failure is read where it belongs.
    let view = await look(client);
    const stop = listenForStop(world);
    const giveBackKeys = world.readKeys((key) => {
      if (endKeys.some((one) => key.includes(one))) end.resolve();
    });
    void stop.whenStopped().then(() => end.resolve());
    world.onSignal("SIGHUP", () => end.resolve());
    world.write(otherScreen);
    let cancel = () => {};
    let isEnded = false;

    const refresh = async () => {
      try {
        view = await look(client);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        view = { ...view, trouble: error.message };
      }
      if (!isEnded) cancel = draw();
    };
    const draw = () => {
      // A terminal that is held up (Ctrl-S) gets the newest frame when it goes on, not all of them.
      if (world.output.waitingBytes === 0) world.write(toFrame(view, world));
      return world.clock.after(refreshMs, () => {
        refresh().catch((error: unknown) => {
          failure = error;
          end.resolve();
        });
      });
    };
    cancel = draw();
    try {
      await end.promise;
    } finally {
      isEnded = true;
      cancel();
      world.write(ownScreen);
      giveBackKeys();
      stop.stop("a key was pressed");
      await stop.settle(client.close(), endMsMax);
    }
    if (failure !== null) throw failure;
    return exitCodes.fine;
  },
};

export interface View {
  readonly queue: QueueJson;
  readonly upstreams: readonly UpstreamJson[];
  /** Why it is not up to date; null: it is. */
  readonly trouble: string | null;
}

async function look(client: AdminClient): Promise<View> {
  const queue = await ask<QueueJson>(client, "look at the queue", "GET", withQuery("/admin/queue", {}));
  const { data } = await ask<{ data: readonly UpstreamJson[] }>(
    client,
    "look at the limits",
    "GET",
    "/admin/upstreams",
  );
  return { queue, upstreams: data, trouble: null };
}

function toFrame(view: View, world: World): string {
  const lines = layoutView(
    view,
    world.screenSize(),
    createStyle(true, world.env),
    new Date(world.clock.wallNow()).toISOString(),
  );
  return home + lines.map((line) => line + toLineEnd).join("\r\n") + toScreenEnd;
}

/** Exactly as many lines as there are rows, or fewer. */
export function layoutView(view: View, { columns, rows }: ScreenSize, style: Style, now: string): string[] {
  const { queue, upstreams, trouble } = view;
  const title = `glm-proxy  ${formatTimeOfDay(now)}`;
  const hint = "q ends";
  const head = `${padToWidth(title, Math.max(measureWidth(title) + 2, columns - hint.length))}${hint}`;
  const heading = (text: string) => style.apply("bold", cutToWidth(text, columns));
  const sections = [
    upstreams.flatMap((upstream) => layoutUpstream(upstream, columns, style)),
    ["", ...layoutUsers(queue, columns, style)],
    [
      "",
      heading(plural(queue.running_count, "call runs", "calls run")),
      ...section(queue.running, runningColumns, columns, style),
    ],
    ["", heading(describeWaiting(queue)), ...section(queue.waiting, waitingColumns, columns, style)],
  ];
  const first =
    trouble === null
      ? style.apply("inverse", cutToWidth(head, columns))
      : style.apply("red", cutToWidth(toOneLine(trouble), columns));
  return [first, ...share(sections, rows - 1)];
}

function section<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number, style: Style): string[] {
  return rows.length === 0 ? [] : layoutTable(columns, rows, width, style);
}

/** The longest sections are cut first, so that each shows something. */
function share(sections: readonly (readonly string[])[], rowsMax: number): string[] {
  const counts = sections.map(({ length }) => length);
  let excess = counts.reduce((total, count) => total + count, 0) - rowsMax;
  while (excess > 0) {
    const longest = counts.indexOf(Math.max(...counts));
    if ((counts[longest] ?? 0) === 0) break;
    counts[longest] = (counts[longest] ?? 0) - 1;
    excess--;
  }
  return sections.flatMap((lines, index) => {
    const count = counts[index] ?? 0;
    if (count >= lines.length) return lines;
    return count === 0 ? [] : [...lines.slice(0, count - 1), `… ${lines.length - count + 1} more`];
  });
}

function layoutUpstream(upstream: UpstreamJson, columns: number, style: Style): string[] {
  const limits = [
    upstream.requests_per_second === null ? null : `${upstream.requests_per_second} starts/s`,
    upstream.max_concurrency === null ? null : `${upstream.max_concurrency} at once`,
    upstream.tokens_per_minute === null ? null : `${upstream.tokens_per_minute.toLocaleString("en-US")} tokens/min`,
  ].filter((part) => part !== null);
  const head = `upstream key ${toOneLine(upstream.name)}: ${limits.length === 0 ? "no limits" : limits.join(", ")}`;
  const lanes = upstream.lanes.filter((lane) => lane.model === null || lane.running > 0 || describeLane(lane) !== "");
  return [
    style.apply("bold", cutToWidth(head, columns)),
    ...lanes.map((lane) => {
      const of = lane.max_concurrency === null ? "" : ` of ${lane.max_concurrency}`;
      const state = describeLane(lane);
      const text = `  ${toOneLine(lane.model ?? "all models")}: ${lane.running}${of} running${state === "" ? "" : `; ${state}`}`;
      return style.apply(state === "" ? "dim" : "yellow", cutToWidth(text, columns));
    }),
  ];
}

interface UserRow {
  readonly user: string;
  readonly running: number;
  readonly waiting: number;
}

const userColumns: readonly Column<UserRow>[] = [
  { title: "user", text: ({ user }) => user, canShrink: true },
  { title: "running", align: "right", text: ({ running }) => String(running) },
  { title: "waiting", align: "right", text: ({ waiting }) => String(waiting) },
];

function layoutUsers({ waiting, running }: QueueJson, columns: number, style: Style): string[] {
  const rows = new Map<string, UserRow>();
  const rowOf = (user: string) => rows.get(user) ?? { user, running: 0, waiting: 0 };
  for (const { user } of running) rows.set(user, { ...rowOf(user), running: rowOf(user).running + 1 });
  for (const { user } of waiting) rows.set(user, { ...rowOf(user), waiting: rowOf(user).waiting + 1 });
  const busiest = [...rows.values()].sort(
    (a, b) => b.running + b.waiting - a.running - a.waiting || (a.user < b.user ? -1 : 1),
  );
  return [
    style.apply("bold", cutToWidth(plural(rows.size, "active user", "active users"), columns)),
    ...section(busiest, userColumns, columns, style),
  ];
}

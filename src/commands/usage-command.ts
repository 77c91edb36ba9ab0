// glm-proxy usage: sums of calls, tokens and cost by one thing, for people, spreadsheets and programs.

import type { AdminClient } from "./client/admin-client.ts";
import { ask, askAll, withQuery } from "./client/ask.ts";
import { filterOptions, readFilters } from "./client/filters.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import type { KeyJson, UsageJson, UsageRowJson } from "./client/wire.ts";
import type { Verb } from "./command.ts";
import { formatCsv } from "./output/csv.ts";
import { createPage, formatOf, printJson, printTable } from "./output/report.ts";
import type { Column } from "./output/table.ts";
import { formatMoment } from "./output/times.ts";
import { exitCodes, type World } from "./world.ts";

const { state: _state, ...filters } = filterOptions;

export const usage: Verb = {
  name: "usage",
  summary: "who used how much: a table, CSV or JSON",
  details: "Days begin in [quotas] time_zone. Cost is what [prices] says; calls whose price is not known cost nothing.",
  options: [
    {
      flags: "--by <thing>",
      description: "one line for each",
      choices: ["user", "group", "model", "key", "day"],
      fallback: "user",
    },
    ...Object.values(filters),
    {
      flags: "--format <format>",
      description: "default: table on a terminal, else json",
      choices: ["table", "csv", "json"],
    },
    { flags: "--json", description: "the same as --format json" },
    ...clientOptions,
  ],
  examples: [
    "glm-proxy usage --by user --from 2026-11-01 --to 2026-12-01",
    "glm-proxy usage --by day --user ada --from 30d",
    "glm-proxy usage --by model --from today --format csv > usage.csv",
  ],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const by = input.text("by") ?? "user";
      const query = { by, ...(await readFilters(input, world, client)) };
      const report = await ask<UsageJson>(client, "sum up the usage", "GET", withQuery("/admin/usage", query));
      const nameOf = by === "key" ? await readKeyNames(client) : (name: string) => name;
      switch (formatOf(input, world)) {
        case "json":
          printJson(world, report);
          break;
        case "csv":
          world.write(toCsv(by, report, nameOf));
          break;
        case "table":
          print(world, by, report, nameOf);
      }
      return exitCodes.fine;
    }),
};

/** Ids say little to people. Keys that are gone keep theirs. */
async function readKeyNames(client: AdminClient): Promise<(id: string) => string> {
  const keys = await askAll<KeyJson>(client, "list keys", "/admin/keys");
  const names = new Map(keys.map(({ id, owner, name }) => [id, `${owner}/${name}`]));
  return (id) => (id === "" ? "sessions" : (names.get(id) ?? id));
}

function toCsv(by: string, { currency, data }: UsageJson, nameOf: (name: string) => string): string {
  const titles = [...(by === "key" ? ["key_id", "key"] : [by]), "calls", "served", "requests", "prompt_tokens"];
  return formatCsv(
    [...titles, "completion_tokens", "cost", "currency"],
    data.map((row) => [
      ...(by === "key" ? [row.name, nameOf(row.name)] : [row.name]),
      row.calls,
      row.served,
      row.requests,
      row.prompt_tokens,
      row.completion_tokens,
      row.cost,
      currency,
    ]),
  );
}

function print(world: World, by: string, report: UsageJson, nameOf: (name: string) => string): void {
  const { currency, data, from, to } = report;
  if (data.length === 0) {
    world.print("There were no calls.");
    return;
  }
  const nothing = { user: "(nobody)", group: "(none)", model: "(none)" }[by] ?? "(none)";
  const count = (title: string, read: (row: UsageRowJson) => number): Column<UsageRowJson> => ({
    title,
    align: "right",
    text: (row) => read(row).toLocaleString("en-US"),
    style: (row) => (row === total ? "bold" : null),
  });
  const total = sumUp(data);
  const columns: Column<UsageRowJson>[] = [
    {
      title: by,
      text: (row) => (row === total ? "total" : nameOf(row.name) || nothing),
      canShrink: true,
      style: (row) => (row === total ? "bold" : null),
    },
    count("calls", (row) => row.calls),
    count("served", (row) => row.served),
    count("requests", (row) => row.requests),
    count("prompt tokens", (row) => row.prompt_tokens),
    count("completion tokens", (row) => row.completion_tokens),
    {
      title: `cost ${currency}`,
      align: "right",
      text: (row) => formatCost(row.cost),
      style: (row) => (row === total ? "bold" : null),
    },
  ];
  printTable(world, data.length > 1 ? [...data, total] : data, columns);
  if (from === null && to === null) return;
  const span = [from && `from ${formatMoment(from)}`, to && `to ${formatMoment(to)}`].filter(Boolean).join(" ");
  world.print(createPage(world).style.apply("dim", span));
}

/** Never less than it is, however small: "0.0001", "12.34". */
export function formatCost(cost: number): string {
  if (cost === 0) return "0";
  return cost.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: cost < 1 ? 6 : 2 });
}

function sumUp(rows: readonly UsageRowJson[]): UsageRowJson {
  const sum = (read: (row: UsageRowJson) => number) => rows.reduce((total, row) => total + read(row), 0);
  return {
    name: "total",
    calls: sum((row) => row.calls),
    served: sum((row) => row.served),
    requests: sum((row) => row.requests),
    prompt_tokens: sum((row) => row.prompt_tokens),
    completion_tokens: sum((row) => row.completion_tokens),
    cost: sum((row) => Math.round(row.cost * 1e6)) / 1e6,
  };
}

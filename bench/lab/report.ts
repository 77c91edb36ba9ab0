// What was measured as tables: medians over the rounds with their range, differences to direct within a round, ratios of
// the medians to nginx.

import { count, type Format, findMedian, type Row, type Section } from "../scheduling/table.ts";
import type { Values } from "./round.ts";

export interface Measured {
  readonly name: string;
  readonly about: string;
  readonly rounds: readonly Values[];
}

interface Column {
  readonly title: string;
  readonly metric: string;
  readonly format: Format;
  /** Beside it, the ratio to nginx. */
  readonly hasRatio?: boolean;
  /** Less what direct has in the same round. */
  readonly isAdded?: boolean;
}

const one: Format = { digits: 1 };
const two: Format = { digits: 2 };
/** Below it, the load's own core is what was used up. */
const busyCores = 0.9;

const perCall = (name: string, title: string): Column[] => [
  { title, metric: `${name} CPU µs per call`, format: one, hasRatio: true },
  { title: "calls/s", metric: `${name} calls/s`, format: count },
];

export function toSections(measured: readonly Measured[]): Section[] {
  const openCounts = listOpenCounts(measured);
  const rates = listRates(measured);
  return [
    toSection(measured, {
      id: "1",
      title: "Calls, 32 at once",
      note: "CPU: of the process and all below it, user and system. calls/s marked * are the most that upstream and clients on their core could do, and the peer had time left: its CPU tells more. Ratios are to nginx in the same run.",
      columns: [...perCall("unary 1 KB", "1 KB: CPU µs a call"), ...perCall("unary 100 KB", "100 KB: CPU µs a call")],
    }),
    toSection(measured, {
      id: "2",
      title: "Frames",
      note: `Burst: 200 frames in one piece, 32 streams at once. The others: so many open streams, 5,000 frames a second in all, each frame sent by itself.`,
      columns: [
        { title: "burst: CPU µs a frame", metric: "burst CPU µs per frame", format: two, hasRatio: true },
        { title: "frames/s", metric: "burst frames/s", format: count },
        ...openCounts.map((open) => ({
          title: `${open.toLocaleString("en")} open: CPU µs a frame`,
          metric: `${open} open streams CPU µs per frame`,
          format: one,
          hasRatio: true,
        })),
      ],
    }),
    ...rates.map((rate, index) =>
      toSection(measured, {
        id: `3${"abcdef"[index]}`,
        title: `Added time, ms: ${rate}`,
        note: "Calls at fixed times, each timed from when it was due; less what direct took in the same round, whose own times are in its row.",
        columns: ["p50", "p99", "p99.9"].map((quantile) => ({
          title: quantile,
          metric: `${rate} ${quantile} ms`,
          format: two,
          isAdded: true,
        })),
      }),
    ),
    toSection(measured, {
      id: "4",
      title: "Start and memory",
      note: "Start: from the process's start until it takes connections. Memory: resident, after a few calls, and by how much 1,000 open streams make it grow, for each, and by how much 1,000 more. Failed: calls whose answer was not whole, of all rounds.",
      columns: [
        { title: "start to ready ms", metric: "ready ms", format: count },
        { title: "MB", metric: "memory MB", format: count },
        { title: "KB per open stream", metric: "memory KB per stream", format: one, hasRatio: true },
        { title: "per further one", metric: "memory KB per further stream", format: one, hasRatio: true },
        { title: "failed", metric: "failures", format: count },
      ],
    }),
  ];
}

function toSection(
  measured: readonly Measured[],
  { columns, ...section }: Pick<Section, "id" | "title" | "note"> & { readonly columns: readonly Column[] },
): Section {
  const titles = columns.flatMap(({ title, hasRatio }) => (hasRatio ? [title, "ratio"] : [title]));
  const rows = measured.map(
    (peer): Row => ({
      name: peer.name,
      cells: columns.flatMap((column) => toCells(column, peer, measured)),
    }),
  );
  return { ...section, columns: ["peer", ...titles], rows };
}

function toCells(column: Column, peer: Measured, measured: readonly Measured[]): Row["cells"] {
  const { metric, format, hasRatio = false, isAdded = false } = column;
  const values = readValues(peer, metric, isAdded ? findDirect(measured) : undefined);
  const cell = { values, format: isStarved(metric, peer) ? { ...format, unit: "*" } : format };
  if (!hasRatio) return [cell];
  const nginx = measured.find(({ name }) => name === "nginx");
  const ratio = findMedian(values) / (nginx ? findMedian(readValues(nginx, metric)) : Number.NaN);
  return [cell, Number.isFinite(ratio) ? ratio.toFixed(2) : "–"];
}

/** Of each round; less what `base` has in the same one, unless that is the peer itself. */
export function readValues(peer: Measured, metric: string, base?: Measured): number[] {
  return peer.rounds.flatMap((values, round) => {
    const value = values[metric];
    // Of none, nothing can be said.
    if (value === undefined || !Number.isFinite(value)) return [];
    if (base === undefined || base === peer) return [value];
    return [value - (base.rounds[round]?.[metric] ?? Number.NaN)];
  });
}

export function findDirect(measured: readonly Measured[]): Measured | undefined {
  return measured.find(({ name }) => name === "direct");
}

/** Whether the peer could have done more, had there been more to do. */
function isStarved(metric: string, peer: Measured): boolean {
  const load = /^(.*) (?:calls|frames)\/s$/.exec(metric)?.[1];
  const cores = load === undefined ? [] : readValues(peer, `${load} cores`);
  return cores.length > 0 && findMedian(cores) < busyCores;
}

/** From what is there, so that a plan with more of them needs nothing here. */
function listOpenCounts(measured: readonly Measured[]): number[] {
  const counts = listMetrics(measured).flatMap((metric) => /^(\d+) open streams CPU/.exec(metric)?.[1] ?? []);
  return [...new Set(counts.map(Number))].sort((a, b) => a - b);
}

function listRates(measured: readonly Measured[]): string[] {
  return [...new Set(listMetrics(measured).flatMap((metric) => /^(.* at \d+\/s) p50 ms$/.exec(metric)?.[1] ?? []))];
}

function listMetrics(measured: readonly Measured[]): string[] {
  return measured.flatMap(({ rounds }) => rounds.flatMap((values) => Object.keys(values)));
}

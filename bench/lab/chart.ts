// The chart, as hand-written SVG: a panel for each thing that is measured, a bar for each peer, all from zero. Short is
// good in every one of them.

import { findMedian } from "../scheduling/table.ts";
import { findDirect, type Measured, readValues } from "./report.ts";

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly metric: string;
  readonly digits: number;
  readonly isAdded?: boolean;
}

const panels: readonly Panel[] = [
  { title: "CPU of a whole answer (1 KB)", unit: "µs", metric: "unary 1 KB CPU µs per call", digits: 0 },
  { title: "CPU of a whole answer (100 KB)", unit: "µs", metric: "unary 100 KB CPU µs per call", digits: 0 },
  { title: "CPU of a frame, 100 open streams", unit: "µs", metric: "100 open streams CPU µs per frame", digits: 1 },
  { title: "CPU of a frame, 1,000 open streams", unit: "µs", metric: "1000 open streams CPU µs per frame", digits: 1 },
  {
    title: "Added to the first byte, median",
    unit: "ms",
    metric: "first byte at 200/s p50 ms",
    digits: 2,
    isAdded: true,
  },
  { title: "Memory of an open stream", unit: "KB", metric: "memory KB per stream", digits: 0 },
];

const width = 1_040;
const columns = 2;
const bar = { height: 22, gap: 10 };
const label = 96;
const panelWidth = 456;
const lefts = [28, 540] as const;
const top = 96;
const colours = {
  ours: "#0b6e4f",
  other: "#7a869a",
  ink: "#1c2430",
  faint: "#5d6878",
  line: "#d9dee6",
  card: "#ffffff",
};
/** Room for the value behind the longest bar. */
const valueWidth = 84;

/** Null when there is nothing to compare. */
export function drawChart(measured: readonly Measured[], machine: string): string | null {
  const peers = measured.filter(({ name }) => name !== "direct");
  if (peers.length < 2) return null;
  const panelHeight = 44 + peers.length * (bar.height + bar.gap) + 14;
  const height = top + Math.ceil(panels.length / columns) * panelHeight + 24;
  const drawn = panels.map((panel, index) =>
    drawPanel(
      panel,
      peers,
      measured,
      lefts[index % columns] as number,
      top + Math.floor(index / columns) * panelHeight,
    ),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="What a gateway costs, by gateway" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif" font-size="12" fill="${colours.ink}">
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="12" fill="${colours.card}" stroke="${colours.line}"/>
<text x="28" y="38" font-size="18" font-weight="600">What stands between costs</text>
<text x="28" y="60" fill="${colours.faint}">Shorter is better. Medians, with the range of the rounds as a thin line. ${toSvgText(machine)}</text>
${drawn.join("\n")}
</svg>
`;
}

function drawPanel(
  panel: Panel,
  peers: readonly Measured[],
  all: readonly Measured[],
  left: number,
  y: number,
): string {
  const { title, unit, metric, digits, isAdded } = panel;
  const base = isAdded ? findDirect(all) : undefined;
  const known = peers.map((peer) => ({ peer, values: readValues(peer, metric, base).filter(Number.isFinite) }));
  const most = Math.max(...known.flatMap(({ values }) => values), Number.MIN_VALUE);
  const scale = (panelWidth - label - valueWidth) / most;
  const start = left + label;
  const bars = known.map(({ peer, values }, index) => {
    const at = y + 34 + index * (bar.height + bar.gap);
    const middle = at + bar.height / 2;
    const name = `<text x="${start - 8}" y="${middle + 4}" text-anchor="end" font-weight="${isOurs(peer) ? 600 : 400}">${toSvgText(peer.name)}</text>`;
    if (values.length === 0) return `${name}<text x="${start}" y="${middle + 4}" fill="${colours.faint}">–</text>`;
    const toX = (value: number) => round(start + Math.max(0, value) * scale);
    const [median, least, largest] = [findMedian(values), Math.min(...values), Math.max(...values)];
    const fill = isOurs(peer) ? colours.ours : colours.other;
    return [
      name,
      `<rect x="${start}" y="${at}" width="${round(Math.max(1, toX(median) - start))}" height="${bar.height}" rx="3" fill="${fill}"/>`,
      `<path d="M${toX(least)} ${middle}H${toX(largest)}" stroke="${colours.ink}" stroke-width="1.5"/>`,
      `<text x="${round(toX(largest) + 8)}" y="${middle + 4}">${median.toFixed(digits)} ${unit}</text>`,
    ].join("");
  });
  const bottom = y + 34 + peers.length * (bar.height + bar.gap) - bar.gap / 2;
  return [
    `<text x="${left}" y="${y + 18}" font-size="14" font-weight="600">${title}</text>`,
    `<path d="M${start} ${y + 28}V${bottom}" stroke="${colours.line}"/>`,
    ...bars,
  ].join("\n");
}

function isOurs({ name }: Measured): boolean {
  return name.startsWith("glm-proxy");
}

function toSvgText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

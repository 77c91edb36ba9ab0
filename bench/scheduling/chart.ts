// The one chart, as hand-written SVG: for F1 and F2 a bubble for each policy; across, how much of the limit was used;
// up, how fairly; its size, how long light users waited. Labels stand where they cover nothing.

import { type Cell, findMedian, type Section } from "./table.ts";

interface Bubble {
  readonly name: string;
  /** 0 to 1. */
  readonly use: number;
  readonly jain: number;
  readonly waitMs: number;
}

interface Circle {
  readonly x: number;
  readonly y: number;
  readonly r: number;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const panels = [
  { id: "F1", title: "A real trace at 1.25 × the limit" },
  { id: "F2", title: "… and one user floods" },
] as const;
const width = 1_040;
const height = 670;
const plot = { width: 420, height: 440, top: 136, lefts: [76, 588] } as const;
const colours = {
  ours: "#0b6e4f",
  other: "#7a869a",
  ink: "#1c2430",
  faint: "#5d6878",
  line: "#d9dee6",
  card: "#ffffff",
};
const fontSize = 12;
/** What a letter takes on average, in the widest of the usual system fonts. */
const letterWidth = 6.7;

/** Null without the sections that it shows. */
export function drawChart(sections: readonly Section[]): string | null {
  const drawn = panels.flatMap(({ id, title }, index) => {
    const section = sections.find((candidate) => candidate.id === id);
    return section ? [drawPanel(readBubbles(section), title, plot.lefts[index] as number)] : [];
  });
  if (drawn.length < panels.length) return null;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Use of the upstream's limit and fairness, by policy" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif" font-size="${fontSize}" fill="${colours.ink}">
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="12" fill="${colours.card}" stroke="${colours.line}"/>
<text x="28" y="38" font-size="18" font-weight="600">One scarce upstream, many users: used fully, and shared fairly?</text>
<text x="28" y="60" fill="${colours.faint}">Best is the upper right corner. A bubble's area is the 99th percentile of light users' waits; the dashed ones stand for 1, 5 and 15 s.</text>
${drawn.join("\n")}
${drawSizes()}
</svg>
`;
}

function readBubbles({ columns, rows }: Section): Bubble[] {
  const [useAt = 0, jainAt = 0, waitAt = 0] = ["use of limit", "Jain / max-min", "light p99 s"].map(
    (name) => columns.indexOf(name) - 1,
  );
  return rows.map(({ name, cells }) => ({
    name,
    use: readMedian(cells[useAt]),
    jain: readMedian(cells[jainAt]),
    waitMs: readMedian(cells[waitAt]),
  }));
}

function readMedian(cell: Cell | undefined): number {
  return cell === undefined || typeof cell === "string" ? Number.NaN : findMedian(cell.values);
}

/** At least a dot: who makes nobody wait, or serves nobody, has no area. */
function toRadius(waitMs: number): number {
  return Math.max(3.5, Math.sqrt((Number.isNaN(waitMs) ? 0 : waitMs) / 1_000) * 4.6);
}

function drawPanel(bubbles: readonly Bubble[], title: string, left: number): string {
  const toX = (use: number) => left + Math.min(1, use) * plot.width;
  const toY = (jain: number) => plot.top + (1 - jain) * plot.height;
  const bottom = plot.top + plot.height;
  const right = left + plot.width;
  const grid = [0, 0.2, 0.4, 0.6, 0.8, 1].map(
    (share) =>
      `<path d="M${left} ${toY(share)}H${right}M${toX(share)} ${plot.top}V${bottom}" stroke="${colours.line}"/>` +
      `<text x="${left - 8}" y="${toY(share) + 4}" text-anchor="end" fill="${colours.faint}">${share.toFixed(1)}</text>` +
      `<text x="${toX(share)}" y="${bottom + 18}" text-anchor="middle" fill="${colours.faint}">${share * 100}%</text>`,
  );
  const circles = bubbles.map((bubble) => ({
    bubble,
    x: toX(bubble.use),
    y: toY(bubble.jain),
    r: toRadius(bubble.waitMs),
  }));
  const largestFirst = circles.toSorted((one, other) => other.r - one.r);
  const discs = largestFirst.map(({ bubble, x, y, r }) => {
    const colour = isOurs(bubble) ? colours.ours : colours.other;
    return `<circle cx="${round(x)}" cy="${round(y)}" r="${round(r)}" fill="${colour}" fill-opacity="0.35" stroke="${colour}" stroke-width="1.5"/>`;
  });
  const taken: Box[] = circles.map(({ x, y, r }) => ({
    x: x - r * 0.7,
    y: y - r * 0.7,
    width: r * 1.4,
    height: r * 1.4,
  }));
  const bounds = { x: left + 2, y: plot.top - 36, width: plot.width + 24, height: plot.height + 34 };
  const labels = circles
    .toSorted((one, other) => Number(isOurs(other.bubble)) - Number(isOurs(one.bubble)) || one.x - other.x)
    .map((circle) => drawLabel(circle.bubble, circle, taken, bounds));
  return [
    `<text x="${left}" y="${plot.top - 42}" font-size="14" font-weight="600">${title}</text>`,
    ...grid,
    `<text x="${left + plot.width / 2}" y="${bottom + 40}" text-anchor="middle">good answers, share of what the limit allows</text>`,
    `<text transform="translate(${left - 42} ${plot.top + plot.height / 2}) rotate(-90)" text-anchor="middle">fairness: Jain's index over max-min</text>`,
    ...discs,
    ...labels,
  ].join("\n");
}

function isOurs({ name }: Bubble): boolean {
  return name.startsWith("glm-proxy");
}

/** Tries places around the bubble, ever farther out, and takes the first that covers nothing. */
function drawLabel(bubble: Bubble, at: Circle, taken: Box[], bounds: Box): string {
  const weight = isOurs(bubble) ? 600 : 400;
  const size = { width: bubble.name.length * letterWidth * (isOurs(bubble) ? 1.08 : 1), height: fontSize + 3 };
  for (let distance = at.r + 6; distance < 400; distance += 4) {
    for (let turn = 0; turn < 24; turn++) {
      // From the left to both sides, ever more to the right.
      const angle = Math.PI + (turn % 2 === 0 ? 1 : -1) * Math.ceil(turn / 2) * (Math.PI / 12);
      const [x, y] = [at.x + distance * Math.cos(angle), at.y + distance * Math.sin(angle)];
      const side = Math.cos(angle) < -0.3 ? sides.left : Math.cos(angle) > 0.3 ? sides.right : sides.middle;
      const box = { ...size, x: x - side.share * size.width, y: y - size.height / 2 };
      if (!isInside(box, bounds) || taken.some((other) => meets(box, other))) continue;
      taken.push(box);
      const colour = isOurs(bubble) ? colours.ours : colours.ink;
      const text = `<text x="${round(x)}" y="${round(y + fontSize / 3)}" text-anchor="${side.anchor}" font-weight="${weight}" fill="${colour}">${bubble.name}</text>`;
      return distance < at.r + 12 ? text : drawLeader(at, angle, distance - 2) + text;
    }
  }
  return "";
}

/** Which end of a label is at its place. */
const sides = {
  left: { anchor: "end", share: 1 },
  middle: { anchor: "middle", share: 0.5 },
  right: { anchor: "start", share: 0 },
} as const;

/** From the bubble's edge to a label that is far from it. */
function drawLeader(at: Circle, angle: number, distance: number): string {
  const [x, y] = [Math.cos(angle), Math.sin(angle)];
  const [from, to] = [at.r, distance].map((length) => `${round(at.x + length * x)} ${round(at.y + length * y)}`);
  return `<path d="M${from}L${to}" stroke="${colours.faint}" stroke-width="0.8"/>`;
}

function isInside(box: Box, bounds: Box): boolean {
  return (
    box.x >= bounds.x &&
    box.y >= bounds.y &&
    box.x + box.width <= bounds.x + bounds.width &&
    box.y + box.height <= bounds.y + bounds.height
  );
}

function meets(one: Box, other: Box): boolean {
  return (
    one.x < other.x + other.width + 3 &&
    other.x < one.x + one.width + 3 &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  );
}

function drawSizes(): string {
  const sizes = [1_000, 5_000, 15_000].map((waitMs, index) => {
    const x = 84 + index * 74;
    return `<circle cx="${x}" cy="${height - 26}" r="${round(toRadius(waitMs))}" fill="none" stroke="${colours.faint}" stroke-dasharray="3 2"/><text x="${x + toRadius(waitMs) + 5}" y="${height - 22}" fill="${colours.faint}">${waitMs / 1_000} s</text>`;
  });
  return sizes.join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

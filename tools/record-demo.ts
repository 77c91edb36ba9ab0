// Records the demonstration in a pseudo-terminal and draws it as an animated SVG: docs/images/demo.svg.
// Needs script(1) of util-linux. No scripts and no fonts in the picture; without animation it shows the last screen.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const outfile = new URL("../docs/images/demo.svg", import.meta.url);
const command = "npm run demo";
const columns = 92;
/** Pixels. */
const cell = { width: 8.4, height: 20 };
const padding = { x: 18, top: 44, bottom: 16 };
/** How long the last screen stays before it begins anew, and how soon after the command the first output comes. */
const holdMs = 5_000;
const startMs = 900;
/** Changes closer together than this are one. */
const stepMs = 60;

const escapeCode = "\u001b";
const eraseLine = `${escapeCode}[2K`;
/** One control sequence, or one character. */
const partPattern = new RegExp(`${escapeCode}\\[[\\d;?]*[A-Za-z]|[\\s\\S]`, "gu");

interface Chunk {
  readonly at: number;
  readonly text: string;
}

/** What one row of the screen shows from `from` until `until`; null means to the end. */
interface RowState {
  readonly row: number;
  readonly text: string;
  readonly from: number;
  until: number | null;
}

const chunks = await record();
const { states, endsAt } = replay(chunks);
writeFileSync(outfile, draw(states, endsAt + holdMs));
console.log(`docs/images/demo.svg: ${states.length} states of rows in ${(endsAt / 1_000).toFixed(1)} s`);

/** Runs the demonstration in an empty folder, so that no `.env` brings the real GLM in. */
async function record(): Promise<Chunk[]> {
  const folder = mkdtempSync(join(tmpdir(), "glm-proxy-demo-"));
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  const line = `stty cols ${columns} rows 50; exec "${process.execPath}" "${main}" demo --once`;
  const { GLM_FLASH_API_KEY: _, GLM_FLASH_API_KEY_FILE: __, ...env } = process.env;
  try {
    const child = spawn("script", ["-qefc", line, "/dev/null"], {
      cwd: folder,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const recorded: Chunk[] = [];
    let firstAt: number | null = null;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      firstAt ??= performance.now();
      recorded.push({ at: performance.now() - firstAt + startMs, text });
    });
    const exitCode = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
    if (exitCode !== 0) throw new Error(`the demonstration ended with ${exitCode}`);
    return recorded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Plays the output on a screen that knows what the demonstration uses: line ends, returns, and "erase the line". */
function replay(recorded: readonly Chunk[]): { states: RowState[]; endsAt: number } {
  const all: RowState[] = [{ row: 0, text: `$ ${command}`, from: 0, until: null }];
  const shown = new Map<number, RowState>();
  const lines = new Map<number, string>();
  let row = 1;
  let column = 0;

  function put(character: string): void {
    const width = widthOf(character);
    if (column + width > columns) {
      row++;
      column = 0;
    }
    // The demonstration writes only at the end of a line, or over a line that it has erased.
    lines.set(row, (lines.get(row) ?? "") + character);
    column += width;
  }

  function show(at: number): void {
    for (const [index, text] of lines) {
      const before = shown.get(index);
      if ((before?.text ?? "") === text.trimEnd()) continue;
      const isSameStep = before !== undefined && at - before.from < stepMs;
      const from = isSameStep ? before.from : at;
      if (isSameStep) all.splice(all.indexOf(before), 1);
      else if (before) before.until = from;
      const state = { row: index, text: text.trimEnd(), from, until: null };
      shown.set(index, state);
      all.push(state);
    }
  }

  for (const { at, text } of recorded) {
    for (const [part] of text.matchAll(partPattern)) {
      if (part === "\n") row++;
      else if (part === "\r") column = 0;
      else if (part === eraseLine) lines.set(row, "");
      else if (!part.startsWith(escapeCode)) put(part);
    }
    show(at);
  }
  return { states: all.filter((state) => state.text !== ""), endsAt: recorded.at(-1)?.at ?? 0 };
}

function draw(rowStates: readonly RowState[], durationMs: number): string {
  const rowCount = Math.max(...rowStates.map(({ row }) => row)) + 1;
  const width = Math.round(padding.x * 2 + columns * cell.width);
  const height = padding.top + rowCount * cell.height + padding.bottom;
  const rules: string[] = [];
  const rows = rowStates.map((state, index) => {
    const { from, until } = state;
    if (from === 0 && until === null) return `<g>${drawRow(state)}</g>`;
    const percent = (ms: number) => `${((ms / durationMs) * 100).toFixed(2)}%`;
    const end = until === null ? "" : `${percent(until)}{visibility:hidden}`;
    rules.push(`@keyframes k${index}{0%{visibility:hidden}${percent(from)}{visibility:visible}${end}}`);
    rules.push(`.s${index}{animation-name:k${index}}`);
    // Without animation only what stands at the end is seen.
    return `<g class="a s${index}${until === null ? "" : " h"}">${drawRow(state)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">npm run demo: a login, one streamed chat, and twelve calls at once that are served two a second without a refusal</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;fill:#d5dae2;white-space:pre}
.b{fill:#fff;font-weight:bold}.d{fill:#8b95a5}.g{fill:#7ee787}
.h{visibility:hidden}
.a{animation-duration:${(durationMs / 1_000).toFixed(2)}s;animation-timing-function:step-end;animation-iteration-count:infinite}
${rules.join("\n")}
@media (prefers-reduced-motion:reduce){.a{animation:none}}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="9" fill="#151a21" stroke="#3d4654"/>
<circle cx="20" cy="19" r="5.5" fill="#ff5f57"/><circle cx="39" cy="19" r="5.5" fill="#febc2e"/><circle cx="58" cy="19" r="5.5" fill="#28c840"/>
${rows.join("\n")}
</svg>
`;
}

/** Text in runs of equal width, each forced to its columns whatever font the viewer has; the bar as shapes. */
function drawRow({ row, text }: RowState): string {
  const y = padding.top + row * cell.height;
  const tone = toneOf(text);
  let column = 0;
  return Array.from(text.matchAll(/[█▒░]+|[⺀-鿿＀-｠]+|[^█▒░⺀-鿿＀-｠]+/gu), ([run]) => {
    const characters = Array.from(run);
    const start = column;
    const runColumns = characters.reduce((sum, character) => sum + widthOf(character), 0);
    column += runColumns;
    if (/^[█▒░]/.test(run)) return characters.map((block, index) => drawBlock(block, start + index, y)).join("");
    const indent = run.length - run.trimStart().length;
    const shown = run.trim();
    if (shown === "") return "";
    const x = toX(start + indent);
    const length = round((runColumns - indent - (run.trimStart().length - shown.length)) * cell.width);
    return `<text${tone} x="${x}" y="${y + 15}" textLength="${length}" lengthAdjust="spacingAndGlyphs">${escapeXml(shown)}</text>`;
  }).join("");
}

function drawBlock(block: string, column: number, y: number): string {
  const fill = block === "█" ? "#3fb950" : block === "▒" ? "#d29922" : "#3d4654";
  return `<rect x="${round(toX(column) + 0.7)}" y="${y + 3}" width="7" height="14" rx="1.5" fill="${fill}"/>`;
}

function toneOf(text: string): string {
  if (/^(\$|\d\.) /.test(text)) return ' class="b"';
  if (/^ {2}\d+ of \d+ served/.test(text)) return ' class="g"';
  return /^ {2}(gateway|upstream|POST) /.test(text) || text.startsWith("glm-proxy") ? ' class="d"' : "";
}

/** Columns of a character: two for Chinese and its punctuation. */
function widthOf(character: string): number {
  return /[⺀-鿿＀-｠]/u.test(character) ? 2 : 1;
}

function toX(column: number): number {
  return round(padding.x + column * cell.width);
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

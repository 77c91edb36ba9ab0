// How many columns of a terminal a text takes (UAX #11, and UTS #51 for emoji), and texts cut and filled to a number of
// columns. Chinese characters and most emoji take two, combining marks none.

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const plainText = /^[\x20-\x7e]*$/;
const widthless = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]/u;
const emoji = /\p{Emoji_Presentation}|\p{Emoji}\u{FE0F}/u;
/** East Asian Width W and F, but for the emoji among them. */
const wide =
  /^[\u{1100}-\u{115F}\u{2329}\u{232A}\u{2E80}-\u{303E}\u{3041}-\u{4DBF}\u{4E00}-\u{A4CF}\u{A960}-\u{A97F}\u{AC00}-\u{D7A3}\u{F900}-\u{FAFF}\u{FE10}-\u{FE19}\u{FE30}-\u{FE6F}\u{FF01}-\u{FF60}\u{FFE0}-\u{FFE6}\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}\u{1F200}-\u{1F2FF}\u{20000}-\u{3FFFD}]/u;

export function measureWidth(text: string): number {
  if (plainText.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += measureGrapheme(segment);
  return width;
}

/** The text, or as much of its beginning as fits with an ellipsis after it. */
export function cutToWidth(text: string, widthMax: number): string {
  if (measureWidth(text) <= widthMax) return text;
  let cut = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += measureGrapheme(segment);
    if (width > widthMax - 1) break;
    cut += segment;
  }
  return widthMax >= 1 ? `${cut}…` : "";
}

/** Lines of at most so many columns, broken at spaces; a word that is longer has a line of its own. At least one line. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line === "" || measureWidth(longer) <= width) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

export function padToWidth(text: string, width: number, align: "left" | "right" = "left"): string {
  const filling = " ".repeat(Math.max(0, width - measureWidth(text)));
  return align === "left" ? text + filling : filling + text;
}

function measureGrapheme(grapheme: string): number {
  if (widthless.test(grapheme)) return 0;
  return wide.test(grapheme) || emoji.test(grapheme) ? 2 : 1;
}

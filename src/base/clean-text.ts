// The one place that makes text from elsewhere (names, models, messages, titles) harmless for terminals, files and people:
// it must not move the cursor, colour the screen, ring, end a line, or turn the direction of writing.

/** Control characters, C1 and DEL included, format characters (bidirectional, zero-width), and what is no character. */
const hostile = /\p{C}|[\u{2028}\u{2029}]/gu;
/** Of a text of several lines; emphasis that is our own passes. */
const hostileInLines = new RegExp(
  `${String.fromCharCode(27)}\\[(?:1|2|7|22|27|31|32|33|39)m|[^\\P{C}\\n\\t]|[\\u{2028}\\u{2029}]`,
  "gu",
);
const printable = /^[\x20-\x7e]*$/;

/** One harmless line: what is hostile becomes a question mark. */
export function toOneLine(text: string): string {
  return printable.test(text) ? text : text.replace(hostile, "?");
}

/** The same for lines that we have put together: their ends and their emphasis stay. */
export function toHarmlessLines(text: string): string {
  if (printable.test(text)) return text;
  return text.replace(hostileInLines, (found) => (found.endsWith("m") ? found : "?"));
}

/** JSON with the same content, in which nothing is hostile: such characters are escaped, line ends between values stay. */
export function toHarmlessJson(json: string): string {
  if (!/[^\n\x20-\x7e]/.test(json)) return json;
  return json.replace(hostile, (found) =>
    found === "\n"
      ? found
      : Array.from(
          { length: found.length },
          (_, index) => `\\u${found.charCodeAt(index).toString(16).padStart(4, "0")}`,
        ).join(""),
  );
}

// JSON.parse, but for whole numbers beyond 2^53: those are kept as they are written, and JSON.stringify writes them so
// again. Ids of many databases are such numbers.

interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}

/** The language has it; its types do not as yet. */
const exactJson = JSON as unknown as ExactJson;
const wholeNumberPattern = /^-?\d+$/;

/** Throws SyntaxError, as JSON.parse does. */
export function parseExactJson(text: string): unknown {
  return exactJson.parse(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && wholeNumberPattern.test(source)
      ? exactJson.rawJSON(source)
      : value,
  );
}

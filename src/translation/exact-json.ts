// JSON.parse, but for whole numbers beyond 2^53: those are kept as they are written, and JSON.stringify writes them so
// again. Ids of many databases are such numbers.

import { requestBounds, scanJsonText } from "../base/json-scan.ts";

interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}

/** The language has it; its types do not as yet. */
const exactJson = JSON as unknown as ExactJson;
const wholeNumberPattern = /^-?\d+$/;

/** Throws SyntaxError, as JSON.parse does, and also for more than can be looked into. */
export function parseExactJson(text: string): unknown {
  const { excess } = scanJsonText(text, null, requestBounds);
  if (excess !== null) throw new SyntaxError(excess);
  return exactJson.parse(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && wholeNumberPattern.test(source)
      ? exactJson.rawJSON(source)
      : value,
  );
}

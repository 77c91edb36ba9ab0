// A request's body as JSON: valid UTF-8, not nested deeper than any of ours.

import { parseJson, requestBounds } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";

export const depthMax = 16;

/** No body at all is an empty object: what it lacks is told field by field. Throws `invalid_json`. */
export function parseBody(bytes: Buffer | null): unknown {
  if (bytes === null || bytes.length === 0) return {};
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal("invalid_json");
  }
  return parseJson(text, { ...requestBounds, depth: depthMax });
}

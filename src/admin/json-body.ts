// A request's body as JSON: valid UTF-8, not nested deeper than any of ours.

import { scanJson } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";

export const depthMax = 16;

/** No body at all is an empty object: what it lacks is told field by field. Throws `invalid_json`. */
export function parseBody(bytes: Buffer | null): unknown {
  if (bytes === null || bytes.length === 0) return {};
  if (scanJson(bytes, null).depth > depthMax) {
    throw new Refusal("invalid_json", { detail: `it nests deeper than ${depthMax} levels` });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new Refusal("invalid_json");
  }
}

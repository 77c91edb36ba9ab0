// Cursors: where the next page of a list begins, opaque to clients. They say nothing but a name or an id to go on after,
// so that a forged one shows nobody more than any other; still, what is not exactly ours is refused.

import { Refusal } from "../base/refusal.ts";

const charactersMax = 1_024;

/** `list` keeps a cursor of one list from being used on another. */
export function encodeCursor(list: string, after: string): string {
  return Buffer.from(JSON.stringify([list, after])).toString("base64url");
}

/** Throws `invalid_field` for what `encodeCursor` did not make. `pattern`: what may stand in a cursor of this list. */
export function decodeCursor(list: string, cursor: string | undefined, pattern: RegExp): string | null {
  if (cursor === undefined) return null;
  const after = read(list, cursor);
  if (after === null || !pattern.test(after) || encodeCursor(list, after) !== cursor) {
    throw new Refusal("invalid_field", { param: "cursor", detail: "it is not one that this list gave out" });
  }
  return after;
}

function read(list: string, cursor: string): string | null {
  if (cursor.length > charactersMax) return null;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (!Array.isArray(parsed) || parsed.length !== 2 || parsed[0] !== list) return null;
    return typeof parsed[1] === "string" ? parsed[1] : null;
  } catch {
    return null;
  }
}

export const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const numberPattern = /^[1-9]\d{0,15}$/;
export const namePattern = /^[^\p{C}]{1,128}$/u;

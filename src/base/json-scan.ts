// One pass over the bytes of a JSON document before JSON.parse sees it: how much there is of what makes parsing slow, and
// where the value of one top-level member stands, so that it can be replaced without touching any other byte.

import { Refusal } from "./refusal.ts";

export interface JsonScan {
  readonly depth: number;
  /** Byte spans [start, end) of the values of the wanted top-level member; several when the key is repeated. */
  readonly spans: readonly (readonly [start: number, end: number])[];
  /** Which bound was exceeded, as a clause; the scan ended there. Null: none. */
  readonly excess: string | null;
}

/** Most that a document may have, each counted whatever its names look like. */
export interface JsonBounds {
  readonly depth: number;
  /** Members of one object. */
  readonly members: number;
  /** Names and strings together: each new one is kept by the engine, and each new name makes a new kind of object. */
  readonly texts: number;
  /** Commas and opening brackets: about as many as there are values of any kind. */
  readonly values: number;
}

/**
 * Parsing takes some 50 ms of one core then, at worst: 0.7 µs for a new name, 0.3 µs for a new short string, 0.03 µs for
 * anything else; twice that for a body beyond ASCII that is translated. A conversation of a million tokens has half of it.
 */
export const requestBounds: JsonBounds = { depth: 64, members: 10_000, texts: 65_536, values: 500_000 };
/** Embeddings are long lists of numbers. */
export const answerBounds: JsonBounds = { ...requestBounds, depth: 256, values: 2_000_000 };
const noBounds: JsonBounds = { depth: Infinity, members: Infinity, texts: Infinity, values: Infinity };

const quote = 0x22;
const backslash = 0x5c;
/** A string is looked at one by one so far, and searched natively beyond: that costs as much as a few dozen looks. */
const shortString = 32;

/** Where a member's name stands, its quotes included, and how deep its object is: 1 for the top. */
export type OnKey = (start: number, end: number, depth: number) => void;

/** JSON.parse within bounds. Throws `invalid_json`. */
export function parseJson(text: string, bounds: JsonBounds = requestBounds): unknown {
  const { excess } = scanJsonText(text, null, bounds);
  if (excess !== null) throw new Refusal("invalid_json", { detail: excess });
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("invalid_json");
  }
}

/** What an upstream sent: undefined when it is no JSON, or more of it than can be looked into. */
export function parseAnswerJson(text: string): unknown {
  if (scanJsonText(text, null, answerBounds).excess !== null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The result means nothing for bytes that are not valid JSON. */
export function scanJson(bytes: Buffer, wanted: string | null): JsonScan {
  return scanJsonText(bytes.toString("latin1"), wanted);
}

/**
 * Best of text with one character for each byte: a string is searched several times as fast as bytes. `wanted` null
 * finds no member.
 */
export function scanJsonText(
  text: string,
  wanted: string | null,
  bounds = noBounds,
  onKey: OnKey | null = null,
): JsonScan {
  const spans: [number, number][] = [];
  /** Of each object or list around the place: members so far, -1 for a list. */
  const members: number[] = [0];
  let depth = 0;
  let deepest = 0;
  let texts = 0;
  let values = 0;
  let key: string | null = null;
  let valueStart = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Digits, and what else numbers are made of.
    if (code > 0x2c && code < 0x3a) continue;
    if (code === quote) {
      const start = at;
      at = findStringEnd(text, at);
      if (++texts > bounds.texts) return exceed(`it has more than ${bounds.texts} names and strings`);
      if (onKey !== null && isColonNext(text, at + 1)) onKey(start, at + 1, depth);
      if (wanted !== null && depth === 1 && valueStart === -1) key = readString(text.slice(start, at + 1));
    } else if (code === 0x7b || code === 0x5b) {
      deepest = Math.max(deepest, ++depth);
      if (depth > bounds.depth) return exceed(`it nests deeper than ${bounds.depth} levels`);
      if (++values > bounds.values) return exceed(`it has more than ${bounds.values} values`);
      members[depth] = code === 0x7b ? 1 : -1;
    } else if (code === 0x7d || code === 0x5d) {
      if (depth === 1) closeMember(at);
      depth--;
    } else if (code === 0x2c) {
      if (depth === 1) closeMember(at);
      if (++values > bounds.values) return exceed(`it has more than ${bounds.values} values`);
      const count = members[depth] as number;
      if (count > 0) members[depth] = count + 1;
      if (count >= bounds.members) return exceed(`an object in it has more than ${bounds.members} members`);
    } else if (depth === 1 && code === 0x3a) {
      valueStart = at + 1;
    }
  }
  return { depth: deepest, spans, excess: null };

  function exceed(excess: string): JsonScan {
    return { depth: deepest, spans, excess };
  }

  function closeMember(end: number): void {
    if (valueStart !== -1 && key === wanted) spans.push(trim(text, valueStart, end));
    valueStart = -1;
    key = null;
  }
}

function isColonNext(text: string, from: number): boolean {
  let at = from;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at++;
  return text.charCodeAt(at) === 0x3a;
}

function findStringEnd(text: string, start: number): number {
  const shortEnd = Math.min(start + shortString, text.length);
  let at = start + 1;
  for (; at < shortEnd; at++) {
    const code = text.charCodeAt(at);
    if (code === backslash) at++;
    else if (code === quote) return at;
  }
  for (let end = text.indexOf('"', at); end !== -1; end = text.indexOf('"', end + 1)) {
    // An odd number of backslashes before it: it is a part of the string.
    let before = end;
    while (before > at && text.charCodeAt(before - 1) === backslash) before--;
    if ((end - before) % 2 === 0) return end;
  }
  return text.length;
}

function readString(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return "";
  }
}

function trim(text: string, start: number, end: number): [number, number] {
  let from = start;
  let to = end;
  while (from < to && text.charCodeAt(from) <= 0x20) from++;
  while (to > from && text.charCodeAt(to - 1) <= 0x20) to--;
  return [from, to];
}

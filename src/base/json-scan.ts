// One pass over the bytes of a JSON document that JSON.parse has accepted or will judge: how deep it nests, and
// where the value of one top-level member stands, so that it can be replaced without touching any other byte.

export interface JsonScan {
  readonly depth: number;
  /** Byte spans [start, end) of the values of the wanted top-level member; several when the key is repeated. */
  readonly spans: readonly (readonly [start: number, end: number])[];
}

const quote = 0x22;
const backslash = 0x5c;
/** A string is looked at one by one so far, and searched natively beyond: that costs as much as a few dozen looks. */
const shortString = 32;

/** Where a member's name stands, its quotes included, and how deep its object is: 1 for the top. */
export type OnKey = (start: number, end: number, depth: number) => void;

/** `wanted` null measures the depth only. The result means nothing for bytes that are not valid JSON. */
export function scanJson(bytes: Buffer, wanted: string | null): JsonScan {
  return scanJsonText(bytes.toString("latin1"), wanted);
}

/** Of text with one character for each byte: a string is searched several times as fast as bytes. */
export function scanJsonText(text: string, wanted: string | null, onKey: OnKey | null = null): JsonScan {
  const spans: [number, number][] = [];
  let depth = 0;
  let deepest = 0;
  let key: string | null = null;
  let valueStart = -1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const start = at;
      at = findStringEnd(text, at);
      if (onKey !== null && isColonNext(text, at + 1)) onKey(start, at + 1, depth);
      if (wanted !== null && depth === 1 && valueStart === -1) key = readString(text.slice(start, at + 1));
    } else if (code === 0x7b || code === 0x5b) {
      deepest = Math.max(deepest, ++depth);
    } else if (code === 0x7d || code === 0x5d) {
      if (depth === 1) closeMember(at);
      depth--;
    } else if (depth === 1 && code === 0x3a) {
      valueStart = at + 1;
    } else if (depth === 1 && code === 0x2c) {
      closeMember(at);
    }
  }
  return { depth: deepest, spans };

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

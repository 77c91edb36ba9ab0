// One pass over the bytes of a JSON document that JSON.parse has accepted or will judge: how deep it nests, and
// where the value of one top-level member stands, so that it can be replaced without touching any other byte.

export interface JsonScan {
  readonly depth: number;
  /** Byte spans [start, end) of the values of the wanted top-level member; several when the key is repeated. */
  readonly spans: readonly (readonly [start: number, end: number])[];
}

const quote = 0x22;
const backslash = 0x5c;

/** `wanted` null measures the depth only. The result means nothing for bytes that are not valid JSON. */
export function scanJson(bytes: Buffer, wanted: string | null): JsonScan {
  const spans: [number, number][] = [];
  let depth = 0;
  let deepest = 0;
  let key: string | null = null;
  let valueStart = -1;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) {
      const start = at;
      at = findStringEnd(bytes, at);
      if (wanted !== null && depth === 1 && valueStart === -1) key = readString(bytes.subarray(start, at + 1));
    } else if (byte === 0x7b || byte === 0x5b) {
      deepest = Math.max(deepest, ++depth);
    } else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 1) closeMember(at);
      depth--;
    } else if (depth === 1 && byte === 0x3a) {
      valueStart = at + 1;
    } else if (depth === 1 && byte === 0x2c) {
      closeMember(at);
    }
  }
  return { depth: deepest, spans };

  function closeMember(end: number): void {
    if (valueStart !== -1 && key === wanted) spans.push(trim(bytes, valueStart, end));
    valueStart = -1;
    key = null;
  }
}

function findStringEnd(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === backslash) at++;
    else if (bytes[at] === quote) return at;
  }
  return bytes.length;
}

function readString(bytes: Buffer): string {
  try {
    return JSON.parse(bytes.toString("utf8")) as string;
  } catch {
    return "";
  }
}

function trim(bytes: Buffer, start: number, end: number): [number, number] {
  let from = start;
  let to = end;
  while (from < to && (bytes[from] as number) <= 0x20) from++;
  while (to > from && (bytes[to - 1] as number) <= 0x20) to--;
  return [from, to];
}

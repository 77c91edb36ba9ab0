// Reads along in a stream of server-sent events (WHATWG HTML, section 9.2) without changing a byte of it.
// Cuts the bytes at event boundaries, so that an event is forwarded whole or not at all, and notices what tells
// whether the stream is complete: finish_reason, usage, [DONE], an error object.
//
//   upstream chunks   |data: {..}\n\nda|ta: {..}\n\n|data: [DO|NE]\n\n more|
//   passed on         |data: {..}\n\n| |data: {..}\n\n| |data: [DONE]\n\n|        (nothing after [DONE])

import type { Usage } from "./answer.ts";
import { parseUsage } from "./usage.ts";

export interface SseScanner {
  /** The bytes that may be passed on now: whole events, in order, unchanged. Null when there are none yet. */
  push(chunk: Buffer): Buffer | null;
  /** At the end of the input: a last event without its blank line, if it is one worth passing on. */
  flush(): Buffer | null;
  /** `[DONE]` was seen: the stream is over, whatever follows. */
  readonly isDone: boolean;
  /** `[DONE]` or a finish_reason was seen: the answer is whole. */
  readonly isComplete: boolean;
  readonly finishReason: string | null;
  readonly usage: Usage | null;
  /** The upstream's error object, as parsed. The event that held it is not passed on. */
  readonly error: object | null;
  /** Events passed on, comments included. */
  readonly eventCount: number;
  /** Bytes held back because their event is not complete. */
  readonly heldBytes: number;
}

/** An event longer than this flows on as it comes and is not looked into. */
const heldBytesMax = 1024 * 1024;
const lineFeed = 10;
const carriageReturn = 13;

export function createSseScanner(): SseScanner {
  let held: Buffer[] = [];
  let heldBytes = 0;
  /** Bytes of the current line so far: a line that ends at 0 ends the event. */
  let lineLength = 0;
  let isAfterCarriageReturn = false;
  let isOversized = false;
  let isDone = false;
  let finishReason: string | null = null;
  let usage: Usage | null = null;
  let error: object | null = null;
  let eventCount = 0;

  function push(chunk: Buffer): Buffer | null {
    if (isDone || error) return null;
    let passedUpTo = 0;
    for (const end of findEventEnds(chunk)) {
      const event = chunk.subarray(passedUpTo, end);
      if (isOversized) isOversized = false;
      else inspect(passedUpTo === 0 && heldBytes > 0 ? Buffer.concat([...held, event]) : event);
      if (error) break;
      eventCount++;
      passedUpTo = end;
      if (isDone) break;
    }
    const passed = chunk.subarray(0, passedUpTo);
    const rest = chunk.subarray(passedUpTo);
    if (passedUpTo > 0) return release(passed, rest);
    if (error) return null;
    hold(rest);
    if (heldBytes <= heldBytesMax && !isOversized) return null;
    isOversized = true;
    return release(null, null);
  }

  function flush(): Buffer | null {
    if (isDone || error || heldBytes === 0) return null;
    const tail = Buffer.concat(held);
    if (!isOversized) inspect(tail);
    return error || !(isDone || finishReason !== null) ? null : release(null, null);
  }

  function hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    held.push(bytes);
    heldBytes += bytes.length;
  }

  /** What was held, and `more`; then holds `rest`. */
  function release(more: Buffer | null, rest: Buffer | null): Buffer {
    const bytes = heldBytes === 0 ? more : Buffer.concat(more ? [...held, more] : held);
    held = [];
    heldBytes = 0;
    if (rest && !isDone && !error) hold(rest);
    return bytes ?? Buffer.alloc(0);
  }

  function findEventEnds(chunk: Buffer): number[] {
    const ends: number[] = [];
    if (isAfterCarriageReturn || chunk.includes(carriageReturn)) return findEventEndsSlowly(chunk, ends);
    let lineStart = 0;
    for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, lineStart)) {
      if (lineLength + at - lineStart === 0) ends.push(at + 1);
      lineLength = 0;
      lineStart = at + 1;
    }
    lineLength += chunk.length - lineStart;
    return ends;
  }

  /** For line ends with CR: byte by byte. An LF right after a CR belongs to that line's end. */
  function findEventEndsSlowly(chunk: Buffer, ends: number[]): number[] {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === lineFeed && isAfterCarriageReturn) {
        isAfterCarriageReturn = false;
        if (ends.at(-1) === at) ends[ends.length - 1] = at + 1;
        continue;
      }
      isAfterCarriageReturn = byte === carriageReturn;
      if (byte !== lineFeed && byte !== carriageReturn) {
        lineLength++;
        continue;
      }
      if (lineLength === 0) ends.push(at + 1);
      lineLength = 0;
    }
    return ends;
  }

  function inspect(event: Buffer): void {
    if (!mayMatter(event)) return;
    const data = readData(event);
    if (data === null) return;
    if (data.startsWith("[DONE]")) {
      isDone = true;
      return;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      return;
    }
    if (typeof parsed !== "object" || parsed === null) return;
    const { error: failure, choices, usage: reported } = parsed as Record<string, unknown>;
    if (typeof failure === "object" && failure !== null) error = parsed;
    else {
      usage = parseUsage(reported) ?? usage;
      if (Array.isArray(choices)) {
        for (const choice of choices as { finish_reason?: unknown }[]) {
          if (typeof choice?.finish_reason === "string") finishReason = choice.finish_reason;
        }
      }
    }
  }

  return {
    push,
    flush,
    get isDone() {
      return isDone;
    },
    get isComplete() {
      return isDone || finishReason !== null;
    },
    get finishReason() {
      return finishReason;
    },
    get usage() {
      return usage;
    },
    get error() {
      return error;
    },
    get eventCount() {
      return eventCount;
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}

/** Whether an event can hold anything that is looked for. Spares most events their parsing. */
function mayMatter(event: Buffer): boolean {
  if (event.includes("[DONE]") || event.includes('"usage"') || event.includes('"error"')) return true;
  const at = event.indexOf('"finish_reason"');
  if (at === -1) return false;
  let next = at + '"finish_reason"'.length;
  while (event[next] === 0x20 || event[next] === 0x3a) next++;
  // 0x6e: the n of null. Several choices may have several reasons, so only a lone null is skipped.
  return event[next] !== 0x6e || event.indexOf('"finish_reason"', next) !== -1;
}

/** The event's data lines, joined; null when it has none. */
function readData(event: Buffer): string | null {
  const lines = event
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/);
  const data = lines.filter((line) => line === "data" || line.startsWith("data:"));
  return data.length === 0 ? null : data.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
}

/** The first event of a stream, when `bytes` hold it whole and it is an error object; else null. */
export function findLeadingError(bytes: Buffer): object | null {
  const scanner = createSseScanner();
  scanner.push(bytes);
  return scanner.eventCount === 0 ? scanner.error : null;
}

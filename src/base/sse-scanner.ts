// Reads along in a stream of server-sent events (WHATWG HTML, section 9.2) without changing a byte of it.
// Cuts the bytes at event boundaries, so that an event is forwarded whole or not at all, and notices what tells
// whether the stream is complete: finish_reason, usage, [DONE], an error object.
//
//   upstream chunks   |data: {..}\n\nda|ta: {..}\n\n|data: [DO|NE]\n\n more|
//   passed on         |data: {..}\n\n| |data: {..}\n\n| |data: [DONE]\n\n|        (nothing after [DONE])

import type { Usage } from "./answer.ts";
import type { AnswerFormat } from "./answer-format.ts";
import {
  createEventReader,
  createStreamFacts,
  type EventReader,
  hasData,
  isWholeEvent,
  type StreamFacts,
} from "./event-reader.ts";

export interface SseScannerOptions {
  /** Default: chat. */
  readonly format?: AnswerFormat;
  /** An event that only reports usage is read, and not passed on: its reader did not ask for it. */
  readonly dropsUsageChunk?: boolean;
  /** An event longer than this flows on as it comes and is not looked into. Default: 1 MiB. */
  readonly eventBytesMax?: number;
}

export interface SseScanner {
  /** The bytes that may be passed on now: whole events, in order, unchanged. Null when there are none yet. */
  push(chunk: Buffer): Buffer | null;
  /** At the end of the input: a last event without its blank line, if it is one worth passing on. */
  flush(): Buffer | null;
  /** Its last event was seen: the stream is over, whatever follows. */
  readonly isDone: boolean;
  /** The answer is whole: its last event or a reason for its end was seen. Of a plain stream, its end says so. */
  readonly isComplete: boolean;
  readonly finishReason: string | null;
  readonly usage: Usage | null;
  /** The upstream's error object, as parsed. The event that held it is not passed on. */
  readonly error: object | null;
  /** A chat's last event came without a finish reason before it. That event is not passed on. */
  readonly isTruncated: boolean;
  /** Events passed on, comments included. */
  readonly eventCount: number;
  /** Bytes held back because their event is not complete. */
  readonly heldBytes: number;
}

const defaultEventBytesMax = 1024 * 1024;
const lineFeed = 10;
const carriageReturn = 13;

export function createSseScanner(options: SseScannerOptions = {}): SseScanner {
  return new EventScanner(options);
}

/** A class, since an object literal with getters is old from birth (see docs/decisions/006-hot-path.md). */
class EventScanner implements SseScanner {
  readonly #format: AnswerFormat;
  readonly #dropsUsageChunk: boolean;
  readonly #eventBytesMax: number;
  readonly #reader: EventReader;
  readonly #facts: StreamFacts = createStreamFacts();
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of the current line so far: a line that ends at 0 ends the event. */
  #lineLength = 0;
  #isAfterCarriageReturn = false;
  #isOversized = false;
  #wasDropped = false;
  #eventCount = 0;

  constructor({ format = "chat", dropsUsageChunk = false, eventBytesMax = defaultEventBytesMax }: SseScannerOptions) {
    this.#format = format;
    this.#dropsUsageChunk = dropsUsageChunk;
    this.#eventBytesMax = eventBytesMax;
    this.#reader = createEventReader(format);
  }

  get isDone(): boolean {
    return this.#facts.isDone;
  }

  get isComplete(): boolean {
    return this.#facts.isDone || this.#facts.isWhole;
  }

  get finishReason(): string | null {
    return this.#facts.finishReason;
  }

  get usage(): Usage | null {
    return this.#facts.usage;
  }

  get error(): object | null {
    return this.#facts.error;
  }

  get isTruncated(): boolean {
    return this.#facts.isTruncated;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get #isOver(): boolean {
    const { isDone, error, isTruncated } = this.#facts;
    return isDone || error !== null || isTruncated;
  }

  push(chunk: Buffer): Buffer | null {
    if (this.#isOver) return null;
    const parts: Buffer[] = [];
    /** What is passed on, from here to there; what was held goes before it. */
    let from = 0;
    let to = 0;
    if (this.#isAfterCarriageReturn && this.#heldBytes === 0 && chunk[0] === lineFeed) {
      // The other half of the line end that ended the last event: it goes where that went.
      to = 1;
      if (this.#wasDropped) from = 1;
    }
    // One character for each byte: searching a string costs a fifth of searching a buffer.
    const text = chunk.toString("latin1");
    /** No event that ends before says anything: a burst is looked through once, not once for each of its events. */
    let mattersAt = 0;
    for (const end of this.#findEventEnds(text)) {
      if (mattersAt <= to) mattersAt = this.#reader.findMatter(text, to, end);
      // An event that began in an earlier chunk may have said it there.
      if (mattersAt >= end && this.#heldBytes === 0) {
        this.#facts.hasUnread ||= this.#isOversized || end - to > this.#eventBytesMax;
        this.#isOversized = false;
        this.#wasDropped = false;
      } else {
        this.#wasDropped = this.#inspectEvent(chunk.subarray(to, end));
      }
      if (this.#facts.error || this.#facts.isTruncated) break;
      if (this.#wasDropped) {
        parts.push(chunk.subarray(from, to));
        from = end;
        this.#held = [];
        this.#heldBytes = 0;
      } else {
        this.#eventCount++;
        if (this.#heldBytes > 0) this.#takeHeld(parts);
      }
      to = end;
      if (this.#facts.isDone) break;
    }
    if (to > from) parts.push(chunk.subarray(from, to));
    if (this.#isOver) return join(parts);
    this.#hold(chunk.subarray(to));
    if (this.#heldBytes > this.#eventBytesMax || this.#isOversized) {
      this.#isOversized = true;
      this.#wasDropped = false;
      this.#takeHeld(parts);
    }
    return join(parts);
  }

  /** True: it is not passed on. */
  #inspectEvent(bytes: Buffer): boolean {
    const wasOversized = this.#isOversized;
    this.#isOversized = false;
    // Also when it came in one piece: what is seen must not depend on the network's cuts.
    if (wasOversized || this.#heldBytes + bytes.length > this.#eventBytesMax) {
      this.#facts.hasUnread = true;
      return false;
    }
    const isUsageAlone = this.#reader.read(
      this.#heldBytes > 0 ? Buffer.concat([...this.#held, bytes]) : bytes,
      this.#facts,
    );
    return this.#dropsUsageChunk && isUsageAlone;
  }

  flush(): Buffer | null {
    if (this.#isOver) return null;
    const tail = Buffer.concat(this.#held);
    const isDropped =
      !this.#isOversized && tail.length > 0 && this.#reader.read(tail, this.#facts) && this.#dropsUsageChunk;
    if (this.#format === "plain" && !this.#facts.error) this.#facts.isWhole = true;
    if (
      tail.length === 0 ||
      this.#facts.error ||
      this.#facts.isTruncated ||
      isDropped ||
      !(this.#facts.isDone || this.#facts.isWhole)
    )
      return null;
    // A piece of an event would be read as one by those who take a stream line by line.
    if (this.#format !== "plain" && !isWholeEvent(tail)) return null;
    this.#held = [];
    this.#heldBytes = 0;
    return tail;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #takeHeld(parts: Buffer[]): void {
    parts.push(...this.#held);
    this.#held = [];
    this.#heldBytes = 0;
  }

  #findEventEnds(text: string): number[] {
    const ends: number[] = [];
    if (this.#isAfterCarriageReturn || text.includes("\r")) return this.#findEventEndsSlowly(text, ends);
    let lineStart = 0;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", lineStart)) {
      if (this.#lineLength + at - lineStart === 0) ends.push(at + 1);
      this.#lineLength = 0;
      lineStart = at + 1;
    }
    this.#lineLength += text.length - lineStart;
    return ends;
  }

  /** For line ends with CR: one by one. An LF right after a CR belongs to that line's end. */
  #findEventEndsSlowly(text: string, ends: number[]): number[] {
    for (let at = 0; at < text.length; at++) {
      const byte = text.charCodeAt(at);
      if (byte === lineFeed && this.#isAfterCarriageReturn) {
        this.#isAfterCarriageReturn = false;
        if (ends.at(-1) === at) ends[ends.length - 1] = at + 1;
        continue;
      }
      this.#isAfterCarriageReturn = byte === carriageReturn;
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#lineLength++;
        continue;
      }
      if (this.#lineLength === 0) ends.push(at + 1);
      this.#lineLength = 0;
    }
    return ends;
  }
}

/** Mostly there is one, which stays as it is. */
function join(parts: readonly Buffer[]): Buffer | null {
  const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  return bytes.length === 0 ? null : bytes;
}

/** What a stream begins with: not known yet · anything but an error · an error object, as parsed */
export type Opening = "unknown" | "begun" | { readonly error: object };

export interface OpeningScanner {
  push(chunk: Buffer): Opening;
  /** At the end of the input. */
  flush(): Opening;
}

/** Waits for a stream's first event. Comments and pings are none. */
export function createOpeningScanner(format: AnswerFormat): OpeningScanner {
  const scanner = createSseScanner({ format });
  function look(passed: Buffer | null): Opening {
    if (scanner.isTruncated || (passed !== null && hasData(passed))) return "begun";
    return scanner.error === null ? "unknown" : { error: scanner.error };
  }
  return { push: (chunk) => look(scanner.push(chunk)), flush: () => look(scanner.flush()) };
}

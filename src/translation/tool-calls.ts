// Puts the pieces of tool calls in order: dialects that name each call once need one to end before the next begins, while
// chat streams may mix them.

import type { ToolCallPiece } from "./chat-answer.ts";

export interface ToolCallSink {
  begin(call: { readonly id: string; readonly name: string }): void;
  append(text: string): void;
  end(): void;
}

const noArguments = "{}";

/** A call without arguments has an empty object: clients and servers parse what they get. */
export function toArguments(text: string): string {
  return isNothing(text) ? noArguments : text;
}

/** Some servers write "null" for no arguments. */
function isNothing(text: string): boolean {
  const trimmed = text.trim();
  return trimmed === "" || trimmed === "null";
}

interface PendingCall {
  id: string;
  name: string;
  /** What the sink has not got yet. */
  text: string;
  /** The beginning of the arguments while it may still be the word null; null: they have begun. */
  undecided: string | null;
  readonly extent: JsonExtent;
}

/** `fallbackId` makes an id for a call that has none of its own; `ordinal` counts the calls that have begun. */
export function createToolCallQueue(sink: ToolCallSink, fallbackId: (ordinal: number) => string) {
  /** The last call of each index: what its next pieces belong to. */
  const latest = new Map<number, PendingCall>();
  const usedIds = new Set<string>();
  /** Those that have not begun, in the order in which they came. */
  let waiting: PendingCall[] = [];
  let current: PendingCall | null = null;
  let begunCount = 0;

  function push(piece: ToolCallPiece): void {
    const call = findCall(piece);
    const text = takeArguments(call, piece.arguments);
    if (call === current) {
      if (text !== "") sink.append(text);
      return;
    }
    // Some repeat id and name with each piece; some send them once.
    call.id ||= piece.id;
    call.name ||= piece.name;
    call.text += text;
    // Pieces of another call are no sign that nothing more of the current one comes: they wait for the end.
    if (current === null) beginNext();
  }

  function findCall(piece: ToolCallPiece): PendingCall {
    const known = latest.get(piece.index);
    if (known && !isAnother(known, piece)) return known;
    const call = { id: "", name: "", text: "", undecided: "", extent: new JsonExtent() };
    latest.set(piece.index, call);
    waiting.push(call);
    return call;
  }

  function beginNext(): void {
    const [first] = waiting;
    if (!first || first.name === "") return;
    waiting.shift();
    current = first;
    const fallback = fallbackId(begunCount++);
    const id = first.id === "" || usedIds.has(first.id) ? fallback : first.id;
    usedIds.add(id);
    sink.begin({ id, name: first.name });
    if (first.text !== "") sink.append(first.text);
  }

  /** Nothing more comes. A call that never had a name is dropped. */
  function end(): void {
    waiting = waiting.filter(({ name }) => name !== "");
    while (current !== null || waiting.length > 0) {
      if (current !== null) {
        if (current.undecided !== null) sink.append(toArguments(current.undecided));
        current = null;
        sink.end();
      }
      beginNext();
    }
  }

  return {
    push,
    end,
    /** One has begun, or there are some to begin. */
    get isBusy() {
      return current !== null || waiting.length > 0;
    },
    get begunCount() {
      return begunCount;
    },
  };
}

/** Returns what can be passed on now. */
function takeArguments(call: PendingCall, piece: string): string {
  call.extent.push(piece);
  if (call.undecided === null) return piece;
  const text = call.undecided + piece;
  const isUndecided = "null".startsWith(text.trim());
  call.undecided = isUndecided ? text : null;
  return isUndecided ? "" : text;
}

/**
 * Whether a piece begins another call than the last one of its index. Some servers give all calls the same index, some
 * give each piece another id, some give neither index nor id: a name is the only sign that all of them give.
 */
function isAnother(known: PendingCall, { id, name, arguments: text }: ToolCallPiece): boolean {
  if (name === "") return false;
  if (known.id !== "" && id !== "" && id !== known.id) return true;
  if (known.name !== "" && name !== known.name) return true;
  return known.extent.isComplete && text !== "";
}

/** Follows a JSON object through its pieces, to know when it is complete. Reads each character once. */
class JsonExtent {
  isComplete = false;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const character = text[at] as string;
      if (this.#isInString) this.#readInString(character);
      else this.#readOutside(character);
    }
  }

  #readInString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (character === "\\") this.#isEscaped = true;
    else if (character === '"') this.#isInString = false;
  }

  #readOutside(character: string): void {
    if (character <= " ") return;
    if (character === '"') this.#isInString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") this.isComplete = --this.#depth === 0;
  }
}

// Puts the pieces of tool calls in order: dialects that name each call once need one to end before the next begins, while
// chat streams may mix them.

import type { ToolCallPiece } from "./chat-answer.ts";

export interface ToolCallSink {
  begin(call: { readonly id: string; readonly name: string }): void;
  append(text: string): void;
  end(): void;
}

interface PendingCall {
  id: string;
  name: string;
  text: string;
}

/** `fallbackId` makes an id for a call that has none; `ordinal` counts the calls that have begun. */
export function createToolCallQueue(sink: ToolCallSink, fallbackId: (ordinal: number) => string) {
  /** The last call of each index: what its next pieces belong to. */
  const latest = new Map<number, PendingCall>();
  /** Those that have not begun, in the order in which they came. */
  let waiting: PendingCall[] = [];
  let current: PendingCall | null = null;
  let begunCount = 0;

  function push(piece: ToolCallPiece): void {
    const call = findCall(piece);
    if (call === current) {
      if (piece.arguments !== "") sink.append(piece.arguments);
      return;
    }
    // Some repeat id and name with each piece; some send them once.
    call.id ||= piece.id;
    call.name ||= piece.name;
    call.text += piece.arguments;
    // Pieces of another call are no sign that nothing more of the current one comes: they wait for the end.
    if (current === null) beginNext();
  }

  /** Some give all calls the same index, and some each piece another id: only both, id and name, make a new call. */
  function findCall({ index, id, name }: ToolCallPiece): PendingCall {
    const known = latest.get(index);
    const isAnother = known && known.id !== "" && id !== "" && id !== known.id && name !== "";
    if (known && !isAnother) return known;
    const call = { id: "", name: "", text: "" };
    latest.set(index, call);
    waiting.push(call);
    return call;
  }

  function beginNext(): void {
    const [first] = waiting;
    if (!first || first.name === "") return;
    waiting.shift();
    current = first;
    const fallback = fallbackId(begunCount++);
    sink.begin({ id: first.id || fallback, name: first.name });
    if (first.text !== "") sink.append(first.text);
  }

  /** Nothing more comes. A call that never said its name is none. */
  function end(): void {
    waiting = waiting.filter(({ name }) => name !== "");
    while (current !== null || waiting.length > 0) {
      if (current !== null) {
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

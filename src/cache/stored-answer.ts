// An answer as a client got it, written down while it was sent, and sent again.

import type { StreamedAnswer, WholeAnswer } from "../base/answer.ts";
import type { Client } from "../base/client.ts";

export type StoredAnswer =
  | { readonly kind: "whole"; readonly answer: WholeAnswer }
  | { readonly kind: "stream"; readonly head: StreamedAnswer; readonly pieces: readonly Buffer[] };

/** What an entry costs beside its bytes, so that many small ones are bounded too. */
export const entryBytes = 1_024;

export interface Recorder {
  /** Whoever writes to it writes to the client. */
  readonly client: Client;
  /** What was sent, or null when it was not all, or too much. Once. */
  finish(): StoredAnswer | null;
  /** The bytes that it holds, which are held no more. */
  abandon(): number;
}

/** `takeRoom`: false when there is none; what is taken is held until `finish` or `abandon`. */
export function createRecorder(client: Client, bytesMax: number, takeRoom: (bytes: number) => boolean): Recorder {
  let head: StreamedAnswer | null = null;
  let whole: WholeAnswer | null = null;
  let pieces: Buffer[] = [];
  let bytes = 0;
  let isTooMuch = false;
  let isAll = false;

  hold(entryBytes);

  function hold(size: number): boolean {
    if (isTooMuch) return false;
    if (bytes + size > bytesMax || !takeRoom(size)) {
      isTooMuch = true;
      return false;
    }
    bytes += size;
    return true;
  }

  const recording: Client = {
    async sendWhole(answer) {
      if (hold(answer.body.length)) whole = { ...answer, parsed: null };
      await client.sendWhole(answer);
      isAll = true;
    },
    openStream(answer) {
      head = answer;
      client.openStream(answer);
    },
    write(piece) {
      // The piece is part of what came over the wire: a copy holds no more than itself.
      if (hold(piece.length)) pieces.push(Buffer.from(piece));
      return client.write(piece);
    },
    get unsentBytes() {
      return client.unsentBytes;
    },
    onDrained: (callback) => client.onDrained(callback),
    async endStream() {
      await client.endStream();
      isAll = true;
    },
  };

  return {
    client: recording,
    finish() {
      if (!isAll || isTooMuch) return null;
      if (whole !== null) return { kind: "whole", answer: whole };
      return head === null ? null : { kind: "stream", head: toHead(head), pieces };
    },
    abandon() {
      const held = bytes;
      pieces = [];
      whole = null;
      bytes = 0;
      isTooMuch = true;
      return held;
    },
  };
}

/** Of a stream only what a client's head is made of: its connection is long gone. */
function toHead(answer: StreamedAnswer): StreamedAnswer {
  const nothing = () => {};
  return {
    ...answer,
    consume: nothing,
    pause: nothing,
    resume: nothing,
    abort: nothing,
    discard: () => Promise.resolve(),
  };
}

export function sizeOf(stored: StoredAnswer): number {
  if (stored.kind === "whole") return entryBytes + stored.answer.body.length;
  return stored.pieces.reduce((sum, { length }) => sum + length, entryBytes);
}

/** Resolves when the operating system has it all. Rejects as the client's own writing does. */
export function replayTo(client: Client, stored: StoredAnswer): Promise<void> {
  if (stored.kind === "whole") return client.sendWhole(stored.answer);
  client.onDrained(() => {});
  client.openStream(stored.head);
  for (const piece of stored.pieces) client.write(piece);
  return client.endStream();
}

// Standard output and standard error. Neither ever blocks the process: what a terminal or a pipe does not take waits in
// memory, and the ones that write without end look at how much waits.

import { Socket } from "node:net";

export interface StandardOutput {
  write(text: string): void;
  /** What the reader has not taken yet, in bytes. */
  readonly waitingBytes: number;
  /** Whether it is a regular file or a device, which takes everything at once. */
  readonly isFile: boolean;
  /** Why something could not be written; null: all was. A reader that goes away, as `| head` does, is no failure. */
  readonly failure: Error | null;
  /** Resolves when nothing waits any more, or nobody reads. */
  flush(): Promise<void>;
}

/** `onClosed`: called once when nobody reads any more. */
export function openOutput(stream: NodeJS.WriteStream, onClosed: () => void): StandardOutput {
  let failure: NodeJS.ErrnoException | null = null;
  const isFile = !(stream instanceof Socket);
  // Node has terminals block the process that writes: one that nobody reads (Ctrl-S is enough) would stop everything.
  if (stream.isTTY) (stream as BlockingStream)._handle?.setBlocking?.(false);
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (failure !== null) return;
    failure = error;
    onClosed();
  });
  return {
    write: (text) => void stream.write(text),
    get waitingBytes() {
      return stream.writableLength;
    },
    isFile,
    get failure() {
      // EIO: the terminal is gone.
      return failure?.code === "EPIPE" || failure?.code === "EIO" ? null : failure;
    },
    flush: () => new Promise((resolve) => void stream.write("", () => resolve())),
  };
}

/** Node's documented way to choose this is gone from terminals; libuv's is there. */
interface BlockingStream extends NodeJS.WriteStream {
  readonly _handle?: { setBlocking?(isBlocking: boolean): void };
}

// A client, as those see it who give it an answer: the relay, the cache. Implemented by the HTTP side.

import type { StreamedAnswer, WholeAnswer } from "./answer.ts";

export interface Client {
  /**
   * Sends head and body. Resolves when the operating system has it all. Rejects with `upstream_unexpected` when the
   * client was promised a stream already.
   */
  sendWhole(answer: WholeAnswer): Promise<void>;
  /** Sends the head at once, unless signs of life have opened the stream before. */
  openStream(answer: StreamedAnswer): void;
  /** False: the client is behind, `onDrained` will be called when it has caught up. */
  write(bytes: Buffer): boolean;
  /** Bytes written and not yet taken by the client's connection. */
  readonly unsentBytes: number;
  /** Has the callback called whenever nothing is unsent any more. Called once, before the first write. */
  onDrained(callback: () => void): void;
  /** Ends the stream. Resolves when the operating system has it all. */
  endStream(): Promise<void>;
}

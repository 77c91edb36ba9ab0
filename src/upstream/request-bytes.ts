// Follows a request's bytes to the kernel. What was not written whole can't have been executed; and its connection, on
// which the rest would come first, must not carry another request.

import type { Socket } from "node:net";

/** "fully" once the last byte was given to the kernel, and where that can't be told. */
export type SendState = "unsent" | "partly" | "fully";

export class RequestBytes {
  #socket: Socket | null = null;
  #state: SendState = "unsent";

  get state(): SendState {
    return this.#state;
  }

  /** Nothing was written yet; `socket` is where it will be, null when that is not known. */
  start(socket: Socket | null): void {
    this.#socket = socket;
    this.#state = socket === null ? "fully" : "partly";
  }

  /** All was handed to the socket, which may keep a part of it for now. */
  end(): void {
    const socket = this.#socket;
    if (socket === null) return;
    const note = (error?: Error | null) => {
      if (!error) this.#state = "fully";
    };
    if (socket.writableLength === 0) note();
    // Writes end in order, and an empty one sends nothing, over TLS neither.
    else if (socket.writable) socket.write("", note);
  }

  /** The exchange is over. */
  release(): void {
    if (this.#state === "partly") this.#socket?.destroy();
    this.#socket = null;
  }
}

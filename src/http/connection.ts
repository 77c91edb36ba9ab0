// One connection of a client's, under Node's parser. Its requests are at work one at a time: bytes that come behind the
// one at work are held back, and so is their sender. An answer that comes before its request has ended is followed by a
// short linger, or the unread rest would reset the connection and take the answer with it.
//
//   idle ── a request's head ──▶ at work ── answered ──▶ idle: what was held back is parsed
//                                   │          └─ the request has not ended within `lingerMs` ──▶ destroyed
//                                   ├── no byte of the answer taken for the stall time ──▶ reset
//                                   └── the answer is the last ──▶ lingering ── client's end, or `lingerMs` ──▶ destroyed

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";

/** How long a client may go on sending after its answer. */
export const lingerMs = 1_000;
/** Bytes of later requests that are read while one is at work. Beyond them the client's end is not noticed either. */
export const heldBytesMax = 16 * 1024;

/** The answer to this one is the last of its connection. */
export const requestsMax = 1_000;

const headEnd = Buffer.from("\r\n\r\n");
const noBytes = Buffer.alloc(0);

export class Connection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  /** Node's own listener, which feeds its parser. */
  readonly #parse: (bytes: Buffer) => void;
  /** The last one whose head came in. */
  #request: IncomingMessage | null = null;
  /** The answer at work. */
  #response: ServerResponse | null = null;
  /** Of the body with a length; null where it has none. */
  #bodyBytesLeft: number | null = null;
  /** The last bytes of a head that is not complete: its end may lie across two pieces. */
  #headTail: Buffer = noBytes;
  #heldBytes: Buffer = noBytes;
  /** Requests that the parser has seen behind the one at work. */
  #waiting: (() => void)[] = [];
  #isLingering = false;
  #requestCount = 0;
  #idleSince: number;
  #takenBytes = 0;
  #stalledSince: number | null = null;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#idleSince = clock.now();
    this.#parse = socket.listeners("data")[0] as (bytes: Buffer) => void;
    socket.removeListener("data", this.#parse);
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    // Node calls it when the last answer of a connection is written.
    socket.destroySoon = () => this.close();
  }

  /** The answer at work, if any. */
  get response(): ServerResponse | null {
    return this.#response;
  }

  /** Has the request served when its turn comes: mostly now. */
  begin(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
    if (this.#response !== null) {
      this.#waiting.push(() => this.begin(request, response, serve));
      return;
    }
    const length = request.headers["content-length"];
    this.#request = request;
    this.#response = response;
    this.#bodyBytesLeft = length === undefined ? null : Number(length);
    // Whoever answers it, Node says so in the head, and ends the connection behind it.
    if (++this.#requestCount >= requestsMax) response.shouldKeepAlive = false;
    response.once("close", this.#noteAnswered);
    serve();
  }

  /** Ends it when what is written has gone out; what the client still sends for a moment is dropped. */
  close(): void {
    if (this.#isLingering) return;
    this.#isLingering = true;
    this.#heldBytes = noBytes;
    this.#waiting = [];
    this.#socket.end();
    this.#socket.resume();
    this.#socket.once(
      "close",
      this.#clock.after(lingerMs, () => this.#socket.destroy()),
    );
  }

  get isLingering(): boolean {
    return this.#isLingering;
  }

  /** Called again and again. Resets who takes nothing for `stallMs`, destroys what is idle for `idleMs`. */
  check(now: number, stallMs: number, idleMs: number): void {
    if (this.#response === null) {
      if (now - this.#idleSince >= idleMs) this.#socket.destroy();
      return;
    }
    const takenBytes = countTaken(this.#socket);
    const isBehind = this.#socket.writableLength > 0;
    if (!isBehind || this.#stalledSince === null || takenBytes !== this.#takenBytes) {
      this.#stalledSince = isBehind ? now : null;
      this.#takenBytes = takenBytes;
    } else if (now - this.#stalledSince >= stallMs) {
      // An event of the response: a listener that this object holds makes V8 keep calls far longer than they last.
      this.#response.emit("stalled");
      this.#socket.resetAndDestroy();
    }
  }

  #take(bytes: Buffer): void {
    if (this.#isLingering) return;
    if (this.#isAtWork || this.#heldBytes.length > 0) this.#hold(bytes);
    else this.#pass(bytes);
  }

  /** Nothing more of the request at work is to come. */
  get #isAtWork(): boolean {
    return this.#waiting.length > 0 || (this.#response !== null && this.#request?.complete === true);
  }

  /** In pieces that end where a request does, as far as that can be told, so that the parser is not ahead of the answers. */
  #pass(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#isLingering && !this.#socket.destroyed) {
      if (this.#isAtWork) {
        this.#hold(rest);
        return;
      }
      const end = this.#findEnd(rest);
      const piece = end === rest.length ? rest : rest.subarray(0, end);
      rest = end === rest.length ? noBytes : rest.subarray(end);
      if (this.#bodyBytesLeft !== null) this.#bodyBytesLeft -= end;
      this.#parse.call(this.#socket, piece);
    }
  }

  /** Chunked bodies end as heads do: with an empty line. */
  #findEnd(bytes: Buffer): number {
    if (this.#request?.complete === false && this.#bodyBytesLeft !== null && this.#bodyBytesLeft > 0) {
      return Math.min(this.#bodyBytesLeft, bytes.length);
    }
    const tail = this.#headTail;
    const seamAt = tail.length === 0 ? -1 : Buffer.concat([tail, bytes.subarray(0, 3)]).indexOf(headEnd);
    const at = seamAt === -1 ? bytes.indexOf(headEnd) : seamAt - tail.length;
    this.#headTail = at === -1 ? Buffer.concat([tail, bytes.subarray(-3)]).subarray(-3) : noBytes;
    return at === -1 ? bytes.length : at + headEnd.length;
  }

  #hold(bytes: Buffer): void {
    this.#heldBytes = this.#heldBytes.length === 0 ? bytes : Buffer.concat([this.#heldBytes, bytes]);
    if (this.#heldBytes.length > heldBytesMax) this.#socket.pause();
  }

  #noteAnswered = (): void => {
    this.#response = null;
    this.#stalledSince = null;
    this.#idleSince = this.#clock.now();
    if (this.#socket.destroyed || this.#isLingering) return;
    if (this.#request?.complete === false) this.#awaitEnd(this.#request);
    else this.#request = null;
    const next = this.#waiting.shift();
    if (next) next();
    // Not in this turn: requests that are answered at once would hold up those of other connections.
    else if (this.#heldBytes.length > 0) setImmediate(() => this.#goOn());
  };

  #goOn(): void {
    const held = this.#heldBytes;
    if (held.length === 0 || this.#isAtWork) return;
    this.#heldBytes = noBytes;
    this.#socket.resume();
    this.#pass(held);
  }

  /** It was answered before it had ended: what is left of it is dropped. */
  #awaitEnd(request: IncomingMessage): void {
    const cancel = this.#clock.after(lingerMs, () => this.#socket.destroy());
    request.once("close", cancel).once("end", cancel).resume();
  }
}

/** Bytes that the system has taken, of a large write too that is only half done. */
function countTaken(socket: Socket & { readonly _handle?: Partial<Handle> | null }): number {
  const { bytesWritten, writeQueueSize } = socket._handle ?? {};
  if (bytesWritten === undefined || writeQueueSize === undefined) return socket.bytesWritten - socket.writableLength;
  return bytesWritten - writeQueueSize;
}

/** Node's own, by which its sockets tell whether a write makes progress. */
interface Handle {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

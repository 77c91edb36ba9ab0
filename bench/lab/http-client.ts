// The lean HTTP/1.1 client of the lab's driver: one connection, one call at a time, nothing built that is not counted.
// The driver shares its core with the upstream, so what it spares is what a fast peer can show.

import { connect, type Socket } from "node:net";

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What came back; times are of performance.now(). */
export interface Outcome {
  readonly status: number;
  readonly bytes: number;
  /** Blank lines, each of which ends an event. */
  readonly frames: number;
  readonly firstByteAt: number;
  readonly endedAt: number;
}

export interface Connection {
  /** One at a time. `onFrames` hears of those of a stream as they come. Rejects when the answer is not whole. */
  call(request: Buffer, onFrames?: (count: number) => void): Promise<Outcome>;
  readonly isOpen: boolean;
  close(): void;
}

interface Pending {
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: Error) => void;
  readonly onFrames: ((count: number) => void) | undefined;
}

const lineFeed = 10;
const headEnd = Buffer.from("\r\n\r\n");
const blankLine = Buffer.from("\n\n");
const empty = Buffer.alloc(0);

export function toRequest({ port, path, headers }: Target, body: string): Buffer {
  const fields = {
    host: `127.0.0.1:${port}`,
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}

export async function openConnection({ port }: Target): Promise<Connection> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return createConnection(socket);
}

function createConnection(socket: Socket): Connection {
  let pending: Pending | null = null;
  let isOpen = true;
  /** Of the answer that is being read. */
  let head: Buffer | null = empty;
  let status = 0;
  let isChunked = false;
  let mayStay = true;
  /** Bytes to come: of the body, or of the chunk with the line end behind it. */
  let left = 0;
  /** A chunk's size, as far as it came. */
  let sizeLine = "";
  let isLastChunk = false;
  let bytes = 0;
  let frames = 0;
  let firstByteAt = 0;
  let endsInLineFeed = false;

  function begin(): void {
    head = empty;
    isChunked = false;
    mayStay = true;
    left = 0;
    sizeLine = "";
    isLastChunk = false;
    bytes = 0;
    frames = 0;
    firstByteAt = 0;
    endsInLineFeed = false;
  }

  /** What follows the head in the same piece; null: there is more of the head to come. */
  function readHead(chunk: Buffer): Buffer | null {
    const all = head?.length ? Buffer.concat([head, chunk]) : chunk;
    const end = all.indexOf(headEnd);
    if (end === -1) {
      head = all;
      return null;
    }
    const text = all.toString("latin1", 0, end).toLowerCase();
    head = null;
    status = Number(text.slice(9, 12));
    isChunked = /\r\ntransfer-encoding: *chunked/.test(text);
    mayStay = !/\r\nconnection: *close/.test(text);
    const length = /\r\ncontent-length: *(\d+)/.exec(text)?.[1];
    left = isChunked ? 0 : Number(length ?? Number.POSITIVE_INFINITY);
    return all.subarray(end + headEnd.length);
  }

  function takeBody(piece: Buffer): void {
    if (piece.length === 0) return;
    if (bytes === 0) firstByteAt = performance.now();
    bytes += piece.length;
    let count = endsInLineFeed && piece[0] === lineFeed ? 1 : 0;
    for (let at = piece.indexOf(blankLine, count); at !== -1; at = piece.indexOf(blankLine, at + 2)) count++;
    endsInLineFeed = piece.at(-1) === lineFeed && piece.at(-2) !== lineFeed;
    frames += count;
    if (count > 0) pending?.onFrames?.(count);
  }

  function readPlain(rest: Buffer): void {
    takeBody(rest);
    left -= rest.length;
    if (left <= 0) finish();
  }

  /** The way through chunks: size line, bytes, line end, and so on until one of size 0. */
  function readChunks(rest: Buffer): void {
    let at = 0;
    while (at < rest.length) {
      if (left > 0) {
        const taken = Math.min(left, rest.length - at);
        // The last two bytes of `left` are the line end behind the chunk.
        const body = Math.max(0, Math.min(taken, left - 2));
        takeBody(rest.subarray(at, at + body));
        left -= taken;
        at += taken;
        if (left > 0 || !isLastChunk) continue;
        finish();
        return;
      }
      const end = rest.indexOf(lineFeed, at);
      sizeLine += rest.toString("latin1", at, end === -1 ? rest.length : end);
      if (end === -1) return;
      at = end + 1;
      const size = Number.parseInt(sizeLine, 16);
      if (Number.isNaN(size)) {
        fail(new Error("a chunk's size is no number"));
        return;
      }
      sizeLine = "";
      isLastChunk = size === 0;
      left = size + 2;
    }
  }

  function finish(): void {
    const outcome = { status, bytes, frames, firstByteAt, endedAt: performance.now() };
    if (!mayStay) close();
    const ended = pending;
    pending = null;
    ended?.resolve(outcome);
  }

  function fail(error: Error): void {
    close();
    const failed = pending;
    pending = null;
    failed?.reject(error);
  }

  function close(): void {
    isOpen = false;
    socket.destroy();
  }

  socket.on("data", (chunk: Buffer) => {
    const rest = head === null ? chunk : readHead(chunk);
    if (rest === null) return;
    if (isChunked) readChunks(rest);
    else readPlain(rest);
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the connection was closed before the answer's end")));

  return {
    call(request, onFrames) {
      begin();
      return new Promise((resolve, reject) => {
        pending = { resolve, reject, onFrames };
        if (isOpen) socket.write(request);
        else fail(new Error("the connection is closed"));
      });
    },
    get isOpen() {
      return isOpen;
    },
    close,
  };
}

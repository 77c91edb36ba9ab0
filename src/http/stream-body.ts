// The body of a streamed answer. Node frames a chunk in four pieces, holds them until the turn's end and writes them as a
// vector; a frame of a model's answer is a hundred bytes and comes alone. Framed here, in one small buffer and one
// write, it costs less (see docs/performance.md). All of a body goes one way: Node holds back what goes through it.

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Copying more than this costs more than writing it in pieces. */
const copiedBytesMax = 8 * 1024;
const lineBreak = Buffer.from("\r\n");

export interface StreamBody {
  /** False: the client is behind; `onDrained` tells when it has all. */
  write(bytes: Buffer): boolean;
}

/** The head has to be sent before. Nothing else may write to the response but its end. */
export function openStreamBody(response: ServerResponse, onDrained: () => void): StreamBody {
  const { socket } = response;
  // No socket: an answer before it on the same connection is not finished.
  if (socket === null || !response.chunkedEncoding) {
    response.on("drain", onDrained);
    return { write: (bytes) => response.write(bytes) };
  }
  socket.on("drain", onDrained);
  response.once("close", () => socket.off("drain", onDrained));
  return {
    write(bytes) {
      // Once it has ended, the connection may be the next answer's.
      if (response.writableEnded || response.destroyed || bytes.length === 0) return true;
      return bytes.length <= copiedBytesMax ? socket.write(toChunk(bytes)) : writeInPieces(socket, bytes);
    },
  };
}

function writeInPieces(socket: Socket, bytes: Buffer): boolean {
  socket.cork();
  socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
  socket.write(bytes);
  const isCaughtUp = socket.write(lineBreak);
  socket.uncork();
  return isCaughtUp;
}

/** RFC 9112, section 7.1: the length in hexadecimal, the bytes, a line break behind each. */
function toChunk(bytes: Buffer): Buffer {
  const length = bytes.length.toString(16);
  const chunk = Buffer.allocUnsafe(length.length + bytes.length + 4);
  const start = chunk.write(length, 0, "latin1");
  chunk[start] = 0x0d;
  chunk[start + 1] = 0x0a;
  chunk.set(bytes, start + 2);
  chunk[start + 2 + bytes.length] = 0x0d;
  chunk[start + 3 + bytes.length] = 0x0a;
  return chunk;
}

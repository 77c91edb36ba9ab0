// What a stream takes to be read along: a frame at a time, as models send them, and in pieces as large as sockets give.

import { createSseScanner, type SseScanner } from "../../../src/base/sse-scanner.ts";
import { frame } from "../../lab/answers.ts";
import type { Case } from "../case.ts";

const pieceBytes = 65_536;
/** A scanner is for one stream, and streams are not endless. */
const piecesPerStream = 1_000;

function toCase(name: string, note: string, piece: Buffer): Case {
  return {
    name,
    note,
    bytes: piece.length,
    prepare() {
      let scanner: SseScanner = createSseScanner();
      let left = piecesPerStream;
      return {
        run(count) {
          for (let index = 0; index < count; index++) {
            if (left-- === 0) {
              scanner = createSseScanner();
              left = piecesPerStream;
            }
            scanner.push(piece);
          }
        },
      };
    },
  };
}

const many = Buffer.concat(Array.from({ length: Math.ceil(pieceBytes / frame.length) }, () => frame));

export const scanner = [
  toCase("SSE frame", `one frame of ${frame.length} bytes`, frame),
  // Cut in the middle of a frame, as sockets do.
  toCase("SSE in pieces of 64 KB", `${Math.floor(pieceBytes / frame.length)} frames`, many.subarray(0, pieceBytes)),
];

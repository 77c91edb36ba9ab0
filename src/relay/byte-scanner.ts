// Stands in the scanner's place for answers that are no events: sound, files. Nothing is looked at, all is passed on,
// and only the end of the bytes says that they are whole.

import type { SseScanner } from "../base/sse-scanner.ts";

export function createByteScanner(): SseScanner {
  const scanner = {
    push: (chunk: Buffer) => chunk,
    flush() {
      scanner.isComplete = true;
      return null;
    },
    isDone: false,
    isComplete: false,
    finishReason: null,
    usage: null,
    error: null,
    isTruncated: false,
    eventCount: 0,
    heldBytes: 0,
  };
  return scanner;
}

// Holds an event stream back until its first event is known: an error there can still become a status, and the call be
// sent again unseen, however the network cuts head and event apart. Bounded by time and by bytes.

import type { AnswerFormat } from "../base/answer-format.ts";
import type { Clock } from "../base/clock.ts";
import { createOpeningScanner, type Opening, type OpeningScanner } from "../base/sse-scanner.ts";

const bytesMax = 64 * 1024;

export class HeldOpening {
  readonly #scanner: OpeningScanner;
  #bytes = 0;
  #isOver = false;
  #cancel = () => {};

  /** `onTimeout` is called once, unless it was stopped before. With `waitMs` 0 only what came with the head counts. */
  constructor(format: AnswerFormat, waitMs: number, clock: Clock, onTimeout: () => void) {
    this.#scanner = createOpeningScanner(format);
    // Mostly the first event comes in the same segment as the head: no timer is needed then.
    queueMicrotask(() => {
      if (this.#isOver) return;
      if (waitMs === 0) onTimeout();
      else this.#cancel = clock.after(waitMs, onTimeout);
    });
  }

  push(chunk: Buffer): Opening {
    const found = this.#scanner.push(chunk);
    this.#bytes += chunk.length;
    return found === "unknown" && this.#bytes > bytesMax ? "begun" : found;
  }

  flush(): Opening {
    return this.#scanner.flush();
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }
}

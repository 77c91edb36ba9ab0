// What the translators of streams have in common: named events are said, collected, and handed out as bytes; the end is
// said once.

import type { StreamTranslator } from "../base/translation.ts";
import { readChatEvents } from "./chat-events.ts";
import type { Fields } from "./fields.ts";

export interface EventWriter {
  say(type: string, fields: Fields): void;
  /** `take` is told of each chunk of the chat; `end` once, when it is over. */
  translate(take: (chunk: unknown) => void, end: () => void): StreamTranslator;
}

export function createEventWriter(): EventWriter {
  let said: string[] = [];

  function collect(): Buffer | null {
    if (said.length === 0) return null;
    const bytes = Buffer.from(said.join(""));
    said = [];
    return bytes;
  }

  return {
    say: (type, fields) => void said.push(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`),
    translate(take, end) {
      let isOver = false;
      function endOnce(): void {
        if (isOver) return;
        isOver = true;
        end();
      }
      return {
        push(events) {
          if (isOver) return null;
          if (readChatEvents(events, take)) endOnce();
          return collect();
        },
        end() {
          endOnce();
          return collect();
        },
      };
    },
  };
}

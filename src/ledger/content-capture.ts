// Prompts and answers of calls, where the configuration and the API key both say that they are kept. Bounded; off, it
// costs a comparison for each call.

import type { Clock } from "../base/clock.ts";
import type { Content } from "./change.ts";
import type { CallRecord } from "./record.ts";

export interface ContentCapture {
  /** Takes the bytes of the answer as they go to the client; null: nothing of this call is kept. */
  open(record: CallRecord, caller: { readonly keepsContent: boolean }, prompt: Buffer): NoteAnswer | null;
  /** What was said in a call that has ended. Once. */
  take(record: CallRecord): Content | null;
}

export type NoteAnswer = (bytes: Buffer) => void;

interface Heard {
  readonly prompt: Buffer;
  readonly answer: Buffer[];
  keptBytes: number;
  totalBytes: number;
}

/** Of the prompt and of the answer. What is longer ends with a mark. */
export const contentBytesMax = 256 * 1024;

export function createContentCapture(isOn: () => boolean, clock: Clock): ContentCapture {
  const calls = new WeakMap<CallRecord, Heard>();
  return {
    open(record, { keepsContent }, prompt) {
      if (!keepsContent || !isOn()) return null;
      const heard: Heard = { prompt, answer: [], keptBytes: 0, totalBytes: 0 };
      calls.set(record, heard);
      return (bytes) => {
        const room = contentBytesMax - heard.keptBytes;
        heard.totalBytes += bytes.length;
        if (room <= 0) return;
        const kept = bytes.subarray(0, room);
        heard.answer.push(kept);
        heard.keptBytes += kept.length;
      };
    },
    take(record) {
      const heard = calls.get(record);
      if (!heard) return null;
      calls.delete(record);
      const { prompt, answer, totalBytes } = heard;
      return {
        prompt: toText(prompt.subarray(0, contentBytesMax), prompt.length),
        answer: toText(Buffer.concat(answer), totalBytes),
        storedAt: Math.round(clock.wallNow()),
      };
    },
  };
}

function toText(kept: Buffer, totalBytes: number): string {
  const text = kept.toString("utf8");
  return kept.length < totalBytes ? `${text} [cut: ${totalBytes} bytes in all]` : text;
}

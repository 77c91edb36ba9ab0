// Takes a chat stream apart: its chunks as JSON, and its end. What comes in are whole events, as the relay cuts them.

import { parseAnswerJson } from "../base/json-scan.ts";

/** Calls `onChunk` for each event that holds JSON, and returns whether `[DONE]` was among them. */
export function readChatEvents(events: Buffer, onChunk: (chunk: unknown) => void): boolean {
  let isDone = false;
  let data: string[] = [];
  for (const line of events
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)) {
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    else if (line === "") {
      if (data.length > 0) take(data.join("\n"));
      data = [];
    }
  }
  // A last event may come without its blank line.
  if (data.length > 0) take(data.join("\n"));
  return isDone;

  function take(text: string): void {
    if (isDone) return;
    if (text.startsWith("[DONE]")) {
      isDone = true;
      return;
    }
    const chunk = parseAnswerJson(text);
    // What is no JSON says nothing that could be translated.
    if (chunk !== undefined) onChunk(chunk);
  }
}

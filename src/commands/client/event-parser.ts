// Server-sent events (WHATWG HTML, section 9.2) as far as the control plane sends them: names and JSON. Comments keep the
// connection alive and say nothing.

import type { StreamEvent } from "./admin-client.ts";

export interface EventParser {
  push(text: string): void;
}

/** A longer event is dropped: no event of ours comes near. */
const eventCharactersMax = 16 * 1024 * 1024;

export function createEventParser(onEvent: (event: StreamEvent) => void): EventParser {
  let rest = "";
  let name = "";
  let data: string[] = [];
  let size = 0;

  function takeLine(line: string): void {
    if (line === "") {
      const json = size > eventCharactersMax ? undefined : parse(data.join("\n"));
      if (json !== undefined) onEvent({ name: name || "message", json });
      name = "";
      data = [];
      size = 0;
      return;
    }
    size += line.length;
    const colon = line.indexOf(":");
    if (colon <= 0 || size > eventCharactersMax) return;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }

  return {
    push(text) {
      const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) takeLine(line);
      if (rest.length > eventCharactersMax) {
        size += rest.length;
        rest = "";
      }
    },
  };
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

// What a request's body takes to be read: valid, not too deep, its fields known.

import { parseJsonRequest } from "../../../src/surfaces/request-body.ts";
import type { Case } from "../case.ts";

const sentence =
  "Explain to a new colleague what the service does, who may use it, and “why” it costs what it costs.\n";

/** A conversation whose JSON has about so many bytes. */
function createBody(bytes: number): Buffer {
  const messages: object[] = [];
  let size = 100;
  for (let index = 0; size < bytes; index++) {
    const content = sentence.repeat(Math.max(1, Math.min(20, Math.floor((bytes - size) / sentence.length))));
    messages.push({ role: index % 2 === 0 ? "user" : "assistant", content });
    size += Buffer.byteLength(content) + 40;
  }
  return Buffer.from(JSON.stringify({ model: "glm-4.5-flash", messages, stream: true, max_tokens: 512 }));
}

function toCase(name: string, wantedBytes: number): Case {
  const body = createBody(wantedBytes);
  return {
    name: `body of ${name}`,
    note: "parseJsonRequest",
    bytes: body.length,
    prepare: () => ({
      run(count) {
        for (let index = 0; index < count; index++) parseJsonRequest(body);
      },
    }),
  };
}

export const bodies = [toCase("1 KB", 1_024), toCase("100 KB", 102_400), toCase("1 MB", 1_048_576)];

// What the second upstream is scripted to say: GLM's answers and everything that is none, as bytes. Written by hand from
// GLM's documentation, not by this project's code.

import { gzipSync } from "node:zlib";
import type { Reply, Step } from "./upstream.ts";

export const frames: readonly string[] = [
  ...["Hello", " there", ", how", " are", " you"].map(
    (content, index) =>
      `{"id":"20261201000000","created":1796000000,"model":"glm-4.5-flash","choices":[{"index":0,"delta":{${index === 0 ? '"role":"assistant",' : ""}"content":"${content}"}}]}`,
  ),
  '{"id":"20261201000000","created":1796000000,"model":"glm-4.5-flash","choices":[{"index":0,"finish_reason":"stop","delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}',
];
export const wholeBody =
  '{"id":"20261201000000","created":1796000000,"model":"glm-4.5-flash","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}';
const sseHead =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream;charset=UTF-8\r\ntransfer-encoding: chunked\r\n\r\n";

export function chunk(text: string): string {
  return `${Buffer.byteLength(text, "latin1").toString(16)}\r\n${text}\r\n`;
}

export function event(data: string): string {
  return `data: ${data}\n\n`;
}

/** A response with its length. */
export function respond(status: string, body: string, headers = "content-type: application/json"): Reply {
  const length = Buffer.byteLength(body, "latin1");
  return {
    steps: [{ say: `HTTP/1.1 ${status}\r\n${headers}\r\ncontent-length: ${length}\r\n\r\n${body}` }, "keep"],
  };
}

export function glmError(status: string, code: string, message = "no", headers?: string): Reply {
  const extra = headers === undefined ? "" : `\r\n${headers}`;
  return respond(
    status,
    JSON.stringify({ error: { code, message } }),
    `content-type: application/json; charset=UTF-8${extra}`,
  );
}

/** A stream in which each text is a chunk of its own, and then the given end. Default: the proper one. */
export function stream(texts: readonly string[], ...ending: readonly Step[]): Reply {
  const last: readonly Step[] = ending.length > 0 ? ending : [{ say: "0\r\n\r\n" }, "keep"];
  return { steps: [{ say: sseHead }, ...texts.map((text) => ({ say: chunk(text) })), ...last] };
}

const events = frames.map(event);
export const goodTexts: readonly string[] = [...events, "data: [DONE]\n\n"];
export const goodWhole = respond("200 OK", wholeBody);
export const goodStream = stream(goodTexts);

/** The first events, then something else. */
export function begun(...ending: readonly Step[]): Reply {
  return stream(events.slice(0, 3), ...ending);
}

export const reset: Reply = { steps: ["reset"] };
export const silence: Reply = { steps: ["stall"] };

export function gzipped(times: number, bytes: number): Reply {
  let body = gzipSync(Buffer.alloc(bytes, " "));
  for (let layer = 1; layer < times; layer++) body = gzipSync(body);
  const coding = Array.from({ length: times }, () => "gzip").join(", ");
  return respond("200 OK", body.toString("latin1"), `content-type: application/json\r\ncontent-encoding: ${coding}`);
}

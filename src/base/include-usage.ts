// Asks an upstream that tells the usage of a stream only when it is asked: `stream_options.include_usage`, put into the
// request without touching any other byte of it.

import { scanJson } from "./json-scan.ts";

const wish = '"include_usage":true';

/** The body of a request for a stream, valid JSON, with the wish in it; null when it is there already. */
export function addIncludeUsage(body: Buffer): Buffer | null {
  const last = scanJson(body, "stream_options").spans.at(-1);
  if (!last) return insertAtStart(body, body.indexOf("{"), `"stream_options":{${wish}}`);
  const inner = body.subarray(last[0], last[1]);
  const options: unknown = JSON.parse(inner.toString("utf8"));
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
  if (isObject && (options as Record<string, unknown>).include_usage === true) return null;
  if (!isObject) return splice(body, last, Buffer.from(`{${wish}}`));
  const wishes = scanJson(inner, "include_usage").spans.at(-1);
  return splice(body, last, wishes ? splice(inner, wishes, Buffer.from("true")) : insertAtStart(inner, 0, wish));
}

/** Right after the brace at `brace`, before whatever members there are. */
function insertAtStart(object: Buffer, brace: number, member: string): Buffer {
  const rest = object.subarray(brace + 1);
  const isEmpty = rest[rest.findIndex((byte) => byte > 0x20)] === 0x7d;
  return Buffer.concat([object.subarray(0, brace + 1), Buffer.from(isEmpty ? member : `${member},`), rest]);
}

function splice(bytes: Buffer, [start, end]: readonly [number, number], value: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, start), value, bytes.subarray(end)]);
}

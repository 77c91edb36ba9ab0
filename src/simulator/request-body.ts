// Reads a request's body whole, within bounds.

import type { IncomingMessage } from "node:http";

const bodyBytesMax = 32 * 1024 * 1024;

/** Rejects when the client leaves in its middle, or when it is larger than 32 MiB. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > bodyBytesMax) throw new Error(`the body is larger than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

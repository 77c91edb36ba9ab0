// An upstream of fixed bytes: says exactly what it is told to, cut where it is told to, and remembers exactly what it
// was asked. For what passes the gateway unchanged; GLM itself is the simulator's part.

import { hash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface WireUpstream {
  readonly origin: string;
  /** SHA-256 of the bodies that came, in order. */
  readonly asked: string[];
  /** What is answered from now on: a body in pieces, each a write of its own. */
  say(contentType: string, pieces: readonly Buffer[]): void;
  close(): Promise<void>;
}

export async function startWireUpstream(): Promise<WireUpstream> {
  const asked: string[] = [];
  let contentType = "application/json";
  let pieces: readonly Buffer[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    asked.push(hash("sha256", Buffer.concat(chunks)));
    response.socket?.setNoDelay(true);
    response.writeHead(200, { "content-type": contentType });
    for (const piece of pieces) {
      if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
      // Node joins what is written within one turn of its loop.
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    say(type, bytes) {
      contentType = type;
      pieces = bytes;
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

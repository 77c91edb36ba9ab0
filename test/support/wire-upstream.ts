// An upstream of fixed bytes: says exactly what it is told to, cut where it is told to, and remembers exactly what it
// was asked. For what passes the gateway unchanged; GLM itself is the simulator's part.

import { hash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface WireUpstream {
  readonly origin: string;
  /** SHA-256 of the bodies that came whole, in order. */
  readonly asked: string[];
  /** What is answered from now on: a body in pieces, each a write of its own. Null: without a content type. */
  say(contentType: string | null, pieces: readonly Buffer[]): void;
  close(): Promise<void>;
}

export async function startWireUpstream(): Promise<WireUpstream> {
  const asked: string[] = [];
  let contentType: string | null = "application/json";
  let pieces: readonly Buffer[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    if (!(await isWhole(request))) return;
    asked.push(hash("sha256", Buffer.concat(chunks)));
    response.socket?.setNoDelay(true);
    response.writeHead(200, contentType === null ? {} : { "content-type": contentType });
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

/** False: it broke off. */
function isWhole(request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    request
      .once("end", () => resolve(true))
      .once("error", () => resolve(false))
      .once("close", () => resolve(false));
  });
}

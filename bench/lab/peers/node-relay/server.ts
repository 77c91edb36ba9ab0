// The process of the peer "bare Node": `server.ts PORT UPSTREAM_PORT`.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Pool } from "undici";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, {
  connections: null,
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
});

createServer({ noDelay: true }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () =>
    passOn(request, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks), response),
  );
}).listen(port, "127.0.0.1");

function passOn(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  const headers = ["content-type", request.headers["content-type"] ?? ""];
  pool.dispatch(
    { method: "POST", path: request.url ?? "/", headers, body },
    {
      onRequestStart(controller) {
        response.once("close", () => {
          if (!response.writableFinished) controller.abort(new Error("the client has left"));
        });
      },
      onResponseStart(_controller, status, headers) {
        const kept = ["content-type", "content-length"].flatMap((name) =>
          [headers[name] ?? []].flat().flatMap((value) => [name, value]),
        );
        response.writeHead(status, kept);
      },
      onResponseData: (_controller, chunk) => void response.write(chunk),
      onResponseEnd: () => void response.end(),
      onResponseError: () => response.destroy(),
    },
  );
}

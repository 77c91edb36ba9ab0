// The lab's upstream, in a process of its own: raw node:http, constant answers, nothing kept. Tells its port.

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createBurst, createUnary, frame, lastFrames, parseWish, type Wish } from "./answers.ts";

const made = new Map<string, Buffer>();

function recall(name: string, make: () => Buffer): Buffer {
  const known = made.get(name) ?? make();
  made.set(name, known);
  return known;
}

function answer(wish: Wish, response: ServerResponse): void {
  if (wish.kind === "unary") {
    const body = recall(`unary ${wish.bytes}`, () => createUnary(wish.bytes));
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  if (wish.kind === "burst") response.end(recall(`burst ${wish.frames}`, () => createBurst(wish.frames)));
  else pace(wish, response);
}

function pace({ frames, framesPerSecond }: Extract<Wish, { kind: "paced" }>, response: ServerResponse): void {
  response.write(frame);
  let sent = 1;
  const timer = setInterval(() => {
    sent++;
    if (sent < frames - 1) response.write(frame);
    else response.end(lastFrames);
  }, 1_000 / framesPerSecond);
  response.once("close", () => clearInterval(timer));
}

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("latin1");
  request.on("data", (chunk: string) => {
    body += chunk;
  });
  request.on("end", () => {
    try {
      answer(parseWish(body), response);
    } catch (error) {
      response.writeHead(400, { "content-type": "text/plain" }).end(String(error));
    }
  });
});
// A connection that is closed just when a gateway takes it from its pool would be the lab's fault.
server.keepAliveTimeout = 600_000;
server.requestTimeout = 0;
server.on("connection", (socket) => socket.setNoDelay(true).on("error", () => {}));
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", 8_192, () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
// Whoever started this has gone.
process.on("disconnect", () => process.exit());

// An upstream that is no HTTP server at all but a function of a socket: for what no HTTP server would say.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { until } from "./until.ts";

export interface SocketUpstream {
  readonly origin: string;
  readonly port: number;
  /** Connections that were accepted so far. */
  readonly connectionCount: () => number;
  close(): Promise<void>;
}

/** `converse` is called for each connection, the first with index 0. */
export async function startSocketUpstream(
  converse: (socket: Socket, index: number) => void,
  create: (listener: (socket: Socket) => void) => Server = createServer,
): Promise<SocketUpstream> {
  const open = new Set<Socket>();
  let count = 0;
  const server = create((socket) => {
    open.add(socket);
    socket.on("error", () => {}).on("close", () => void open.delete(socket));
    converse(socket, count++);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    connectionCount: () => count,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      return closed;
    },
  };
}

/** Calls back for each whole request on the connection: head, and body by its content-length. */
export function onRequest(socket: Socket, answer: (body: Buffer, head: string) => void): void {
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (;;) {
      const headEnd = received.indexOf("\r\n\r\n");
      if (headEnd === -1) return;
      const head = received.subarray(0, headEnd).toString("latin1");
      const end = headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (received.length < end) return;
      const body = received.subarray(headEnd + 4, end);
      received = received.subarray(end);
      answer(body, head);
    }
  });
}

/** A whole response with its length. */
export function respond(body: string, head = "content-type: application/json", status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\n${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** A host that does not answer: its queue of connections is full, so that it drops the next ones. */
export async function startSilentHost(): Promise<{ readonly origin: string; close(): void }> {
  const script = `const server = require("node:net").createServer();
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      require("node:fs").writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  const fillers = Array.from({ length: 8 }, () => connect(Number(port), "127.0.0.1").on("error", () => {}));
  await until("its queue takes no more", () => fillers.filter((socket) => !socket.connecting).length >= 2);
  return {
    origin: `http://127.0.0.1:${port}`,
    close() {
      for (const socket of fillers) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

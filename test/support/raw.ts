// Bare bytes to a server and whatever comes back, for requests that no HTTP client would send.

import { connect } from "node:net";

/** Resolves with everything received until the server closes or stays silent for `quietMs`. */
export function exchangeRaw(port: number, bytes: string | Buffer, quietMs = 150): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    const finish = () => {
      socket.destroy();
      resolve(received);
    };
    socket.setTimeout(quietMs, finish);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", finish);
    socket.on("close", finish);
    socket.write(bytes);
  });
}

/** The status codes of the responses in `received`, in order. */
export function readStatuses(received: string): number[] {
  return Array.from(received.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => Number(status));
}

// A worker that dies a moment after a request has asked it to.

import { type IncomingMessage, Server } from "node:http";
import "../../src/workers/worker.ts";

const { emit } = Server.prototype;
Server.prototype.emit = function (this: Server, event: string | symbol, ...facts: unknown[]): boolean {
  if (event === "request" && (facts[0] as IncomingMessage).headers["x-die"] !== undefined) {
    setTimeout(() => {
      throw new Error("asked to die");
    }, 50);
  }
  return emit.call(this, event as "close", ...(facts as []));
} as typeof emit;

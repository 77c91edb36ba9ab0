// Server-sent events to one client, written as they come. A client that does not read is cut: its events would pile up.

import type { ServerResponse } from "node:http";
import type { Reply } from "../http/reply.ts";

export interface EventStream {
  /** Does nothing once it has ended. */
  send(text: string): void;
  end(): void;
  /** Called once, however it ends. */
  onEnd(callback: () => void): void;
}

/** Unsent bytes of one stream; beyond, its connection is cut. */
export const unsentBytesMax = 1024 * 1024;

export function openEventStream(response: ServerResponse, reply: Reply, isHead: boolean): EventStream {
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once("close", resolve);
  if (!response.destroyed) {
    response.writeHead(200, reply.headersWith(["content-type", eventStreamType, "x-accel-buffering", "no"]));
    if (isHead) response.end();
    else response.flushHeaders();
  }
  return {
    send(text) {
      if (response.destroyed || response.writableEnded) return;
      response.write(text);
      if (response.writableLength > unsentBytesMax) response.destroy();
    },
    end() {
      if (!response.destroyed) response.end();
    },
    onEnd: (callback) => void promise.then(callback),
  };
}

export const eventStreamType = "text/event-stream; charset=utf-8";

export function formatEvent(type: string, data: unknown): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

// All connections of one HTTP server: how many one address may have, and a look at each of them once in a while. What
// happens on a single one is connection.ts's.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { toCountedAddress } from "./client-address.ts";
import { Connection } from "./connection.ts";

export interface ConnectionsOptions {
  readonly clock: Clock;
  /** What the configuration says now. */
  settings(): ConnectionSettings;
  /** One that is refused as it stands, as the bytes of an answer. */
  formatRefusal(refusal: Refusal): string;
}

export interface ConnectionSettings {
  /** Null: they are not counted. */
  readonly perAddressMax: number | null;
  /** Proxies bring the connections of many. */
  isProxy(address: string): boolean;
  /** A client that takes no byte of its answer for so long is reset. */
  readonly writeStallMs: number;
}

export interface Connections {
  /** Serves requests in the order in which they came, one at a time on each connection. */
  inTurn(serve: ServeRequest): ServeRequest;
  /** Undefined once it has closed. */
  of(socket: Socket): Connection | undefined;
}

type ServeRequest = (request: IncomingMessage, response: ServerResponse) => void;

/** Longest time between two looks at all connections. */
const checkMsMax = 1_000;
/** Node closes idle connections earlier; but not those that send empty lines, which begin no request. */
const idleMsMax = 90_000;
/** Refused connections that are given time to read why; beyond, they are closed at once. */
const refusedMax = 64;

/** Takes care of every connection that the server accepts from now on. */
export function createConnections(server: Server, options: ConnectionsOptions): Connections {
  const { clock } = options;
  const open = new Map<Socket, Connection>();
  const counts = new Map<string, number>();
  let refusedCount = 0;
  let cancelCheck: (() => void) | null = null;

  server.on("connection", (socket: Socket) => {
    const { perAddressMax, isProxy } = options.settings();
    const address = socket.remoteAddress;
    if (perAddressMax === null || address === undefined || isProxy(address)) return accept(socket);
    const counted = toCountedAddress(address);
    const count = counts.get(counted) ?? 0;
    if (count >= perAddressMax) return refuse(socket, perAddressMax);
    counts.set(counted, count + 1);
    socket.once("close", () => leave(counted));
    accept(socket);
  });

  function accept(socket: Socket): void {
    open.set(socket, new Connection(socket, clock));
    socket.once("close", () => {
      open.delete(socket);
      if (open.size === 0) stopChecking();
    });
    cancelCheck ??= clock.after(nextCheckMs(), check);
  }

  function stopChecking(): void {
    cancelCheck?.();
    cancelCheck = null;
  }

  function refuse(socket: Socket, limit: number): void {
    const connection = new Connection(socket, clock);
    socket.on("error", () => {});
    socket.write(options.formatRefusal(new Refusal("too_many_connections", { limit })));
    if (refusedCount >= refusedMax) socket.end(() => socket.destroy());
    else {
      refusedCount++;
      socket.once("close", () => refusedCount--);
    }
    connection.close();
  }

  function leave(counted: string): void {
    const count = (counts.get(counted) ?? 0) - 1;
    if (count > 0) counts.set(counted, count);
    else counts.delete(counted);
  }

  function check(): void {
    const now = clock.now();
    const { writeStallMs } = options.settings();
    for (const connection of open.values()) connection.check(now, writeStallMs, idleMsMax);
    cancelCheck = clock.after(nextCheckMs(), check);
  }

  /** Often enough that a stall is noticed at most a quarter of its time too late. */
  function nextCheckMs(): number {
    return Math.min(checkMsMax, options.settings().writeStallMs / 4);
  }

  return {
    inTurn: (serve) => (request, response) => {
      const connection = open.get(request.socket);
      if (connection) connection.begin(request, response, () => serve(request, response));
      else response.destroy();
    },
    of: (socket) => open.get(socket),
  };
}

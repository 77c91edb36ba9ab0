// The control plane as the HTTP side sees it: a handler for paths of its own, and the facts that it can't know by itself.
// Also its second door: a socket in the data folder that only the operator's account can open.

import { lstatSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { describeKind, ForeignFileError } from "../base/own-files.ts";
import { Refusal } from "../base/refusal.ts";
import { chooseLanguage, type Language } from "../base/refusal-words.ts";
import { createConnections } from "./connections.ts";
import { chooseRequestId } from "./request-id.ts";

export interface ControlHandler {
  /** Whether the path belongs to it, known or not. */
  handles(path: string): boolean;
  /** Answers every request, refusals included. Rejects for failures that are nobody's expected refusal. */
  handle(request: IncomingMessage, response: ServerResponse, facts: ControlFacts): Promise<void>;
}

export interface ControlFacts {
  readonly requestId: string;
  /** The client's address, as far as it can be trusted; "local" on the socket. */
  readonly address: string;
  /** Whether the client speaks TLS to us, or to the trusted proxy in front of us. */
  readonly isSecure: boolean;
  /** Whether the host that the request names is ours, as far as the configuration says which are. */
  readonly isAllowedHost: boolean;
  /** Whoever can open the socket runs this gateway. */
  readonly isLocalSocket: boolean;
  readonly language: Language;
}

export interface ControlSocket {
  /**
   * Rejects with Node's error, and with ForeignFileError when something else than a socket that an earlier process of the
   * gateway left behind has that name.
   */
  listen(path: string): Promise<void>;
  close(): Promise<void>;
}

/** Longer paths can't be bound (sockaddr_un, less its last byte). */
export const socketPathBytesMax = 107;
/** In the data folder. */
export function controlSocketFile(dataFolder: string): string {
  return join(dataFolder, "admin.sock");
}

const connectionsMax = 64;
const writeStallMs = 30_000;
const socketMode = 0o600;

export function createControlSocket(
  handler: ControlHandler,
  clock: Clock,
  onFailure: (error: unknown, requestId: string) => void,
): ControlSocket {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 });
  server.maxConnections = connectionsMax;
  // Who can open it is the operator: there is nobody to tell apart by address.
  const settings = { perAddressMax: null, isProxy: () => false, writeStallMs };
  const connections = createConnections(server, { clock, settings: () => settings, formatRefusal: () => "" });
  server.on("request", connections.inTurn(serve));

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const facts: ControlFacts = {
      requestId: chooseRequestId(request.headers["x-request-id"], clock.wallNow()),
      address: "local",
      isSecure: false,
      isAllowedHost: true,
      isLocalSocket: true,
      language: chooseLanguage(request.headers["accept-language"]),
    };
    handler.handle(request, response, facts).catch((error: unknown) => {
      onFailure(error, facts.requestId);
      response.destroy();
    });
  }

  return {
    async listen(path) {
      if (Buffer.byteLength(path) > socketPathBytesMax) {
        throw new Refusal("bad_request", { detail: `${path} is longer than a socket's path may be` });
      }
      await removeStale(path);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.once("error", reject);
      // The file must never be there with other rights, not even for a moment; binding happens within this call.
      const before = process.umask(0o777 & ~socketMode);
      try {
        server.listen(path, () => {
          server.off("error", reject);
          resolve();
        });
      } finally {
        process.umask(before);
      }
      return promise;
    },
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      return promise;
    },
  };
}

/** Throws ForeignFileError when something else than a socket stands there. */
export function requireSocketPlace(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats && !stats.isSocket()) throw new ForeignFileError(`${path} is ${describeKind(stats) ?? "a file"}`);
}

/** A socket of this account, made as the gateway makes its own, at which no process answers. */
async function removeStale(path: string): Promise<void> {
  requireSocketPlace(path);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats) return;
  if ((stats.mode & 0o777) !== socketMode || stats.uid !== process.getuid?.()) {
    throw new ForeignFileError(`${path} is not a socket of this gateway`);
  }
  const { promise, resolve } = Promise.withResolvers<string>();
  const probe = connect({ path });
  probe.once("connect", () => resolve("")).once("error", ({ code }: NodeJS.ErrnoException) => resolve(code ?? ""));
  const code = await promise.finally(() => probe.destroy());
  if (code !== "ECONNREFUSED") throw new ForeignFileError(`another process answers at ${path}`);
  rmSync(path);
}

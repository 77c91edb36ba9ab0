// What a worker does not serve itself goes to the main thread as it came, over a local socket: the control plane, logins,
// files. The worker tells who asks, since the socket can't, and a secret that only this process knows.
//
//   client ── worker ── forwarder ──▶ socket ──▶ the main thread's HTTP server, with the forwarded address book

import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream";
import type { AddressBook } from "./client-address.ts";
import type { ControlFacts, ControlHandler } from "./control.ts";

export interface ForwardTarget {
  /** Of the main thread's socket. */
  readonly path: string;
  readonly secret: string;
}

const factsHeader = "x-glm-proxy-forwarded";
/** Of one connection alone (RFC 9110, 7.6.1), or ours to say. */
const ownHeaders = new Set(["connection", "keep-alive", "proxy-connection", "te", "x-request-id", factsHeader]);
const ownAnswerHeaders = new Set(["connection", "keep-alive"]);

/** Whatever is asked of it, the main thread answers. `isServedHere`: paths that never come to it. */
export function createForwarder(
  { path: socketPath, secret }: ForwardTarget,
  isServedHere: (path: string) => boolean,
  addresses: () => AddressBook,
): ControlHandler {
  // Kept open, or an answer that comes before all of the request would end the connection under it.
  const agent = new Agent({ keepAlive: true });
  return {
    handles: (path) => !isServedHere(path),
    handle(request, response, facts) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const isNear = addresses().isNear(request);
      const onward = openRequest({
        socketPath,
        agent,
        method: request.method,
        path: request.url,
        headers: [
          ...without(request.rawHeaders, ownHeaders),
          ...["x-request-id", facts.requestId],
          ...[factsHeader, formatFacts(secret, facts, isNear)],
        ],
      });
      response.once("close", () => {
        if (!response.writableFinished) onward.destroy();
        resolve();
      });
      onward.on("continue", () => response.writeContinue());
      onward.on("response", (answer) => passBack(answer, request, response));
      onward.on("error", (error) => {
        // An answer may come before all of the request was taken; what happens to the rest of it is nobody's failure.
        if (response.headersSent || response.destroyed) return;
        reject(error);
      });
      passOn(request, onward);
      return promise;
    },
  };
}

function passOn(request: IncomingMessage, onward: ClientRequest): void {
  onward.flushHeaders();
  request.pipe(onward);
}

function passBack(answer: IncomingMessage, request: IncomingMessage, response: ServerResponse): void {
  const headers = without(answer.rawHeaders, ownAnswerHeaders);
  // Nobody reads the rest of a request that was answered early.
  if (!request.complete) headers.push("connection", "close");
  response.writeHead(answer.statusCode ?? 502, headers);
  response.flushHeaders();
  pipeline(answer, response, (error) => {
    if (error) response.destroy();
  });
}

/** Names and values in turn. */
function without(rawHeaders: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (!names.has(name.toLowerCase())) kept.push(name, rawHeaders[index + 1] as string);
  }
  return kept;
}

function formatFacts(secret: string, { address, isSecure }: ControlFacts, isNear: boolean): string {
  return [secret, isNear ? "near" : "far", isSecure ? "secure" : "plain", address].join(" ");
}

/** On the main thread's side. Who comes without the secret, or without a word, is a stranger. */
export function createForwardedAddressBook(secret: string): AddressBook {
  function read(request: IncomingMessage): readonly string[] {
    const facts = request.headers[factsHeader];
    const [said, ...rest] = typeof facts === "string" ? facts.split(" ") : [];
    return said === secret ? rest : [];
  }

  return {
    findClient: (request) => read(request)[2] ?? "unknown",
    isNear: (request) => read(request)[0] === "near",
    isSecure: (request) => read(request)[1] === "secure",
  };
}

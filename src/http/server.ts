// The HTTP server: Node's own, with every bound set, the guard before the routes, and an answer to what the parser
// refuses. Knows nothing of what the routes do.

import { createServer, type IncomingMessage, maxHeaderSize, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { ByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Caller } from "../base/principal.ts";
import { Refusal, toRefusal } from "../base/refusal.ts";
import { chooseLanguage } from "../base/refusal-words.ts";
import type { Call } from "../call.ts";
import { readJsonBody } from "./body.ts";
import type { AddressBook } from "./client-address.ts";
import type { ControlHandler } from "./control.ts";
import { readCredential } from "./credentials.ts";
import { guardRequest } from "./guard.ts";
import type { HeartbeatSettings } from "./heartbeats.ts";
import { HttpCall } from "./http-call.ts";
import { type RefusalFormat, Reply } from "./reply.ts";
import { chooseRequestId } from "./request-id.ts";
import { type CallRoute, findRoute, type IdentifiedRoute, type PublicRoute, type RouteTable } from "./routes.ts";

export interface HttpServerOptions {
  readonly routes: RouteTable;
  readonly clock: Clock;
  /** Bytes of request bodies that may be in memory, all requests together. */
  readonly bodyBudget: ByteBudget;
  /** What the configuration says now. */
  settings(): HttpSettings;
  /** While true, answers ask their client to open a new connection next time. */
  isDraining(): boolean;
  serveCall(call: Call): Promise<void>;
  /** Everything that is neither a call nor about this process. */
  readonly control: ControlHandler | null;
  /** Who is behind a credential. Rejects with `invalid_token` or `token_expired`. */
  identify(credential: string | null): Promise<Caller>;
  /** Shapes refusals that no call has a say in, in the dialect of who asks for such a path. */
  formatFor(path: string): RefusalFormat;
  /** In words, what to ask for instead of a path that there is not. */
  findHint(path: string): string | undefined;
  /** Told of failures that are nobody's expected refusal. */
  onFailure(error: unknown, requestId: string): void;
}

export interface HttpSettings {
  readonly bodyBytesMax: number;
  /** Of forms with files, which are not kept in memory. */
  readonly uploadBytesMax: number;
  readonly writeStallMs: number;
  readonly addresses: AddressBook;
  /** Null: who waits gets no sign of life. */
  readonly heartbeats: HeartbeatSettings | null;
  /** Whether answers have the fields RateLimit and RateLimit-Policy. */
  readonly sendsIetfFields: boolean;
}

export interface HttpServer {
  /** Rejects with Node's error when the port can't be had. Resolves with the port. */
  listen(host: string, port: number): Promise<number>;
  /**
   * Takes no more connections, and closes the idle ones. Resolves when all are closed; whoever still sends half a request
   * after a second does not keep the process alive.
   */
  close(): Promise<void>;
  /** Destroys every connection, now. */
  destroy(): void;
}

/** Most connections at once; beyond it new ones are dropped before they cost anything. */
const connectionsMax = 10_000;
const closeMsMax = 1_000;

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { routes, clock, control } = options;
  const server = createServer({
    // Receiving a head is bounded in time here, a body more closely where it is read: a large upload waits for its turn
    // and takes its time. Answering is bounded by the call's own deadlines.
    headersTimeout: 10_000,
    requestTimeout: 900_000,
    connectionsCheckingInterval: 1_000,
    // Longer than load balancers keep a connection idle, or they would send into a closing one.
    keepAliveTimeout: 75_000,
    maxHeaderSize: Math.min(maxHeaderSize, 16_384),
    requireHostHeader: false, // the guard asks for it, and answers in our words
    insecureHTTPParser: false,
    joinDuplicateHeaders: false,
    rejectNonStandardBodyWrites: true,
    highWaterMark: 65_536,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  });
  server.maxHeadersCount = 0; // never drop any silently: the guard counts them
  server.maxRequestsPerSocket = 1_000;
  server.maxConnections = connectionsMax;

  server.on("request", handle);
  server.on("checkContinue", handle);
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    refuse(openReply(request, response), response, new Refusal("expectation_failed"));
  });
  server.on("connect", (_request: IncomingMessage, socket: Socket) => refuseRaw(socket, new Refusal("bad_request")));
  server.on("clientError", (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === "ECONNRESET" || !socket.writable || hasAnswered(socket)) socket.destroy();
    else refuseRaw(socket, toParserRefusal(error.code));
  });

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const reply = openReply(request, response);
    try {
      const path = guardRequest(request);
      if (control?.handles(path)) {
        serveControl(control, request, response, reply);
        return;
      }
      const route = findRoute(routes, path, request.method ?? "", options.findHint);
      if (route.access === "call") serveCallRoute(route, path, request, response, reply);
      else void serveRoute(route, path, request, response, reply);
    } catch (error) {
      refuse(reply, response, error);
    }
  }

  function serveCallRoute(
    { endpoint }: CallRoute,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    reply: Reply,
  ): void {
    const { bodyBudget } = options;
    const call = new HttpCall({ ...options.settings(), request, response, reply, endpoint, path, bodyBudget, clock });
    options.serveCall(call).catch((error: unknown) => {
      options.onFailure(error, reply.requestId);
      response.destroy();
    });
  }

  function serveControl(
    handler: ControlHandler,
    request: IncomingMessage,
    response: ServerResponse,
    { requestId, language }: Reply,
  ): void {
    const { addresses } = options.settings();
    const address = addresses.findClient(request);
    const facts = {
      requestId,
      address,
      isSecure: addresses.isSecure(request),
      isAllowedHost: addresses.isAllowedHost(request),
      isLocalSocket: false,
      language,
    };
    handler.handle(request, response, facts).catch((error: unknown) => {
      options.onFailure(error, requestId);
      response.destroy();
    });
  }

  async function serveRoute(
    route: IdentifiedRoute | PublicRoute,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    reply: Reply,
  ): Promise<void> {
    const { addresses } = options.settings();
    const client = new AbortController();
    response.once("close", () => client.abort(new Refusal("client_gone")));
    const readBody = (bytesMax: number) =>
      readJsonBody(request, response, { bytesMax, budget: options.bodyBudget, clock }, client.signal);
    try {
      const address = addresses.findClient(request);
      const exchange = { request, reply, path, address, isNear: addresses.isNear(request), readBody };
      if (route.access === "public") await route.handle(exchange);
      else await route.handle({ ...exchange, caller: await options.identify(readCredential(request.headers)) });
    } catch (error) {
      refuse(reply, response, error);
    }
  }

  function refuse(reply: Reply, response: ServerResponse, error: unknown): void {
    const refusal = toRefusal(error);
    if (refusal.reason === "internal_error") options.onFailure(refusal.cause, reply.requestId);
    try {
      reply.refuse(refusal, options.formatFor(response.req.url ?? ""));
    } catch (failure) {
      // One request that can't even be refused must not take the process with it.
      options.onFailure(failure, reply.requestId);
      response.destroy();
    }
  }

  function openReply(request: IncomingMessage, response: ServerResponse): Reply {
    const requestId = chooseRequestId(request.headers["x-request-id"], clock.wallNow());
    const language = chooseLanguage(request.headers["accept-language"]);
    const reply = new Reply(request, response, requestId, language, clock);
    if (options.isDraining()) reply.setHeader("connection", "close");
    return reply;
  }

  /** For what never became a request: the parser has no response object then. */
  function refuseRaw(socket: Socket, refusal: Refusal): void {
    const requestId = chooseRequestId(undefined, clock.wallNow());
    const body = options.formatFor("")(refusal, requestId, "en");
    // Node has let go of the socket by now: a reset while we write would be nobody's error.
    socket.on("error", () => {});
    socket.end(
      `HTTP/1.1 ${refusal.status} Refused\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
        `cache-control: no-store\r\nx-request-id: ${requestId}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      () => socket.destroySoon(),
    );
  }

  function destroy(): void {
    server.closeAllConnections();
  }

  return {
    listen: (host, port) => listen(server, host, port),
    close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(closeMsMax, destroy);
      server.close(() => {
        cancel();
        resolve();
      });
      server.closeIdleConnections();
      return promise;
    },
    destroy,
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen({ host, port }, () => {
    server.off("error", reject);
    resolve((server.address() as AddressInfo).port);
  });
  return promise;
}

/** Node keeps the response that is being written on a private field; a half-sent answer must not be followed by ours. */
function hasAnswered(socket: Socket & { _httpMessage?: { headersSent: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function toParserRefusal(code: string | undefined): Refusal {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Refusal("request_timeout");
    case "HPE_HEADER_OVERFLOW":
      return new Refusal("headers_too_large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new Refusal("body_too_large", { limit: 16_384 });
    case "HPE_INVALID_VERSION":
      return new Refusal("version_not_supported");
    default:
      return new Refusal("bad_request", { detail: "it is not valid HTTP" });
  }
}

// The HTTP server: Node's own, with every bound set, the guard before the routes, and an answer to what the parser
// refuses. Knows nothing of what the routes do.

import { createServer, type IncomingMessage, maxHeaderSize, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { SharedByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import type { Caller } from "../base/principal.ts";
import { Refusal, toRefusal } from "../base/refusal.ts";
import { chooseLanguage } from "../base/refusal-words.ts";
import type { Call } from "../call.ts";
import { readJsonBody } from "./body.ts";
import type { AddressBook } from "./client-address.ts";
import type { Connection } from "./connection.ts";
import { createConnections } from "./connections.ts";
import type { ControlHandler } from "./control.ts";
import { readCredential } from "./credentials.ts";
import { guardRequest } from "./guard.ts";
import type { HeartbeatSettings } from "./heartbeats.ts";
import { HttpCall } from "./http-call.ts";
import { adviceOf, type RefusalFormat, Reply } from "./reply.ts";
import { chooseRequestId } from "./request-id.ts";
import { type CallRoute, findRoute, type IdentifiedRoute, type PublicRoute, type RouteTable } from "./routes.ts";

export interface HttpServerOptions {
  readonly routes: RouteTable;
  readonly clock: Clock;
  /** Bytes of request bodies that may be in memory, all requests together. */
  readonly bodyBudget: SharedByteBudget;
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
  /** A client that takes no byte of an answer for so long is reset. */
  readonly writeStallMs: number;
  readonly connectionsPerAddress: number;
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
/** Connections that the system holds until they are accepted: a flood of one address makes others' wait a second else. */
const backlog = 4_096;
const closeMsMax = 1_000;

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { routes, clock, control } = options;
  const server = createServer({
    // Receiving a head is bounded in time here, a body more closely where it is read: a large upload waits for its turn
    // and takes its time. Answering is bounded by the call's own deadlines, and by how its client takes it.
    headersTimeout: 10_000,
    requestTimeout: 0,
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
  server.maxConnections = connectionsMax;

  const connections = createConnections(server, {
    clock,
    settings() {
      const { connectionsPerAddress: perAddressMax, addresses, writeStallMs } = options.settings();
      return { perAddressMax, isProxy: addresses.isProxy, writeStallMs };
    },
    formatRefusal: formatRaw,
  });
  server.on("request", connections.inTurn(handle));
  server.on("checkContinue", connections.inTurn(handle));
  server.on(
    "checkExpectation",
    connections.inTurn((request, response) =>
      refuse(openReply(request, response), response, new Refusal("expectation_failed")),
    ),
  );
  server.on("connect", (_request: IncomingMessage, socket: Socket) => {
    // Node has let go of the socket by now: a reset while we write would be nobody's error.
    socket.on("error", () => {});
    refuseRaw(socket, connections.of(socket), new Refusal("bad_request"));
  });
  server.on("clientError", (error: ParserError, socket: Socket) => {
    const connection = connections.of(socket);
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else if (!connection?.response?.headersSent) refuseRaw(socket, connection, toParserRefusal(error));
    // A half-sent answer must not be followed by ours; a whole one still has to arrive.
    else if (connection.response.writableEnded) connection.close();
    else socket.destroy();
  });

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const reply = openReply(request, response);
    try {
      const path = guard(request, reply);
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

  /** What fails here is no request that we understand: nor can what comes behind it be trusted to be one. */
  function guard(request: IncomingMessage, reply: Reply): string {
    try {
      return guardRequest(request);
    } catch (error) {
      reply.setHeader("connection", "close");
      throw error;
    }
  }

  function serveCallRoute(
    { endpoint }: CallRoute,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    reply: Reply,
  ): void {
    const call = new HttpCall({
      ...options.settings(),
      ...{ request, response, reply, endpoint, path, clock },
      bodyBudget: options.bodyBudget,
    });
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
    const readBodyOf = (holder: string) => (bytesMax: number) =>
      readJsonBody(request, response, { bytesMax, budget: options.bodyBudget.of(holder), clock }, client.signal);
    try {
      const address = addresses.findClient(request);
      const exchange = { request, reply, path, address, isNear: addresses.isNear(request) };
      if (route.access === "public") await route.handle({ ...exchange, readBody: readBodyOf(`address ${address}`) });
      else {
        const caller = await options.identify(readCredential(request.headers));
        await route.handle({ ...exchange, caller, readBody: readBodyOf(caller.userId) });
      }
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
    const reply = new Reply(request, response, requestId, language);
    if (options.isDraining()) reply.setHeader("connection", "close");
    return reply;
  }

  /** For what never became a request: the parser has no response object then. */
  function refuseRaw(socket: Socket, connection: Connection | undefined, refusal: Refusal): void {
    if (connection === undefined || connection.isLingering) return void socket.destroy();
    socket.write(formatRaw(refusal));
    connection.close();
  }

  function formatRaw(refusal: Refusal): string {
    const requestId = chooseRequestId(undefined, clock.wallNow());
    const body = options.formatFor("")(refusal, requestId, "en");
    const fields = [
      ...["connection", "close", "content-type", "application/json; charset=utf-8", "cache-control", "no-store"],
      ...["x-request-id", requestId, "content-length", String(Buffer.byteLength(body)), ...adviceOf(refusal)],
    ];
    const lines = fields.map((field, index) => (index % 2 === 0 ? `\r\n${field}: ` : field));
    return `HTTP/1.1 ${refusal.status} Refused${lines.join("")}\r\n\r\n${body}`;
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
  server.listen({ host, port, backlog }, () => {
    server.off("error", reject);
    resolve((server.address() as AddressInfo).port);
  });
  return promise;
}

type ParserError = Error & { readonly code?: string; readonly rawPacket?: Buffer };

function toParserRefusal({ code, rawPacket }: ParserError): Refusal {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Refusal("request_timeout");
    case "HPE_HEADER_OVERFLOW":
      return new Refusal("headers_too_large");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new Refusal("body_too_large", { limit: 16_384 });
    case "HPE_INVALID_VERSION":
      // One that is well-formed, but for that we don't have it; as far as what came with it can tell.
      if (
        rawPacket
          ?.subarray(0, 4_096)
          .toString("latin1")
          .match(/ HTTP\/\d\.\d\r\n/)
      ) {
        return new Refusal("version_not_supported");
      }
      return new Refusal("bad_request", { detail: "its version is not valid" });
    default:
      return new Refusal("bad_request", { detail: "it is not valid HTTP" });
  }
}

// The control plane: self-service and administration over HTTP, beside the calls. It has paths, answers and errors of its
// own (RFC 9457), and shares nothing with the data plane but the server's port.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createByteBudget } from "../base/byte-budget.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { readJsonBody } from "../http/body.ts";
import type { ControlFacts, ControlHandler } from "../http/control.ts";
import { Reply } from "../http/reply.ts";
import { chooseRequestId } from "../http/request-id.ts";
import type { Actor } from "../people/people.ts";
import type { ControlParts } from "./control-parts.ts";
import { type EventStream, openEventStream } from "./event-stream.ts";
import type { WebApp, WebVisit } from "./web-app.ts";

export interface ControlPlane extends ControlHandler {
  handle(request: IncomingMessage, response: ServerResponse, facts: ControlFacts): Promise<void>;
  /**
   * One request without a socket, as whoever runs this machine: for the command line while no server runs. `path` may
   * have a query. Default for the actor: "local", by a command.
   */
  request(method: string, path: string, body?: object, actor?: Actor): Promise<InProcessAnswer>;
  /** Loads what the first request would have to wait for: Hono and the schemas take longer than all else at the start. */
  prepare(): Promise<void>;
  /** Ends the event streams. */
  close(): void;
}

export interface InProcessAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where there is no body, or none of JSON. */
  readonly json: unknown;
}

const bodyBytesMax = 64 * 1024;
/** Bodies in memory at once. */
const bodiesBytesMax = 16 * 1024 * 1024;
const ownPaths = /^\/(?:me|admin|auth\/(?:refresh|logout|session|setup)|openapi\.json|docs)(?:\/|$)/;

export function createControlPlane(parts: ControlParts): ControlPlane {
  const { clock } = parts;
  let web: Promise<WebApp> | null = null;
  const budget = createByteBudget(bodiesBytesMax);

  function load(): Promise<WebApp> {
    web ??= loadWebApp(parts);
    return web;
  }

  async function handle(request: IncomingMessage, response: ServerResponse, facts: ControlFacts): Promise<void> {
    const reply = new Reply(request, response, facts.requestId, facts.language);
    const client = new AbortController();
    response.once("close", () => client.abort(new Refusal("client_gone")));
    let stream: EventStream | null = null;
    const visit: WebVisit = {
      method: request.method ?? "",
      headers: request.headers,
      facts,
      operator: null,
      readBody(holder) {
        if (client.signal.aborted) throw refusalOf(client.signal);
        if (!hasBody(request)) return Promise.resolve(null);
        return readJsonBody(
          request,
          response,
          { bytesMax: bodyBytesMax, budget: budget.of(holder), clock },
          client.signal,
        );
      },
      openStream(headers) {
        for (const [name, value] of Object.entries(headers)) reply.setHeader(name, value);
        stream = openEventStream(response, reply, request.method === "HEAD");
        return stream;
      },
    };
    const app = await load();
    const answer = await app.answer(request.url ?? "/", visit);
    if (stream === null) sendAnswer(answer, await app.readBytes(answer), response, reply);
  }

  async function request(method: string, path: string, body?: object, actor?: Actor): Promise<InProcessAnswer> {
    const requestId = actor?.requestId ?? chooseRequestId(undefined, clock.wallNow());
    const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const app = await load();
    const answer = await app.answer(path, {
      method,
      headers: {},
      facts: { requestId, address: "local", isSecure: false, isAllowedHost: true, isLocalSocket: true, language: "en" },
      operator: actor ?? { name: "local", via: "command", address: null, requestId },
      readBody: () => Promise.resolve(bytes),
      openStream() {
        throw new Refusal("bad_request", { detail: "events come over a connection only" });
      },
    });
    const text = (await app.readBytes(answer)).toString();
    const isJson = /json/.test(answer.headers.get("content-type") ?? "");
    const json: unknown = isJson && text !== "" ? JSON.parse(text) : undefined;
    return { status: answer.status, headers: Object.fromEntries(answer.headers), json };
  }

  return {
    handles: (path) => ownPaths.test(path),
    handle,
    request,
    async prepare() {
      await load();
    },
    close: () => parts.live.close(),
  };
}

async function loadWebApp(parts: ControlParts): Promise<WebApp> {
  const [{ createRoutes }, { createWebApp }] = await Promise.all([import("./routes.ts"), import("./web-app.ts")]);
  return createWebApp(createRoutes(parts), parts);
}

function sendAnswer(answer: Response, bytes: Buffer, response: ServerResponse, reply: Reply): void {
  if (answer.status === 204) {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(204, reply.headersWith([...answer.headers].flat())).end();
    return;
  }
  const type = answer.headers.get("content-type") ?? "application/octet-stream";
  reply.send(answer.status, type, bytes, [...answer.headers].flat());
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

// The routes as a Hono app: finds the route, lets its visitor in or not, does its work, and makes an answer of what comes
// back, refusals included. Answers to every request; what nobody expected is told to `onFailure` and answered with 500.

import { Hono } from "hono";
import { Refusal, toRefusal } from "../base/refusal.ts";
import { admit, type Visit, type Visitor } from "./access.ts";
import type { ControlParts } from "./control-parts.ts";
import { createCrowd } from "./crowd.ts";
import type { EventStream } from "./event-stream.ts";
import { parseBody } from "./json-body.ts";
import { problemHeaders, toProblem } from "./problem.ts";
import type { Route } from "./route.ts";
import { clearSessionCookie, isTimeToRenew, readSessionCookie, writeSessionCookie } from "./session-cookie.ts";

/** A visit, and how to reach what Hono need not know of: the connection behind it. */
export interface WebVisit extends Visit {
  /** The body's bytes, bounded, as what the holder has in memory; null: there is none. */
  readBody(holder: string): Promise<Buffer | null>;
  openStream(headers: Readonly<Record<string, string>>): EventStream;
}

export interface WebApp {
  /** `target` is the path with its query, as it came. Never rejects for what a visitor did. */
  answer(target: string, visit: WebVisit): Promise<Response>;
  /** The body of what it answered. Once. */
  readBytes(answer: Response): Promise<Buffer>;
}

const jsonType = "application/json; charset=utf-8";

export function createWebApp(routes: readonly Route[], parts: ControlParts): WebApp {
  const crowd = createCrowd();
  const constants = new Map<unknown, Buffer>();
  const bytesOf = new WeakMap<Response, Buffer>();
  const app = new Hono<{ Bindings: WebVisit }>();
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path.replaceAll(/\{(.+?)\}/g, ":$1"), (context) =>
      serve(route, context.req.param(), new URL(context.req.url).searchParams, context.env),
    );
  }
  app.notFound((context) => refuse(toMiss(routes, context.req.path), context.env));
  app.onError((error, context) => refuse(error, context.env));

  async function serve(
    route: Route,
    params: Readonly<Record<string, string>>,
    search: URLSearchParams,
    visit: WebVisit,
  ): Promise<Response> {
    const visitor = await admit(route, visit, parts);
    using _request = visitor && crowd.enter(visitor.actor.name);
    const headers = new Headers();
    if (visitor !== null) await renewCookie(visitor, visit, headers);
    try {
      const result = await route.serve({
        params,
        query: toQuery(search),
        facts: visit.facts,
        headers: visit.headers,
        caller: visitor?.caller ?? null,
        actor: visitor?.actor ?? null,
        sessionToken: visitor?.sessionToken ?? null,
        setHeader: (name, value) => headers.set(name, value),
        openStream: () => visit.openStream(Object.fromEntries(headers)),
        isStillAllowed: () => visitor?.isStillAllowed() ?? Promise.resolve(true),
        readBody: async () => parseBody(await visit.readBody(visitor?.actor.name ?? `address ${visit.facts.address}`)),
      });
      return route.answer.isConstant ? toConstant(route, result, headers) : toResponse(route, result, headers);
    } catch (error) {
      return refuse(error, visit, headers);
    }
  }

  /** Its bytes stay apart: a web Response would copy them each time, and who does not read them holds the copies. */
  function toConstant({ answer }: Route, result: unknown, headers: Headers): Response {
    const bytes = constants.get(result) ?? Buffer.from(toText(answer, result));
    constants.set(result, bytes);
    headers.set("content-type", answer.contentType ?? jsonType);
    const response = new Response(null, { status: answer.status, headers });
    bytesOf.set(response, bytes);
    return response;
  }

  /** A session that is used goes on: it gets a new token once a minute. */
  async function renewCookie(
    { cameByCookie, sessionToken }: Visitor,
    visit: WebVisit,
    headers: Headers,
  ): Promise<void> {
    if (!cameByCookie) return;
    try {
      if (!isTimeToRenew(await parts.identity.readSession(sessionToken), parts.clock.wallNow())) return;
      const { sessionToken: token, expiresInSeconds } = await parts.identity.refresh(sessionToken, "console");
      headers.set("set-cookie", writeSessionCookie(token, expiresInSeconds, visit.facts.isSecure));
    } catch (error) {
      // A session that has lasted as long as it may ends with its last token.
      if (!(error instanceof Refusal)) throw error;
    }
  }

  function refuse(error: unknown, visit: WebVisit, headers = new Headers()): Response {
    const refusal = toRefusal(error);
    const { facts } = visit;
    if (refusal.reason === "internal_error" || refusal.reason === "store_unavailable") {
      parts.onFailure(refusal.cause, facts.requestId);
    }
    for (const [name, value] of Object.entries(problemHeaders(refusal))) headers.set(name, value);
    const isDeadCookie = refusal.status === 401 && readSessionCookie(visit.headers, facts.isSecure) !== null;
    if (isDeadCookie) headers.set("set-cookie", clearSessionCookie(facts.isSecure));
    return new Response(JSON.stringify(toProblem(refusal, facts)), { status: refusal.status, headers });
  }

  return {
    readBytes: async (answer) => bytesOf.get(answer) ?? Buffer.from(await answer.arrayBuffer()),
    async answer(target, visit) {
      // The reply leaves out the body of a HEAD request, and nothing else.
      const method = visit.method === "HEAD" ? "GET" : visit.method;
      try {
        if (!visit.facts.isAllowedHost) {
          throw new Refusal("forbidden", { detail: "the host that it names is not one of server.allowed_hosts" });
        }
        const url = toUrl(target);
        if (unspeakable.test(method)) throw toMiss(routes, url.pathname);
        return await app.fetch(new Request(url, { method }), visit);
      } catch (error) {
        return refuse(error, visit);
      }
    },
  };
}

/** Methods that a web Request can't have. */
const unspeakable = /^(?:connect|trace|track)$/i;

function toResponse({ answer }: Route, result: unknown, headers: Headers): Response {
  if (answer.status === 204) return new Response(null, { status: 204, headers });
  headers.set("content-type", answer.contentType ?? jsonType);
  return new Response(toText(answer, result), { status: answer.status, headers });
}

function toText({ contentType }: Route["answer"], result: unknown): string {
  return contentType === undefined ? JSON.stringify(result) : String(result);
}

/** No host that a visitor names means anything here. */
function toUrl(target: string): URL {
  const [path = "/", ...query] = target.split("?");
  const canonical = `/${path.split("/").filter(Boolean).join("/")}`;
  const text = `http://control${canonical}${query.length > 0 ? `?${query.join("?")}` : ""}`;
  if (!target.startsWith("/") || !URL.canParse(text))
    throw new Refusal("bad_request", { detail: "its target is not valid" });
  return new URL(text);
}

function toQuery(search: URLSearchParams): Record<string, string> {
  const names = [...search.keys()];
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw new Refusal("invalid_field", { param: repeated.slice(0, 64), detail: "it comes more than once" });
  }
  // Not by assignment: a parameter may well be called "__proto__".
  return Object.fromEntries(search);
}

function toMiss(routes: readonly Route[], path: string): Refusal {
  const parts = path.split("/");
  const methods = routes
    .filter((route) => matches(route.path.split("/"), parts))
    .map(({ method }) => method.toUpperCase());
  if (methods.length === 0) return new Refusal("not_found");
  return new Refusal("method_not_allowed", {
    allow: (methods.includes("GET") ? [...methods, "HEAD"] : methods).join(", "),
  });
}

function matches(template: readonly string[], parts: readonly string[]): boolean {
  return (
    template.length === parts.length &&
    template.every((part, index) => (part.startsWith("{") ? parts[index] !== "" : part === parts[index]))
  );
}

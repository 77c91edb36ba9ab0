// The routes as a table. Each says for itself whether it needs a session token, so that none is open by oversight.

import type { IncomingMessage } from "node:http";
import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import type { Endpoint } from "../surfaces/endpoint.ts";
import type { Reply } from "./reply.ts";

/**
 * call: identified, queued and answered by the gateway · identified: answered here, for whom we know · public: answers
 * anybody, and says why that is fine
 */
export type Route = CallRoute | IdentifiedRoute | PublicRoute;

export interface CallRoute {
  readonly access: "call";
  readonly endpoint: Endpoint;
}

export interface IdentifiedRoute {
  readonly access: "identified";
  handle(exchange: Exchange & { readonly caller: Caller }): Promise<void> | void;
}

export interface PublicRoute {
  readonly access: "public";
  readonly because: string;
  handle(exchange: Exchange): Promise<void> | void;
}

/** One request to a public route. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly reply: Reply;
  /** Canonical, without the query. */
  readonly path: string;
  /** The client's address, as far as it can be trusted. */
  readonly address: string;
  readonly isNear: boolean;
  readBody(bytesMax: number): Promise<Buffer>;
}

/** By canonical path, then by method. In paths, `*` stands for one segment. */
export type RouteTable = ReadonlyMap<string, Readonly<Record<string, Route>>>;

/** Throws `not_found` or `method_not_allowed`. */
export function findRoute(
  routes: RouteTable,
  path: string,
  method: string,
  findHint: (path: string) => string | undefined = () => undefined,
): Route {
  const methods = routes.get(path) ?? findByPattern(routes, path);
  if (!methods) {
    const hint = findHint(path);
    throw new Refusal("not_found", hint === undefined ? {} : { detail: hint });
  }
  const route = Object.hasOwn(methods, method) ? methods[method] : method === "HEAD" ? methods.GET : undefined;
  if (!route) throw new Refusal("method_not_allowed", { allow: Object.keys(methods).join(", ") });
  return route;
}

interface Pattern {
  readonly segments: readonly string[];
  readonly methods: Readonly<Record<string, Route>>;
}

const patternsOf = new WeakMap<RouteTable, readonly Pattern[]>();

function findByPattern(routes: RouteTable, path: string): Pattern["methods"] | undefined {
  let patterns = patternsOf.get(routes);
  if (!patterns) {
    patterns = Array.from(routes, ([pattern, methods]) => ({ segments: pattern.split("/"), methods })).filter(
      ({ segments }) => segments.includes("*"),
    );
    patternsOf.set(routes, patterns);
  }
  const parts = path.split("/");
  return patterns.find(
    ({ segments }) =>
      segments.length === parts.length &&
      segments.every((segment, index) => segment === "*" || segment === parts[index]),
  )?.methods;
}

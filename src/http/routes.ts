// The routes as a table. Each says for itself whether it needs a session token, so that none is open by oversight.

import type { IncomingMessage } from "node:http";
import { Refusal } from "../base/refusal.ts";
import type { Surface } from "../surfaces/surface.ts";
import type { Reply } from "./reply.ts";

/** `call`: identified, queued and answered by the gateway. `public`: answers anybody, and says why that is fine. */
export type Route = CallRoute | PublicRoute;

export interface CallRoute {
  readonly access: "call";
  readonly surface: Surface;
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
  /** The client's address, as far as it can be trusted. */
  readonly address: string;
  readonly isNear: boolean;
  readBody(bytesMax: number): Promise<Buffer>;
}

export type RouteTable = ReadonlyMap<string, Readonly<Record<string, Route>>>;

/** Throws `not_found` or `method_not_allowed`. */
export function findRoute(routes: RouteTable, path: string, method: string): Route {
  const methods = routes.get(path);
  if (!methods) throw new Refusal("not_found");
  const route = Object.hasOwn(methods, method) ? methods[method] : method === "HEAD" ? methods.GET : undefined;
  if (!route) throw new Refusal("method_not_allowed", { allow: Object.keys(methods).join(", ") });
  return route;
}

// Who visits the control plane, and whether the route is for them. Asked before anything of the request is read but its
// head. A visitor comes with a session token or an API key in a header, with the session cookie, or over the local socket.

import type { IncomingHttpHeaders } from "node:http";
import type { Caller } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import type { ControlFacts } from "../http/control.ts";
import { readCredential } from "../http/credentials.ts";
import type { Actor } from "../people/people.ts";
import type { ControlParts } from "./control-parts.ts";
import type { Route } from "./route.ts";
import { readSessionCookie } from "./session-cookie.ts";

export interface Visit {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly facts: ControlFacts;
  /** Who runs this machine, without a socket; null: whoever the request says. */
  readonly operator: Actor | null;
}

export interface Visitor {
  /** Null for the operator, who is no user. */
  readonly caller: Caller | null;
  readonly actor: Actor;
  readonly sessionToken: string | null;
  readonly cameByCookie: boolean;
  isStillAllowed(): Promise<boolean>;
}

/** Null for a route that anybody may visit. Throws `invalid_token`, `token_expired` or `forbidden`. */
export async function admit(
  route: Route,
  visit: Visit,
  parts: Pick<ControlParts, "identity" | "people" | "clock">,
): Promise<Visitor | null> {
  if (route.access === "public") return null;
  const operator = visit.operator ?? localActor(visit.facts);
  if (operator !== null) return admitOperator(route, operator);
  return admitCaller(route, visit, parts);
}

function localActor({ isLocalSocket, address, requestId }: ControlFacts): Actor | null {
  return isLocalSocket ? { name: "local", via: "socket", address, requestId } : null;
}

function admitOperator({ access }: Route, actor: Actor): Visitor {
  if (access === "me") throw forbidden("whoever runs this machine is none of its users; use /admin");
  return { caller: null, actor, sessionToken: null, cameByCookie: false, isStillAllowed: () => Promise.resolve(true) };
}

async function admitCaller(
  route: Route,
  visit: Visit,
  { identity, people, clock }: Pick<ControlParts, "identity" | "people" | "clock">,
): Promise<Visitor> {
  const { headers, facts } = visit;
  const claimed = readCredential(headers);
  // Whoever sends a header means it: a browser adds cookies by itself.
  const hasHeader = headers.authorization !== undefined || headers["x-api-key"] !== undefined;
  const cookie = hasHeader ? null : readSessionCookie(headers, facts.isSecure);
  const credential = claimed ?? cookie;
  const caller = await identity.identify(credential, cookie === null ? "client" : "console");
  if (cookie !== null) requireOwnPage(visit);
  requireAccess(route, caller, people);

  /** A session whose token has run out meanwhile is not cut; one that was ended is. */
  async function isStillAllowed(): Promise<boolean> {
    try {
      requireAccess(route, await identity.identify(credential), people);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal) || error.reason !== "token_expired") return false;
      const user = people.findUser(caller.userId);
      const isIn = user?.isEnabled === true && (user.expiresAt === null || user.expiresAt > clock.wallNow());
      return isIn && (route.access === "me" || user.role === "admin");
    }
  }

  return {
    caller,
    actor: {
      name: caller.userId,
      via: caller.keyId === null ? "session" : "key",
      address: facts.address,
      requestId: facts.requestId,
    },
    sessionToken: caller.keyId === null ? credential : null,
    cameByCookie: cookie !== null,
    isStillAllowed,
  };
}

function requireAccess(route: Route, caller: Caller, people: Pick<ControlParts["people"], "findKey">): void {
  if (caller.keyId !== null && !route.isForCallsKeys && people.findKey(caller.keyId)?.scope !== "admin") {
    throw forbidden('this needs a session, or an API key of scope "admin"');
  }
  if (route.access === "operator") throw forbidden("this works over the local socket only, on the gateway's machine");
  if (route.access === "admin" && caller.role !== "admin") throw forbidden("this is for administrators");
}

/**
 * A cookie says nothing of which page sent it. Pages of other origins can't add a header of their own without being
 * asked, which nobody grants; and browsers say where a request comes from.
 */
function requireOwnPage({ method, headers, facts }: Visit): void {
  if (safeMethods.has(method)) return;
  if (headers["x-glm-proxy-csrf"] !== "1") throw forbidden('with a cookie, "x-glm-proxy-csrf: 1" is needed');
  requireSameOrigin(headers, facts.isSecure);
}

const safeMethods = new Set(["GET", "HEAD"]);

/** Throws `forbidden` for what does not come from a page of ours, as far as browsers say. */
export function requireSameOrigin(headers: IncomingHttpHeaders, isSecure: boolean): void {
  const site = headers["sec-fetch-site"];
  const isOwn = site === undefined ? isOwnOrigin(headers, isSecure) : site === "same-origin";
  if (!isOwn) throw forbidden("with a cookie, it must come from a page of this very origin");
}

/** Scheme, host and port (RFC 6454): a page over plain http is another origin than one over TLS. */
function isOwnOrigin({ origin, host }: IncomingHttpHeaders, isSecure: boolean): boolean {
  const own = `${isSecure ? "https" : "http"}://${host}`;
  return (
    origin !== undefined &&
    host !== undefined &&
    URL.canParse(origin) &&
    URL.canParse(own) &&
    new URL(origin).origin === new URL(own).origin
  );
}

function forbidden(detail: string): Refusal {
  return new Refusal("forbidden", { detail });
}

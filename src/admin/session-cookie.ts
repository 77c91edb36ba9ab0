// The cookie that browsers keep a session token in: out of reach of scripts, sent by our own pages only, and renewed
// while it is used.

import type { IncomingHttpHeaders } from "node:http";
import { consoleRenewalSecondsMax, type SessionClaims } from "../identity/session-tokens.ts";

const plainName = "glm_proxy_session";
const tokenPattern = /^[A-Za-z0-9._-]{1,4096}$/;

/** The prefix has browsers insist on TLS, this host and no other path (RFC 6265bis 4.1.3). */
function nameFor(isSecure: boolean): string {
  return isSecure ? `__Host-${plainName}` : plainName;
}

/** Null: there is none, or two, of which any choice would be a guess. */
export function readSessionCookie({ cookie }: IncomingHttpHeaders, isSecure: boolean): string | null {
  const start = `${nameFor(isSecure)}=`;
  const found = (cookie ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(start));
  const token = found.length === 1 ? (found[0] as string).slice(start.length) : "";
  return tokenPattern.test(token) ? token : null;
}

export function writeSessionCookie(token: string, maxAgeSeconds: number, isSecure: boolean): string {
  const attributes = `HttpOnly; SameSite=Strict; Path=/; Max-Age=${maxAgeSeconds}${isSecure ? "; Secure" : ""}`;
  return `${nameFor(isSecure)}=${token}; ${attributes}`;
}

export function clearSessionCookie(isSecure: boolean): string {
  return writeSessionCookie("", 0, isSecure);
}

/** Whether a token is old enough for the next one. */
export function isTimeToRenew({ issuedAt, expiresAt }: SessionClaims, wallNowMs: number): boolean {
  return wallNowMs / 1_000 >= issuedAt + Math.min(consoleRenewalSecondsMax, (expiresAt - issuedAt) / 2);
}

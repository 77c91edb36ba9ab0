// Session tokens: JWTs signed with HS256 that carry `sub`, `iat`, `exp`, `jti`, the session's `sid` and the time of its
// login (`auth_time`), and nothing else. A session lives on by having its token renewed.
// Whatever is not exactly such a token is refused alike; roles and rights never come from a token.
//
//   sid = <a UUID>.<mark>     the mark tells by which secret the session was logged in, to those alone who can sign

import { createHmac, createSecretKey, randomUUID } from "node:crypto";
import { compactVerify, SignJWT } from "jose";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";

export interface SessionTokens {
  /** For a new session. `validFrom` (Unix seconds): the token is not dated earlier. */
  issue(userId: string, mark: string, validFrom: number, use?: TokenUse): Promise<IssuedToken>;
  /** Another token of the same session. Throws `token_expired` when the session has lasted as long as it may. */
  renew(claims: SessionClaims, validFrom: number, use?: TokenUse): Promise<IssuedToken>;
  /** Whether a token of the console has not been renewed for as long as it may be idle by now. */
  isIdle(claims: SessionClaims): boolean;
  /** When no token of the session can be good any more, in Unix seconds. */
  endOf(claims: SessionClaims): number;
  /** Throws `invalid_token`, or `token_expired` for one that was good. Synchronous for tokens seen before. */
  verify(sessionToken: string): SessionClaims | Promise<SessionClaims>;
  /** A short keyed hash: says whether two texts are the same, and nothing else about them. */
  markOf(text: string): string;
  setLifetimes(lifetimes: TokenLifetimes): void;
}

/** "console": in a browser's cookie, where it is renewed while it is used. */
export type TokenUse = "client" | "console";

/** The console renews a token that is older than that, or than half of its life: its idle time is exact to a minute. */
export const consoleRenewalSecondsMax = 60;

export interface TokenLifetimes {
  readonly tokenSeconds: number;
  /** How long the console may be idle. */
  readonly consoleIdleSeconds: number;
  /** From its login, by renewing. A token that lives longer than that is good to its end. */
  readonly sessionSeconds: number;
}

export interface IssuedToken {
  readonly sessionToken: string;
  readonly expiresInSeconds: number;
}

export interface SessionClaims {
  readonly userId: string;
  /** `sid`: the same for all tokens that came from one login. */
  readonly sessionId: string;
  /** What it was issued with; a part of the session's id. */
  readonly mark: string;
  /** `auth_time`, Unix seconds: when the session was logged in. */
  readonly loggedInAt: number;
  /** Unix seconds */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

const tokenCharactersMax = 4_096;
const verifiedTokensMax = 10_000;
/** How far another machine's clock may be ahead. */
const clockSkewSecondsMax = 60;
const tokenPattern = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/;
const sessionPattern = /^[0-9a-f-]{36}\.([A-Za-z0-9_-]{11})$/;
const markBytes = 8;
const claimNames = ["auth_time", "exp", "iat", "jti", "sid", "sub"];

export function createSessionTokens(secret: string, initial: TokenLifetimes, clock: Clock): SessionTokens {
  const key = createSecretKey(Buffer.from(secret, "utf8"));
  // Keyed by the whole token. Insertion order makes the first key the oldest.
  const verified = new Map<string, SessionClaims>();
  let lifetimes = initial;
  /** Of all lifetimes that there were: tokens of theirs may still be around. */
  let longestSeconds = Math.max(initial.tokenSeconds, initial.sessionSeconds);

  function issue(userId: string, mark: string, validFrom: number, use: TokenUse = "client"): Promise<IssuedToken> {
    const issuedAt = nextIssue(validFrom);
    const session = { sid: `${randomUUID()}.${mark}`, auth_time: issuedAt };
    const { tokenSeconds, consoleIdleSeconds, sessionSeconds } = lifetimes;
    return sign(
      userId,
      session,
      issuedAt,
      issuedAt + (use === "console" ? Math.min(consoleIdleSeconds, sessionSeconds) : tokenSeconds),
    );
  }

  async function renew(
    { userId, sessionId, loggedInAt }: SessionClaims,
    validFrom: number,
    use: TokenUse = "client",
  ): Promise<IssuedToken> {
    const issuedAt = nextIssue(validFrom);
    const lifeSeconds = use === "console" ? lifetimes.consoleIdleSeconds : lifetimes.tokenSeconds;
    const expiresAt = Math.min(issuedAt + lifeSeconds, loggedInAt + lifetimes.sessionSeconds);
    if (expiresAt <= issuedAt) throw new Refusal("token_expired");
    return sign(userId, { sid: sessionId, auth_time: loggedInAt }, issuedAt, expiresAt);
  }

  /** Claims are whole seconds. Rounded up, so that a token lives at least as long as its holder is told. */
  function nextIssue(validFrom: number): number {
    return Math.max(Math.ceil(clock.wallNow() / 1_000), validFrom);
  }

  async function sign(
    userId: string,
    session: { readonly sid: string; readonly auth_time: number },
    issuedAt: number,
    expiresAt: number,
  ): Promise<IssuedToken> {
    const sessionToken = await new SignJWT(session)
      .setProtectedHeader({ typ: "JWT", alg: "HS256" })
      .setSubject(userId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .setJti(randomUUID())
      .sign(key);
    return { sessionToken, expiresInSeconds: expiresAt - issuedAt };
  }

  function verify(sessionToken: string): SessionClaims | Promise<SessionClaims> {
    const known = verified.get(sessionToken);
    return known ? requireFresh(known) : verifyNew(sessionToken);
  }

  async function verifyNew(sessionToken: string): Promise<SessionClaims> {
    if (sessionToken.length > tokenCharactersMax || !tokenPattern.test(sessionToken))
      throw new Refusal("invalid_token");
    const signature = sessionToken.slice(sessionToken.lastIndexOf(".") + 1);
    // base64url lets the last character vary without changing a bit of what it encodes.
    if (Buffer.from(signature, "base64url").toString("base64url") !== signature) throw new Refusal("invalid_token");
    const payload = await compactVerify(sessionToken, key, { algorithms: ["HS256"] }).then(
      ({ payload, protectedHeader: { alg, typ, ...others } }) =>
        typ === "JWT" && Object.keys(others).length === 0 ? payload : null,
      () => null,
    );
    const claims = payload && parseClaims(Buffer.from(payload).toString("utf8"), clock.wallNow() / 1_000);
    if (!claims) throw new Refusal("invalid_token");
    requireFresh(claims);
    makeRoom();
    verified.set(sessionToken, claims);
    return claims;
  }

  /** Those that have expired go, from the oldest to the first that has not. */
  function makeRoom(): void {
    for (const [token, { expiresAt }] of verified) {
      if (verified.size < verifiedTokensMax && expiresAt * 1_000 > clock.wallNow()) return;
      verified.delete(token);
    }
  }

  function requireFresh(claims: SessionClaims): SessionClaims {
    if (claims.expiresAt * 1_000 <= clock.wallNow()) throw new Refusal("token_expired");
    return claims;
  }

  return {
    issue,
    renew,
    isIdle: ({ issuedAt }) =>
      clock.wallNow() / 1_000 >= issuedAt + lifetimes.consoleIdleSeconds + consoleRenewalSecondsMax,
    endOf: ({ loggedInAt, expiresAt }) => Math.max(expiresAt, loggedInAt + longestSeconds),
    verify,
    markOf: (text) => createHmac("sha256", key).update(text, "utf8").digest().toString("base64url", 0, markBytes),
    setLifetimes(changed) {
      lifetimes = changed;
      longestSeconds = Math.max(longestSeconds, changed.tokenSeconds, changed.sessionSeconds);
    },
  };
}

function parseClaims(text: string, nowSeconds: number): SessionClaims | null {
  let claims: Record<string, unknown>;
  try {
    claims = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  // Our own tokens are in canonical form; anything else may hide a claim twice.
  if (typeof claims !== "object" || claims === null || JSON.stringify(claims) !== text) return null;
  if (Object.keys(claims).sort().join() !== claimNames.join()) return null;
  const { sub, iat, exp, jti, sid, auth_time: authTime } = claims;
  if (typeof sub !== "string" || sub === "" || typeof jti !== "string" || jti === "") return null;
  const mark = typeof sid === "string" ? sessionPattern.exec(sid)?.[1] : undefined;
  if (mark === undefined) return null;
  if (!isTime(iat) || !isTime(exp) || exp <= iat || iat > nowSeconds + clockSkewSecondsMax) return null;
  if (!isTime(authTime) || authTime > iat) return null;
  return { userId: sub, sessionId: sid as string, mark, loggedInAt: authTime, issuedAt: iat, expiresAt: exp };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

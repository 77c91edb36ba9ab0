// Session tokens: JWTs signed with HS256 that carry `sub`, `iat`, `exp`, `jti` and nothing else.
// Whatever is not exactly such a token is refused alike; roles and rights never come from a token.

import { createSecretKey, randomUUID } from "node:crypto";
import { compactVerify, SignJWT } from "jose";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";

export interface SessionTokens {
  /** `validFrom` (Unix seconds): the token is not dated earlier. */
  issue(userId: string, validFrom: number): Promise<IssuedToken>;
  /** Throws `invalid_token`, or `token_expired` for one that was good. Synchronous for tokens seen before. */
  verify(sessionToken: string): SessionClaims | Promise<SessionClaims>;
  setLifetime(seconds: number): void;
}

export interface IssuedToken {
  readonly sessionToken: string;
  readonly expiresInSeconds: number;
}

export interface SessionClaims {
  readonly userId: string;
  /** `jti`: no two tokens have the same. */
  readonly tokenId: string;
  /** Unix seconds */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

const tokenCharactersMax = 4_096;
const verifiedTokensMax = 10_000;
/** How far another machine's clock may be ahead. */
const clockSkewSecondsMax = 60;
const tokenPattern = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/;
const claimNames = ["exp", "iat", "jti", "sub"];

export function createSessionTokens(secret: string, lifetimeSeconds: number, clock: Clock): SessionTokens {
  const key = createSecretKey(Buffer.from(secret, "utf8"));
  // Keyed by the whole token. Insertion order makes the first key the oldest.
  const verified = new Map<string, SessionClaims>();
  let lifetime = lifetimeSeconds;

  async function issue(userId: string, validFrom: number): Promise<IssuedToken> {
    // Claims are whole seconds. Rounded up, so that the token lives at least as long as its holder is told.
    const issuedAt = Math.max(Math.ceil(clock.wallNow() / 1_000), validFrom);
    const sessionToken = await new SignJWT()
      .setProtectedHeader({ typ: "JWT", alg: "HS256" })
      .setSubject(userId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifetime)
      .setJti(randomUUID())
      .sign(key);
    return { sessionToken, expiresInSeconds: lifetime };
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
    if (verified.size >= verifiedTokensMax) verified.delete(verified.keys().next().value as string);
    verified.set(sessionToken, claims);
    return claims;
  }

  function requireFresh(claims: SessionClaims): SessionClaims {
    if (claims.expiresAt * 1_000 <= clock.wallNow()) throw new Refusal("token_expired");
    return claims;
  }

  return {
    issue,
    verify,
    setLifetime(seconds) {
      lifetime = seconds;
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
  const { sub, iat, exp, jti } = claims;
  if (typeof sub !== "string" || sub === "" || typeof jti !== "string" || jti === "") return null;
  if (!isTime(iat) || !isTime(exp) || exp <= iat || iat > nowSeconds + clockSkewSecondsMax) return null;
  return { userId: sub, tokenId: jti, issuedAt: iat, expiresAt: exp };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

// Keys for clients that never send them: GLM's older SDKs take an `id.secret` and sign a token of their own with it for
// each call. Such a secret has to be known when a call comes. It is not kept, though, but derived from the key's id and
// a secret of the gateway's own, so that the database alone is of no use to anybody.

import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { Refusal } from "../base/refusal.ts";
import { hashApiKey, type MadeKey } from "./api-keys.ts";

export interface SigningKeys {
  /** `keyId`: the UUID of the key. */
  make(keyId: string): MadeKey;
  /**
   * The hash of the key that a client's token is signed with. Throws `invalid_token`, or `token_expired` for one that
   * was good.
   */
  verify(token: string, wallNowMs: number): string;
}

const start = "glmp";
const idPattern = /^glmp[0-9a-f]{32}$/;
const keyPattern = /^glmp[0-9a-f]{32}\.[\w-]{43}$/;
const tokenPattern = /^[\w-]{1,1024}\.[\w-]{1,2048}\.[\w-]{43}$/;
const label = "glm-proxy signing keys";
/** Clients use a token for minutes: most calls bring one that is known. */
const knownMax = 1_000;
const knownMs = 60_000;
/** Seconds until the year 5138; larger numbers are milliseconds, or what else clients take for them. */
const secondsMax = 1e11;

/** Whether a credential says of itself that it is such a key; it need not be a good one. */
export function looksLikeSigningKey(credential: string): boolean {
  return keyPattern.test(credential);
}

/** Whether a credential says of itself that a client signed it with such a key. */
export function looksSigned(credential: string): boolean {
  return tokenPattern.test(credential) && typeof decode(credential.split(".")[1] as string)?.api_key === "string";
}

export function createSigningKeys(gatewaySecret: string): SigningKeys {
  const master = Buffer.from(hkdfSync("sha256", gatewaySecret, "", label, 32));
  /** Good tokens, with the hash of their key and when they have to be looked at anew. */
  const known = new Map<string, { readonly hash: string; readonly until: number }>();

  function secretOf(textId: string): string {
    return createHmac("sha256", master).update(textId).digest("base64url");
  }

  function check(token: string, wallNowMs: number): { hash: string; expiresAt: number } {
    const [head = "", body = "", signature = ""] = token.split(".");
    const { alg, sign_type: signType } = decode(head) ?? {};
    const { api_key: textId, exp } = decode(body) ?? {};
    const isOfThisKind = alg === "HS256" && (signType === undefined || signType === "SIGN");
    if (!isOfThisKind || typeof textId !== "string" || !idPattern.test(textId)) throw new Refusal("invalid_token");
    const secret = secretOf(textId);
    const expected = createHmac("sha256", secret).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature, "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Refusal("invalid_token");
    // Some clients mean microseconds by it. A time that is far ahead is nothing that we could hold against them.
    const expiresAt = typeof exp !== "number" ? Number.NaN : exp < secondsMax ? exp * 1_000 : exp;
    if (Number.isNaN(expiresAt)) throw new Refusal("invalid_token");
    if (expiresAt <= wallNowMs) throw new Refusal("token_expired");
    return { hash: hashApiKey(`${textId}.${secret}`), expiresAt };
  }

  return {
    make(keyId) {
      const hex = keyId.replaceAll("-", "");
      const textId = start + hex;
      const secret = `${textId}.${secretOf(textId)}`;
      // The end of a UUID is what tells those apart that were made at once.
      return { secret, prefix: hex.slice(-8), hash: hashApiKey(secret) };
    },
    verify(token, wallNowMs) {
      const before = known.get(token);
      if (before && before.until > wallNowMs) return before.hash;
      known.delete(token);
      const { hash, expiresAt } = check(token, wallNowMs);
      const [oldest] = known.keys();
      if (known.size >= knownMax && oldest !== undefined) known.delete(oldest);
      known.set(token, { hash, until: Math.min(expiresAt, wallNowMs + knownMs) });
      return hash;
    },
  };
}

/** A part of a token as an object; null for what is none. */
function decode(part: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

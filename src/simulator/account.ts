// The keys that the simulated GLM knows, and how a call proves that it holds one. Limits are judge.ts's matter.

import { createHmac, timingSafeEqual } from "node:crypto";

/** The key's id, or GLM's code for what is wrong with the credential. */
export type Authentication = { readonly keyId: string } | { readonly code: "1001" | "1003" | "401" };

export type Authenticate = (authorization: string | undefined, wallNowMs: number) => Authentication;

/** Accepts `id.secret` keys as they are, and JWTs that were signed with the secret of one of them. */
export function createAuthenticator(apiKeys: readonly string[]): Authenticate {
  const secrets = new Map(apiKeys.map((key) => [toKeyId(key), key.slice(toKeyId(key).length + 1)] as const));
  return (authorization, wallNowMs) => {
    const credential = authorization?.replace(/^Bearer(?: +|$)/i, "").trim();
    if (!credential) return { code: "1001" };
    if (apiKeys.includes(credential)) return { keyId: toKeyId(credential) };
    return verifyJwt(credential, secrets, wallNowMs);
  };
}

/** Any credential or none will do, as at a server of one's own models. */
export const acceptAnybody: Authenticate = () => ({ keyId: "anybody" });

/** What may be shown of a key: enough to tell it from others. */
export function maskKeyId(keyId: string): string {
  return keyId.length <= 4 ? keyId : `${keyId.slice(0, 4)}…`;
}

function toKeyId(apiKey: string): string {
  return apiKey.split(".", 1)[0] as string;
}

/** GLM's SDKs stamp milliseconds, one of them by mistake microseconds: an expiry may lie in a far future. */
function verifyJwt(token: string, secrets: ReadonlyMap<string, string>, wallNowMs: number): Authentication {
  const [head = "", body = "", mac = ""] = token.split(".");
  const { alg } = parsePart(head);
  const { api_key: keyId, exp } = parsePart(body);
  const secret = typeof keyId === "string" ? secrets.get(keyId) : undefined;
  if (typeof keyId !== "string" || secret === undefined || alg !== "HS256") return { code: "401" };
  const expected = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(mac, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { code: "401" };
  return typeof exp === "number" && exp > wallNowMs ? { keyId } : { code: "1003" };
}

function parsePart(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { createSigningKeys, looksLikeSigningKey, looksSigned } from "./signing-keys.ts";

const now = Date.UTC(2026, 10, 23);
const keys = createSigningKeys("a-secret-of-the-gateway-of-32-bytes");
const made = keys.make("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001");
const [id = "", secret = ""] = made.secret.split(".");

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** As GLM's SDKs do it. */
function sign(payload: object = {}, { with: key = secret, head = {} }: { with?: string; head?: object } = {}): string {
  const text = `${part({ alg: "HS256", sign_type: "SIGN", ...head })}.${part({ api_key: id, exp: now + 1_000, timestamp: now, ...payload })}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

describe("createSigningKeys()", () => {
  it("makes keys of two parts, always the same of the same id, and others of another gateway's secret", () => {
    assert.ok(looksLikeSigningKey(made.secret));
    assert.equal(keys.make("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001").secret, made.secret);
    assert.notEqual(keys.make("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0002").secret, made.secret);
    const other = createSigningKeys("another-secret-of-more-than-32-bytes");
    assert.notEqual(other.make("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001").secret, made.secret);
  });

  it("knows a client's token, by the hash of its key", () => {
    assert.ok(looksSigned(sign()));
    assert.equal(keys.verify(sign(), now), made.hash);
    assert.equal(keys.verify(sign({}, { head: { sign_type: undefined, typ: "JWT" } }), now), made.hash);
  });

  it("takes an end in seconds, milliseconds and what is meant as microseconds", () => {
    for (const exp of [now / 1_000 + 1, now + 1_000, now * 1_000 + 180_000]) {
      assert.equal(keys.verify(sign({ exp }), now), made.hash, String(exp));
    }
  });

  it("tells a token that has expired from one that was never good", () => {
    const token = sign();
    assert.equal(keys.verify(token, now), made.hash);
    assert.throws(() => keys.verify(token, now + 1_000), { reason: "token_expired" });
    assert.throws(() => keys.verify(sign({ exp: now - 1 }, { with: "wrong" }), now), { reason: "invalid_token" });
  });

  it("refuses whatever was made without the secret", () => {
    const other = keys.make("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0002").secret.split(".");
    const [head, , signature] = sign().split(".");
    const forged = {
      "another secret": sign({}, { with: "x".repeat(43) }),
      "another key's id": sign({ api_key: other[0] }),
      "another key's secret": sign({}, { with: other[1] as string }),
      "no algorithm": sign({}, { head: { alg: "none" } }),
      "another algorithm": sign({}, { head: { alg: "HS512" } }),
      "another kind of signature": sign({}, { head: { sign_type: "OTHER" } }),
      "no end": sign({ exp: undefined }),
      "an end that is no number": sign({ exp: "9" }),
      "no id": sign({ api_key: undefined }),
      "an id that is none of ours": sign({ api_key: "sim" }),
      "a body that was changed": `${head}.${part({ api_key: id, exp: now + 9_000_000 })}.${signature}`,
      "a body that is no JSON": `${head}.eA.${signature}`,
      "no signature": `${sign().split(".").slice(0, 2).join(".")}.`,
    };
    for (const [name, token] of Object.entries(forged)) {
      assert.throws(() => keys.verify(token, now), { reason: "invalid_token" }, name);
    }
  });

  it("remembers only so many tokens, and looks at each anew after a while", () => {
    const token = sign({ exp: now + 3_600_000 });
    for (let count = 0; count < 1_100; count++) assert.equal(keys.verify(sign({ timestamp: count }), now), made.hash);
    assert.equal(keys.verify(token, now), made.hash);
    assert.equal(keys.verify(token, now + 61_000), made.hash);
  });
});

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { createAuthenticator, maskKeyId } from "./account.ts";

const now = Date.UTC(2026, 10, 23);
const authenticate = createAuthenticator(["ada.lovelace", "bob.secret.with.dots"]);
const check = (authorization: string | undefined) => authenticate(authorization, now);

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function sign(payload: object, secret: string, header: object = { alg: "HS256", sign_type: "SIGN" }): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `Bearer ${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

describe("authentication at the simulated GLM", () => {
  it("takes a key as it is, with or without Bearer", () => {
    assert.deepEqual(check("Bearer ada.lovelace"), { keyId: "ada" });
    assert.deepEqual(check("bearer   ada.lovelace "), { keyId: "ada" });
    assert.deepEqual(check("ada.lovelace"), { keyId: "ada" });
    assert.deepEqual(check("Bearer bob.secret.with.dots"), { keyId: "bob" });
  });

  it("says 1001 when there is nothing", () => {
    for (const nothing of [undefined, "", "Bearer", "Bearer  "]) assert.deepEqual(check(nothing), { code: "1001" });
  });

  it('says "401" to a key that it does not know, and to what is no key at all', () => {
    for (const wrong of [
      "Bearer eve.secret",
      "Bearer ada.wrong",
      "Bearer ada",
      "Bearer x",
      "Basic YTpi",
      "Bearer ...",
    ]) {
      assert.deepEqual(check(wrong), { code: "401" }, wrong);
    }
  });

  it("takes a JWT signed with a key's secret whose times are milliseconds, or by mistake microseconds", () => {
    const inMs = { api_key: "ada", exp: now + 60_000, timestamp: now };
    assert.deepEqual(check(sign(inMs, "lovelace")), { keyId: "ada" });
    const inMicroseconds = { api_key: "ada", exp: (now + 60_000) * 1_000, timestamp: now * 1_000 };
    assert.deepEqual(check(sign(inMicroseconds, "lovelace")), { keyId: "ada" });
    assert.deepEqual(check(sign({ ...inMs, api_key: "bob" }, "secret.with.dots")), { keyId: "bob" });
  });

  it("says 1003 to a JWT that has expired, has no expiry, or counts it in seconds", () => {
    for (const exp of [now, now - 1, Math.floor(now / 1_000) + 60, undefined, String(now + 60_000)]) {
      assert.deepEqual(check(sign({ api_key: "ada", exp }, "lovelace")), { code: "1003" }, String(exp));
    }
  });

  it('says "401" to a JWT of another secret, algorithm or key', () => {
    const payload = { api_key: "ada", exp: now + 60_000 };
    assert.deepEqual(check(sign(payload, "wrong")), { code: "401" });
    assert.deepEqual(check(sign(payload, "lovelace", { alg: "none" })), { code: "401" });
    assert.deepEqual(check(sign({ ...payload, api_key: "eve" }, "lovelace")), { code: "401" });
    assert.deepEqual(check(sign({ ...payload, api_key: 1 }, "lovelace")), { code: "401" });
    assert.deepEqual(check(`${sign(payload, "lovelace").slice(0, -4)}`), { code: "401" });
  });

  it("shows four characters of a key's id at most", () => {
    assert.equal(maskKeyId("ada"), "ada");
    assert.equal(maskKeyId("0123456789"), "0123…");
  });
});

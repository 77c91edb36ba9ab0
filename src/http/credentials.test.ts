import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readCredential } from "./credentials.ts";

const token = "eyJ0eXAi.eyJzdWIi.c2ln";
const key = "glmp_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM";

describe("readCredential()", () => {
  it("takes a session token or an API key behind Bearer, however that is spelled", () => {
    for (const credential of [token, key]) {
      assert.equal(readCredential({ authorization: `Bearer ${credential}` }), credential);
      assert.equal(readCredential({ authorization: `bearer   ${credential}` }), credential);
    }
  });

  it("takes an API key that stands in Authorization alone, as older clients of GLM send it, and no token", () => {
    assert.equal(readCredential({ authorization: key }), key);
    assert.equal(readCredential({ authorization: token }), null);
  });

  it("takes what Anthropic's clients send as x-api-key", () => {
    assert.equal(readCredential({ "x-api-key": key }), key);
    assert.equal(readCredential({ "x-api-key": token }), token);
  });

  it("counts an empty header as none", () => {
    assert.equal(readCredential({ authorization: `Bearer ${token}`, "x-api-key": "" }), token);
    assert.equal(readCredential({ authorization: `Bearer ${token}`, "x-api-key": "  " }), token);
    for (const authorization of ["", " ", "Bearer", "Bearer "]) {
      assert.equal(readCredential({ authorization, "x-api-key": key }), key, JSON.stringify(authorization));
    }
  });

  it("takes the same credential twice, and refuses to choose between two", () => {
    assert.equal(readCredential({ authorization: `Bearer ${key}`, "x-api-key": key }), key);
    assert.equal(readCredential({ authorization: key, "x-api-key": key }), key);
    assert.equal(readCredential({ authorization: `Bearer ${token}`, "x-api-key": key }), null);
    assert.equal(readCredential({ authorization: `Bearer ${key}`, "x-api-key": token }), null);
    assert.equal(readCredential({ authorization: `Bearer ${key}`, "x-api-key": `${key}x` }), null);
  });

  it("takes no notice of somebody else's key beside a credential of ours", () => {
    assert.equal(readCredential({ authorization: `Bearer ${token}`, "x-api-key": "sk-ant-123" }), token);
    assert.equal(readCredential({ authorization: `Bearer ${key}`, "x-api-key": "mine" }), key);
    for (const authorization of ["Bearer sk-ant-oat01-abc", "Basic YWRhOnB3", "sk-1", "Bearer a b"])
      for (const credential of [key, token])
        assert.equal(readCredential({ authorization, "x-api-key": credential }), credential, authorization);
  });

  it("finds none in anything else", () => {
    for (const authorization of [
      undefined,
      "Basic YWRhOnB3",
      `Bearer ${token} ${token}`,
      `Bearer${token}`,
      "Token x",
    ]) {
      assert.equal(readCredential({ authorization }), null, String(authorization));
    }
    assert.equal(readCredential({ "x-api-key": `${key}, ${key}` }), null, "sent twice, as Node joins it");
  });
});

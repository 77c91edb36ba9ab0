import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { looksLikeApiKey, makeApiKey, parseApiKey } from "./api-keys.ts";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const { secret, hash } = makeApiKey();

describe("makeApiKey()", () => {
  it("makes glmp_, 43 characters of chance and 6 of checksum, and tells the first 8 of them", () => {
    const key = makeApiKey();
    assert.match(key.secret, /^glmp_[0-9A-Za-z]{49}$/);
    assert.equal(key.prefix, key.secret.slice(5, 13));
    assert.ok(looksLikeApiKey(key.secret));
  });

  it("keeps the SHA-256 of the whole key, which tells nothing of it", () => {
    const key = makeApiKey();
    assert.equal(key.hash, createHash("sha256").update(key.secret).digest("hex"));
    assert.ok(!JSON.stringify([key.prefix, key.hash]).includes(key.secret.slice(13, 21)));
  });

  it("makes no two alike, and uses all of its characters", () => {
    const secrets = Array.from({ length: 1_000 }, () => makeApiKey().secret);
    assert.equal(new Set(secrets).size, 1_000);
    assert.equal(new Set(secrets.flatMap((text) => [...text.slice(6, 48)])).size, alphabet.length);
  });
});

describe("parseApiKey()", () => {
  it("gives the hash of every key that was made", () => {
    for (let count = 0; count < 1_000; count++) {
      const key = makeApiKey();
      assert.equal(parseApiKey(key.secret), key.hash);
    }
  });

  it("refuses every key of which a single character is another one", () => {
    for (let place = 0; place < secret.length; place++) {
      for (const character of `${alphabet}_-. é`) {
        if (character === secret[place]) continue;
        const wrong = secret.slice(0, place) + character + secret.slice(place + 1);
        assert.equal(parseApiKey(wrong), null, wrong);
      }
    }
  });

  it("refuses every key of which a character is missing, doubled, or swapped with the next", () => {
    for (let place = 0; place < secret.length; place++) {
      const [before, character, after] = [secret.slice(0, place), secret[place] as string, secret.slice(place + 1)];
      assert.equal(parseApiKey(before + after), null);
      assert.equal(parseApiKey(before + character + character + after), null);
      const swapped = before + after.slice(0, 1) + character + after.slice(1);
      if (swapped !== secret) assert.equal(parseApiKey(swapped), null, swapped);
    }
  });

  it("refuses whatever else there is", () => {
    const texts = ["", "glmp_", ` ${secret}`, `${secret}\n`, secret.toUpperCase(), secret.replace("glmp_", "glmq_")];
    for (const text of texts) assert.equal(parseApiKey(text), null, JSON.stringify(text));
    fc.assert(fc.property(fc.string(), (text) => parseApiKey(text) === null));
    const lookalike = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 49, maxLength: 49 });
    fc.assert(fc.property(lookalike, (text) => parseApiKey(`glmp_${text}`) === null));
    assert.equal(parseApiKey(secret), hash, "but not the key itself");
  });

  it("reads no more of a text that is far too long than it has to", () => {
    const startedAt = performance.now();
    assert.equal(parseApiKey(`glmp_${"a".repeat(10_000_000)}`), null);
    assert.ok(performance.now() - startedAt < 100);
  });
});

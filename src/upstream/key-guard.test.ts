import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createKeyGuard } from "./key-guard.ts";

const [id, secret] = ["keyid0123456789abcdef", "KeySecret77"];
const key = `${id}.${secret}`;

/** Whether a search over the text, cut at these places, finds something. */
function isFound(text: string, cuts: readonly number[] = [], apiKey = key): boolean {
  const search = createKeyGuard(apiKey).openSearch();
  const bytes = Buffer.from(text);
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other), bytes.length];
  return ends.map((end, at) => search.finds(bytes.subarray(at === 0 ? 0 : ends[at - 1], end))).some(Boolean);
}

const toEscapes = (text: string) =>
  Array.from(text, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

const forms: Readonly<Record<string, (part: string) => string>> = {
  plain: (part) => part,
  "JSON's escapes": toEscapes,
  "an escape within": (part) => part.slice(0, 3) + toEscapes(part.slice(3, 4)) + part.slice(4),
  "escapes in capitals": (part) => toEscapes(part).replace(/[a-f]/g, (digit) => digit.toUpperCase()),
  base64: (part) => Buffer.from(part).toString("base64"),
  "base64 after a byte": (part) => Buffer.from(`x${part}y`).toString("base64"),
  "base64 after two bytes": (part) => Buffer.from(`xx${part}yy`).toString("base64"),
  "base64url of a header": (part) => Buffer.from(`Bearer ${part}`).toString("base64url"),
};

describe("a search for the key", () => {
  for (const [name, toForm] of Object.entries(forms)) {
    it(`finds it and each of its halves, ${name}, wherever it is and however it is cut`, () => {
      // "\\" would escape what comes next, and a base64's neighbours are not of its alphabet.
      const around = fc.string({ maxLength: 40 }).map((text) => `${text.replace(/[\w+/=\\-]/g, " ")} `);
      fc.assert(
        fc.property(
          fc.constantFrom(key, id, secret),
          around,
          around,
          fc.array(fc.nat(), { maxLength: 6 }),
          (part, before, after, cuts) => {
            assert.ok(isFound(before + toForm(part) + after, cuts));
          },
        ),
      );
    });
  }

  it("finds one that has characters which URLs and JSON write differently", () => {
    const odd = "sk+Ab1/2345=67890abc";
    for (const form of [odd, encodeURIComponent(odd), odd.replace("/", "\\/")]) {
      assert.ok(isFound(`x ${form} y`, [], odd), form);
    }
    assert.ok(
      isFound(
        odd.replace(/[+/=]/g, (character) => encodeURIComponent(character).toLowerCase()),
        [],
        odd,
      ),
    );
  });

  it("finds nothing in anything else", () => {
    fc.assert(fc.property(fc.string(), fc.array(fc.nat()), (text, cuts) => assert.ok(!isFound(text, cuts))));
    for (const near of [key.slice(0, 20), secret.slice(1), key.toUpperCase(), toEscapes(secret).replaceAll("\\", "")]) {
      assert.ok(!isFound(near), near);
    }
  });

  it("leaves alone what some call their key, and is a word", () => {
    for (const word of ["", "EMPTY", "ollama", "lm-studio", "not-needed", "sk-1234", "no-key-required", "my.own.key"]) {
      assert.ok(!isFound(`you run it with ${word}, do you?`, [], word), word);
    }
  });
});

describe("a mask", () => {
  const { mask } = createKeyGuard(key);

  it("hides the key and each of its parts, as they are and encoded", () => {
    for (const [name, toForm] of Object.entries(forms)) {
      if (name.includes("escape")) continue;
      for (const part of [key, id, secret]) {
        const masked = mask(`bad key ${toForm(part)}!`);
        assert.match(masked, /\*\*\*/);
        assert.ok(!isFound(masked), `${name}: ${masked}`);
      }
    }
    assert.equal(mask(`bad key ${key}`), "bad key ***");
    assert.equal(mask("nothing here"), "nothing here");
  });
});

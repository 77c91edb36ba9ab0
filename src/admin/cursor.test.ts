import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeCursor, encodeCursor, namePattern, numberPattern, uuidPattern } from "./cursor.ts";

describe("cursors", () => {
  it("say what they were made of", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\p{L}\p{N}._@+-]{1,128}$/u), (name) => {
        assert.equal(decodeCursor("users", encodeCursor("users", name), namePattern), name);
      }),
    );
  });

  it("that are left out begin at the beginning", () => {
    assert.equal(decodeCursor("users", undefined, namePattern), null);
  });

  it("of another list, or forged, are refused", () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forged = [
      encodeCursor("groups", "ada"),
      encode("ada"),
      encode(["users"]),
      encode(["users", "ada", "more"]),
      encode(["users", 7]),
      encode(["users", null]),
      encode(["users", ""]),
      encode(["users", "a\nb"]),
      encode(["users", "x".repeat(129)]),
      encode({ 0: "users", 1: "ada", length: 2 }),
      `${encodeCursor("users", "ada")}=`,
      Buffer.from('["users", "ada"]').toString("base64url"),
      Buffer.from('["users","\\u0061da"]').toString("base64url"),
      "!!!",
      "A",
      "x".repeat(2_000),
    ];
    for (const cursor of forged) {
      assert.throws(() => decodeCursor("users", cursor, namePattern), { reason: "invalid_field" }, cursor);
    }
  });

  it("have ids and numbers in the shape that their lists have", () => {
    assert.throws(() => decodeCursor("calls", encodeCursor("calls", "' or 1=1 --"), uuidPattern), {
      reason: "invalid_field",
    });
    for (const id of ["0", "-1", "1e9", "99999999999999999", "1;"]) {
      assert.throws(
        () => decodeCursor("audit", encodeCursor("audit", id), numberPattern),
        { reason: "invalid_field" },
        id,
      );
    }
    assert.equal(decodeCursor("audit", encodeCursor("audit", "12"), numberPattern), "12");
  });

  it("never throw anything else, whatever they are", () => {
    fc.assert(
      fc.property(fc.string(), (cursor) => {
        try {
          decodeCursor("users", cursor, namePattern);
        } catch (error) {
          assert.equal((error as { reason?: unknown }).reason, "invalid_field");
        }
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Refusal } from "../base/refusal.ts";
import { createPasswordChecker, hashPassword, parsePasswordHash } from "./passwords.ts";

const checker = createPasswordChecker({ runningMax: 2, waitingMax: 32 });

describe("hashPassword()", () => {
  it("makes an argon2id hash of recommended cost, with a salt of its own", async () => {
    const [first, second] = await Promise.all([hashPassword("pass123"), hashPassword("pass123")]);
    assert.match(first as string, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(first, second);
  });
});

describe("parsePasswordHash()", () => {
  it("refuses other algorithms, broken text and costs beyond sense", () => {
    const refused = [
      "",
      "pass123",
      "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
      "$argon2id$v=16$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
      "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
      "$argon2id$v=19$m=19456,t=0,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
      "$argon2id$v=19$m=19456,t=2,p=1$$",
    ];
    for (const text of refused) assert.equal(parsePasswordHash(text), null, text);
  });

  it("reads a hash that another implementation made", async () => {
    // From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
    const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert.equal(await checker.check({ hash }, "password"), true);
    assert.equal(await checker.check({ hash }, "Password"), false);
  });
});

describe("createPasswordChecker()", () => {
  it("accepts the right password only, hashed or plain", async () => {
    const hash = await hashPassword("geheim ünïcode");
    assert.equal(await checker.check({ hash }, "geheim ünïcode"), true);
    assert.equal(await checker.check({ hash }, "geheim unicode"), false);
    assert.equal(await checker.check({ plain: "pass123" }, "pass123"), true);
    assert.equal(await checker.check({ plain: "pass123" }, "pass1234"), false);
    assert.equal(await checker.check(null, "pass123"), false);
  });

  it("verifies exact bytes: composed and decomposed letters differ", async () => {
    assert.equal(await checker.check({ plain: "\u00e9" }, "e\u0301"), false);
  });

  it("bounds how many are computed and how many wait, and recovers", async () => {
    const small = createPasswordChecker({ runningMax: 1, waitingMax: 2 });
    const attempts = await Promise.allSettled([1, 2, 3, 4, 5].map(() => small.check({ plain: "p" }, "p")));
    const outcomes = attempts.map((attempt) =>
      attempt.status === "fulfilled" ? attempt.value : (attempt.reason as Refusal).reason,
    );
    assert.deepEqual(outcomes, [true, true, true, "login_busy", "login_busy"]);
    assert.equal(await small.check({ plain: "p" }, "p"), true);
  });
});

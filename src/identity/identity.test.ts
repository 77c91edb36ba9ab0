import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { Actor } from "../people/people.ts";
import { createPeople } from "../people/people-service.ts";
import type { Account } from "../people/static-users.ts";
import { openStore } from "../store/open-store.ts";
import { makeApiKey } from "./api-keys.ts";
import { createIdentity } from "./identity.ts";
import { createPasswordChecker } from "./passwords.ts";
import { createSessionTokens } from "./session-tokens.ts";
import { createSigningKeys } from "./signing-keys.ts";

const signingKeys = createSigningKeys("a-secret-of-a-gateway-in-a-test-32-bytes");

const ada: Account = { username: "ada", password: "pass123", role: "user", weight: 1, class: "default" };
const proto: Account = { username: "__proto__", password: "pass456", role: "admin", weight: 2, class: "batch" };
const operator: Actor = { name: "local", via: "command", address: null, requestId: null };

let closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
});

async function setUp(accounts: readonly Account[] = [ada, proto]) {
  const clock = createManualClock();
  const store = await openStore({ kind: "sqlite", file: ":memory:" }, { mayMigrate: true });
  const people = await createPeople({
    store,
    signingKeys,
    staticUsers: accounts,
    clock,
    onStoreFailure: assert.ifError,
  });
  closing.push(async () => {
    await people.close();
    await store.close();
  });
  const lifetimes = { tokenSeconds: 60, consoleIdleSeconds: 28_800, sessionSeconds: 600 };
  const sessionTokens = createSessionTokens("a-test-secret-of-more-than-32-bytes!", lifetimes, clock);
  const passwords = createPasswordChecker({ runningMax: 2, waitingMax: 32 });
  const identity = createIdentity({ directory: people.directory, sessionTokens, passwords, signingKeys, clock });
  const attempt = async (username: string, password: string, address = "192.0.2.1"): Promise<string> => {
    try {
      return (await identity.logIn({ username, password, address })).sessionToken;
    } catch (error) {
      assert.ok(error instanceof Refusal, String(error));
      return error.reason;
    }
  };
  const reasonOf = async (outcome: Promise<unknown>): Promise<string> => {
    return outcome.then(
      () => "fine",
      (error: unknown) => (error as Refusal).reason,
    );
  };
  const identify = async (credential: string | null): Promise<string> => {
    try {
      return (await identity.identify(credential)).userId;
    } catch (error) {
      return (error as Refusal).reason;
    }
  };
  return { clock, people, identity, attempt, identify, reasonOf };
}

describe("createIdentity()", () => {
  it("knows whom a token was issued to", async () => {
    const { attempt, identify } = await setUp();
    assert.equal(await identify(await attempt("ada", "pass123")), "ada");
    assert.equal(await identify(await attempt("__proto__", "pass456")), "__proto__");
    assert.equal(await identify(null), "invalid_token");
  });

  it("says what the calls are for, and tells the tools of one person apart", async () => {
    const { attempt, identity } = await setUp();
    const [one, other] = [await attempt("__proto__", "pass456"), await attempt("__proto__", "pass456")];
    const [first, again, second] = [
      await identity.identify(one),
      await identity.identify(one),
      await identity.identify(other),
    ];
    assert.deepEqual([first.userId, first.role, first.weight, first.class], ["__proto__", "admin", 2, "batch"]);
    assert.equal(first.flowId, again.flowId);
    assert.notEqual(first.flowId, second.flowId);
  });

  it("answers a wrong password and an unknown user alike", async () => {
    const { attempt } = await setUp();
    for (const name of ["ada", "nobody", "constructor", "toString"]) {
      assert.equal(await attempt(name, "wrong"), "wrong_credentials");
    }
  });

  it("refuses the token of a user who was removed (J22)", async () => {
    const { people, attempt, identify } = await setUp();
    const token = await attempt("ada", "pass123");
    people.replaceStatic([proto]);
    assert.equal(await identify(token), "invalid_token");
  });

  it("refuses tokens from before a change of password, and no others (J22)", async () => {
    const { clock, people, attempt, identify } = await setUp();
    await clock.advance(300);
    const [adas, others] = [await attempt("ada", "pass123"), await attempt("__proto__", "pass456")];
    // Within the same second: the token's own date can't tell before from after.
    await clock.advance(100);
    people.replaceStatic([{ ...ada, password: "new" }, proto]);
    assert.equal(await identify(adas), "invalid_token");
    assert.equal(await identify(others), "__proto__");
    assert.equal(await identify(await attempt("ada", "new")), "ada");
  });

  it("refuses a login whose password was changed while it was checked", async () => {
    const { clock, people, attempt } = await setUp();
    const login = attempt("ada", "pass123");
    await clock.advance(3_000);
    people.replaceStatic([{ ...ada, password: "new" }]);
    assert.equal(await login, "wrong_credentials");
  });

  it("does not take a name in another Unicode form for the same one (J24)", async () => {
    const { people, attempt } = await setUp();
    people.replaceStatic([{ ...ada, username: "Jos\u00e9" }]);
    assert.equal(await attempt("Jose\u0301", "pass123"), "wrong_credentials");
  });
});

describe("a session", () => {
  it("is renewed under the same name, and keeps its place among the user's tools", async () => {
    const { clock, identity, attempt } = await setUp();
    const first = await attempt("ada", "pass123");
    await clock.advance(30_000);
    const second = (await identity.refresh(first)).sessionToken;
    const callers = [await identity.identify(first), await identity.identify(second)];
    assert.deepEqual(callers[0], callers[1]);
  });

  it("can't be renewed with an expired token, nor beyond its time", async () => {
    const { clock, identity, attempt, reasonOf } = await setUp();
    const expired = await attempt("ada", "pass123");
    await clock.advance(60_000);
    assert.equal(await reasonOf(identity.refresh(expired)), "token_expired");
    let token = await attempt("ada", "pass123");
    for (let second = 0; second < 600; second += 50) {
      token = (await identity.refresh(token)).sessionToken;
      await clock.advance(50_000);
    }
    assert.equal(await reasonOf(identity.refresh(token)), "token_expired");
  });

  it("that was logged out is void at once with all of its tokens, and no other one is", async () => {
    const { identity, attempt, identify, reasonOf } = await setUp();
    const [token, other] = [await attempt("ada", "pass123"), await attempt("ada", "pass123")];
    const renewed = (await identity.refresh(token)).sessionToken;
    const logout = identity.logOut(token);
    await new Promise(setImmediate);
    assert.deepEqual([await identify(token), await identify(renewed)], ["invalid_token", "invalid_token"]);
    await logout;
    assert.equal(await reasonOf(identity.refresh(renewed)), "invalid_token");
    assert.equal(await reasonOf(identity.logOut(token)), "invalid_token");
    assert.equal(await identify(other), "ada");
  });

  it("tells who renews cookies when it was issued and when it ends", async () => {
    const { clock, identity, attempt, reasonOf } = await setUp();
    const token = await attempt("ada", "pass123");
    const { userId, issuedAt, expiresAt } = await identity.readSession(token);
    assert.deepEqual([userId, issuedAt, expiresAt - issuedAt], ["ada", clock.wallNow() / 1_000, 60]);
    assert.equal(await reasonOf(identity.readSession(null)), "invalid_token");
  });

  it("is void when the configuration has another password at the next start (J22)", async () => {
    const [before, same, other] = [await setUp(), await setUp(), await setUp([{ ...ada, password: "new" }])];
    const token = await before.attempt("ada", "pass123");
    assert.equal(await same.identify(token), "ada");
    assert.equal(await other.identify(token), "invalid_token");
  });

  it("is not passed on to another user of the same name", async () => {
    const { clock, people, attempt, identify } = await setUp();
    const [static_, admin] = [await attempt("ada", "pass123"), await attempt("__proto__", "pass456")];
    people.replaceStatic([proto]);
    await people.createUser({ name: "ada", password: "pass123-of-the-store" }, operator);
    await clock.advance(5_000);
    assert.equal(await identify(static_), "invalid_token");
    const stored = await attempt("ada", "pass123-of-the-store");
    people.replaceStatic([ada, proto]);
    await clock.advance(5_000);
    assert.deepEqual([await identify(stored), await identify(static_)], ["invalid_token", "invalid_token"]);
    assert.equal(await identify(admin), "__proto__");
  });

  it("ends when its user is disabled, gets another password or a lower role; and stays ended", async () => {
    const changes = [{ isEnabled: false }, { password: "another password" }, { role: "user" as const }];
    for (const change of changes) {
      const { clock, people, attempt, identify } = await setUp();
      await people.createUser({ name: "eva", password: "pass789 of eva", role: "admin" }, operator);
      await clock.advance(5_000);
      const token = await attempt("eva", "pass789 of eva");
      await people.changeUser("eva", { weight: 2 }, operator);
      assert.equal(await identify(token), "eva");
      await people.changeUser("eva", change, operator);
      assert.equal(await identify(token), "invalid_token", JSON.stringify(change));
      await people.changeUser("eva", { isEnabled: true, role: "admin" }, operator);
      assert.equal(await identify(token), "invalid_token", JSON.stringify(change));
    }
  });

  it("ends when the configuration makes its user less, and goes on through every other reload", async () => {
    const { clock, people, attempt, identify } = await setUp();
    const token = await attempt("__proto__", "pass456");
    await clock.advance(5_000);
    people.replaceStatic([ada, { ...proto, weight: 5, class: "default" }]);
    assert.equal(await identify(token), "__proto__");
    people.replaceStatic([ada, { ...proto, role: "user" }]);
    assert.equal(await identify(token), "invalid_token");
    people.replaceStatic([ada, proto]);
    assert.equal(await identify(token), "invalid_token");
  });

  it("ends with each change of the configuration that takes something, without a pause between changes", async () => {
    const users = (more: Partial<Account>): Account[] => [{ ...ada, ...more }];
    const { people, attempt, identify } = await setUp(users({ role: "admin" }));
    const changes: Account[][][] = [
      [users({ role: "user" }), users({ role: "admin" })],
      [users({ password: "another", role: "admin" }), users({ role: "admin" })],
      [[], users({ role: "admin" })],
    ];
    for (const round of [...changes, ...changes]) {
      const token = await attempt("ada", ada.password as string);
      assert.equal(await identify(token), "ada");
      for (const accounts of round) people.replaceStatic(accounts);
      assert.equal(await identify(token), "invalid_token", JSON.stringify(round));
    }
  });

  it("ends with its user's time, and nobody is let in after it", async () => {
    const { clock, people, attempt, identify } = await setUp();
    const password = "pass789 of eva";
    await people.createUser({ name: "eva", password, expiresAt: clock.wallNow() + 20_000 }, operator);
    const token = await attempt("eva", password);
    await clock.advance(19_999);
    assert.equal(await identify(token), "eva");
    await clock.advance(1);
    assert.equal(await identify(token), "invalid_token");
    assert.equal(await attempt("eva", password), "wrong_credentials");
  });

  it("is nothing that a user without a password can have", async () => {
    const { people, attempt } = await setUp();
    await people.createUser({ name: "bot", password: null }, operator);
    for (const password of ["", "null", "bot"]) assert.equal(await attempt("bot", password), "wrong_credentials");
  });
});

describe("an API key", () => {
  it("makes its owner's call, under a flow of its own", async () => {
    const { people, identity } = await setUp();
    const { key, secret } = await people.createKey({ owner: "ada", name: "laptop" }, operator);
    const caller = await identity.identify(secret);
    assert.deepEqual(
      [caller.userId, caller.flowId, caller.keyId, caller.role, caller.weight, caller.class],
      ["ada", key.id, key.id, "user", 1, "default"],
    );
  });

  it("for calls gives its owner's administration away to nobody; one for administration does", async () => {
    const { people, identity } = await setUp();
    const roleOf = async (scope: "calls" | "admin") => {
      const { secret } = await people.createKey({ owner: "__proto__", name: scope, scope }, operator);
      return (await identity.identify(secret)).role;
    };
    assert.equal(await roleOf("calls"), "user");
    assert.equal(await roleOf("admin"), "admin");
  });

  it("that is unknown, mistyped, revoked or expired, or whose owner is gone, is refused like any bad token", async () => {
    const { clock, people, identify } = await setUp();
    const make = async (more: object = {}) => people.createKey({ owner: "ada", name: "laptop", ...more }, operator);
    const [revoked, expiring, fine] = [await make(), await make({ expiresAt: clock.wallNow() + 1_000 }), await make()];
    await people.revokeKey(revoked.key.id, operator);
    assert.equal(await identify(revoked.secret), "invalid_token");
    assert.equal(await identify(expiring.secret), "ada");
    await clock.advance(1_000);
    assert.equal(await identify(expiring.secret), "invalid_token");
    assert.equal(await identify(makeApiKey().secret), "invalid_token");
    const last = fine.secret.at(-1) === "0" ? "1" : "0";
    assert.equal(await identify(fine.secret.slice(0, -1) + last), "invalid_token");
    assert.equal(await identify(fine.secret), "ada");
    people.replaceStatic([proto]);
    assert.equal(await identify(fine.secret), "invalid_token");
  });

  it("is no session: it can be neither renewed nor logged out", async () => {
    const { people, identity, identify, reasonOf } = await setUp();
    const { secret } = await people.createKey({ owner: "ada", name: "laptop" }, operator);
    assert.equal(await reasonOf(identity.refresh(secret)), "invalid_token");
    assert.equal(await reasonOf(identity.logOut(secret)), "invalid_token");
    assert.equal(await identify(secret), "ada");
  });
});

describe("failed logins", () => {
  it("are free five times, then each doubles a pause of one second", async () => {
    const { clock, attempt } = await setUp();
    for (let count = 0; count < 5; count++) assert.equal(await attempt("ada", "wrong"), "wrong_credentials");
    assert.equal(await attempt("ada", "pass123"), "login_throttled");
    await clock.advance(1_000);
    assert.equal(await attempt("ada", "wrong"), "wrong_credentials");
    await clock.advance(1_999);
    assert.equal(await attempt("ada", "wrong"), "login_throttled");
    await clock.advance(1);
    assert.notEqual(await attempt("ada", "pass123"), "login_throttled");
    assert.equal(await attempt("ada", "wrong"), "wrong_credentials", "a success clears the count");
  });

  it("let few of a thousand guesses through, in parallel too", async () => {
    const { attempt } = await setUp();
    const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => attempt("ada", "guess")));
    const checkedCount = outcomes.filter((outcome) => outcome === "wrong_credentials").length;
    assert.ok(checkedCount <= 16, `${checkedCount} were checked`);
  });

  it("leave right logins alone, many at once and from one address", async () => {
    const { people, attempt, identify } = await setUp();
    const team = Array.from({ length: 20 }, (_, index) => ({ ...ada, username: `user${index}` }));
    people.replaceStatic([ada, ...team]);
    const logins = [...Array.from({ length: 10 }, () => "ada"), ...team.map(({ username }) => username)];
    const tokens = await Promise.all(logins.map((username) => attempt(username, "pass123")));
    assert.deepEqual(await Promise.all(tokens.map(identify)), logins);
  });

  it("do not lock the owner out who comes from another address", async () => {
    const { attempt, identify } = await setUp();
    for (let count = 0; count < 200; count++) await attempt("ada", "guess", "198.51.100.7");
    assert.equal(await identify(await attempt("ada", "pass123", "192.0.2.1")), "ada");
  });

  it("from one address on many names are slowed as well, but not for who logged in from there", async () => {
    const { attempt, identify } = await setUp();
    await attempt("ada", "pass123");
    for (let count = 0; count < 40; count++) await attempt(`guess${count}`, "x");
    assert.equal(await attempt("another", "x"), "login_throttled");
    assert.equal(await identify(await attempt("ada", "pass123")), "ada");
  });

  it("from many addresses on one name are slowed, but not for who logged in before", async () => {
    const { attempt, identify } = await setUp();
    await attempt("ada", "pass123", "192.0.2.1");
    for (let count = 0; count < 60; count++) await attempt("ada", "x", `198.51.100.${count}`);
    assert.equal(await attempt("ada", "x", "203.0.113.9"), "login_throttled");
    assert.equal(await identify(await attempt("ada", "pass123", "192.0.2.1")), "ada");
  });

  it("count one IPv6 subscriber as one address", async () => {
    const { attempt } = await setUp();
    for (let count = 0; count < 5; count++) await attempt("ada", "x", `2001:db8:0:1${count}::1`);
    assert.equal(await attempt("ada", "x", "2001:db8:0:1f::9"), "login_throttled");
    assert.equal(await attempt("ada", "x", "2001:db8:0:200::1"), "wrong_credentials");
  });
});

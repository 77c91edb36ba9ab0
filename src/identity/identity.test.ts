import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { Refusal } from "../base/refusal.ts";
import { createIdentity } from "./identity.ts";
import { createPasswordChecker } from "./passwords.ts";
import { createSessionTokens } from "./session-tokens.ts";
import { type Account, createUserDirectory } from "./user-directory.ts";

const ada: Account = { username: "ada", password: "pass123", role: "user", weight: 1, class: "default" };
const proto: Account = { username: "__proto__", password: "pass456", role: "admin", weight: 2, class: "batch" };

function setUp() {
  const clock = createManualClock();
  const users = createUserDirectory([ada, proto]);
  const sessionTokens = createSessionTokens("a-test-secret-of-more-than-32-bytes!", 60, clock);
  const passwords = createPasswordChecker({ runningMax: 2, waitingMax: 32 });
  const identity = createIdentity({ users, sessionTokens, passwords, clock });
  const attempt = async (username: string, password: string, address = "192.0.2.1"): Promise<string> => {
    try {
      return (await identity.logIn({ username, password, address })).sessionToken;
    } catch (error) {
      assert.ok(error instanceof Refusal, String(error));
      return error.reason;
    }
  };
  const identify = async (token: string | null): Promise<string> => {
    try {
      return (await identity.identify(token)).userId;
    } catch (error) {
      return (error as Refusal).reason;
    }
  };
  return { clock, users, identity, attempt, identify };
}

describe("createIdentity()", () => {
  it("knows whom a token was issued to", async () => {
    const { attempt, identify } = setUp();
    assert.equal(await identify(await attempt("ada", "pass123")), "ada");
    assert.equal(await identify(await attempt("__proto__", "pass456")), "__proto__");
    assert.equal(await identify(null), "invalid_token");
  });

  it("says what the calls are for, and tells the tools of one person apart", async () => {
    const { attempt, identity } = setUp();
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
    const { attempt } = setUp();
    for (const name of ["ada", "nobody", "constructor", "toString"]) {
      assert.equal(await attempt(name, "wrong"), "wrong_credentials");
    }
  });

  it("refuses the token of a user who was removed (J22)", async () => {
    const { users, attempt, identify } = setUp();
    const token = await attempt("ada", "pass123");
    users.replace([proto], Date.UTC(2026, 10, 23));
    assert.equal(await identify(token), "invalid_token");
  });

  it("refuses tokens from before a change of password, and no others (J22)", async () => {
    const { clock, users, attempt, identify } = setUp();
    await clock.advance(300);
    const [adas, others] = [await attempt("ada", "pass123"), await attempt("__proto__", "pass456")];
    // Within the same second: the token's own date can't tell before from after.
    await clock.advance(100);
    users.replace([{ ...ada, password: "new" }, proto], clock.wallNow());
    assert.equal(await identify(adas), "invalid_token");
    assert.equal(await identify(others), "__proto__");
    assert.equal(await identify(await attempt("ada", "new")), "ada");
  });

  it("refuses a login whose password was changed while it was checked", async () => {
    const { clock, users, attempt } = setUp();
    const login = attempt("ada", "pass123");
    await clock.advance(3_000);
    users.replace([{ ...ada, password: "new" }], clock.wallNow());
    assert.equal(await login, "wrong_credentials");
  });

  it("does not take a name in another Unicode form for the same one (J24)", async () => {
    const { users, attempt } = setUp();
    users.replace([{ ...ada, username: "Jos\u00e9" }], Date.UTC(2026, 10, 23));
    assert.equal(await attempt("Jose\u0301", "pass123"), "wrong_credentials");
  });
});

describe("failed logins", () => {
  it("are free five times, then each doubles a pause of one second", async () => {
    const { clock, attempt } = setUp();
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
    const { attempt } = setUp();
    const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => attempt("ada", "guess")));
    const checkedCount = outcomes.filter((outcome) => outcome === "wrong_credentials").length;
    assert.ok(checkedCount <= 16, `${checkedCount} were checked`);
  });

  it("leave right logins alone, many at once and from one address", async () => {
    const { users, attempt, identify } = setUp();
    const team = Array.from({ length: 20 }, (_, index) => ({ ...ada, username: `user${index}` }));
    users.replace([ada, ...team], 0);
    const logins = [...Array.from({ length: 10 }, () => "ada"), ...team.map(({ username }) => username)];
    const tokens = await Promise.all(logins.map((username) => attempt(username, "pass123")));
    assert.deepEqual(await Promise.all(tokens.map(identify)), logins);
  });

  it("do not lock the owner out who comes from another address", async () => {
    const { attempt, identify } = setUp();
    for (let count = 0; count < 200; count++) await attempt("ada", "guess", "198.51.100.7");
    assert.equal(await identify(await attempt("ada", "pass123", "192.0.2.1")), "ada");
  });

  it("from one address on many names are slowed as well, but not for who logged in from there", async () => {
    const { attempt, identify } = setUp();
    await attempt("ada", "pass123");
    for (let count = 0; count < 40; count++) await attempt(`guess${count}`, "x");
    assert.equal(await attempt("another", "x"), "login_throttled");
    assert.equal(await identify(await attempt("ada", "pass123")), "ada");
  });

  it("from many addresses on one name are slowed, but not for who logged in before", async () => {
    const { attempt, identify } = setUp();
    await attempt("ada", "pass123", "192.0.2.1");
    for (let count = 0; count < 60; count++) await attempt("ada", "x", `198.51.100.${count}`);
    assert.equal(await attempt("ada", "x", "203.0.113.9"), "login_throttled");
    assert.equal(await identify(await attempt("ada", "pass123", "192.0.2.1")), "ada");
  });

  it("count one IPv6 subscriber as one address", async () => {
    const { attempt } = setUp();
    for (let count = 0; count < 5; count++) await attempt("ada", "x", `2001:db8:0:1${count}::1`);
    assert.equal(await attempt("ada", "x", "2001:db8:0:1f::9"), "login_throttled");
    assert.equal(await attempt("ada", "x", "2001:db8:0:200::1"), "wrong_credentials");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { debtMsMax, Share } from "./share.ts";

const infinity = Number.POSITIVE_INFINITY;

function createSession(root = new Share("", 1, null), user = "ada", weight = 1): Share {
  return root.child("default", 4).child(user, weight).child("session", 1);
}

function userOf(session: Share): Share {
  return session.parent as Share;
}

/** A call comes, starts at once, and ends at a cost. */
function serve(session: Share, costMs: number): void {
  session.enter();
  session.charge(costMs, infinity);
  session.leave();
}

describe("Share", () => {
  it("charges service by weight", () => {
    const root = new Share("", 1, null);
    const [plain, heavy] = [createSession(root), createSession(root, "bob", 4)];
    for (const session of [plain, heavy]) {
      session.enter();
      session.charge(1_000, infinity);
    }
    assert.deepEqual([userOf(plain).virtualTime, userOf(heavy).virtualTime], [1_000, 250]);
  });

  it("gives no credit for idling: who comes back starts at the present", () => {
    const root = new Share("", 1, null);
    const busy = createSession(root);
    for (let count = 0; count < 5; count++) {
      busy.enter();
      busy.charge(1_000, infinity);
    }
    const late = createSession(root, "bob");
    late.enter();
    assert.equal(userOf(late).virtualTime, 4_000, "the start of the call that was served last");
  });

  it("keeps the present with the user that has had the least when another is let go first", () => {
    const root = new Share("", 1, null);
    const session = createSession(root);
    session.enter();
    session.charge(1_000, infinity);
    session.enter();
    session.charge(1_000, 300);
    assert.equal(userOf(session).parent?.now, 300);
  });

  it("bounds the lead of one long call, and takes no credit from its refund", () => {
    const session = createSession();
    session.enter();
    session.charge(10 * debtMsMax, infinity);
    assert.equal(userOf(session).virtualTime, debtMsMax);
    session.correct(-5 * debtMsMax);
    assert.equal(userOf(session).virtualTime, debtMsMax, "what was cut off is set off first");
    session.correct(-5 * debtMsMax);
    assert.equal(userOf(session).virtualTime, 0);
  });

  it("is forgotten when idle and owing nothing, and else after it was forgiven", () => {
    const root = new Share("", 1, null);
    serve(createSession(root), 1_000);
    const ofClass = root.find("default") as Share;
    assert.ok(ofClass.find("ada"), "it owes a second");
    root.sweep(false);
    assert.ok(ofClass.find("ada"));
    root.sweep(true);
    assert.equal(ofClass.find("ada"), undefined);
  });

  it("starts its counts anew before they lose precision, with the order kept", () => {
    const root = new Share("", 1, null);
    const [one, two] = [createSession(root), createSession(root, "bob")];
    one.enter();
    two.enter();
    for (const [session, ahead] of [
      [one, 0],
      [two, 7],
    ] as const) {
      userOf(session).virtualTime = 2 ** 50 + 10 + ahead;
      (userOf(session).parent as Share).now = 2 ** 50 + 10;
    }
    one.charge(3, infinity);
    assert.ok(userOf(one).virtualTime < 2 ** 20 && userOf(two).virtualTime < 2 ** 20);
    assert.equal(userOf(two).virtualTime - userOf(one).virtualTime, 4);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
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

  it("charges the session, the user and the class, each by its own weight", () => {
    const session = createSession(new Share("", 1, null), "ada", 2);
    session.enter();
    session.charge(800, infinity);
    const user = userOf(session);
    assert.deepEqual([session.virtualTime, user.virtualTime, user.parent?.virtualTime], [800, 400, 200]);
  });

  it("goes before a sibling that has had more, and among equals before one that began to wait later", () => {
    const root = new Share("", 1, null);
    const [ada, bob] = [createSession(root), createSession(root, "bob")];
    bob.countWaiting(1);
    ada.countWaiting(1);
    assert.equal(userOf(bob).isBefore(userOf(ada)), true);
    bob.enter();
    bob.charge(10, infinity);
    assert.equal(userOf(bob).isBefore(userOf(ada)), false);
  });

  it("keeps what is owed to a user whose calls wait, and what a user owes who comes back", () => {
    const root = new Share("", 1, null);
    const [busy, waits] = [createSession(root), createSession(root, "bob")];
    waits.enter();
    waits.countWaiting(1);
    for (let count = 0; count < 5; count++) serve(busy, 1_000);
    waits.enter();
    busy.enter();
    assert.deepEqual([userOf(waits).virtualTime, userOf(busy).virtualTime], [0, 5_000]);
  });

  it("puts right what a call cost, up and down, and tells in full what was served", () => {
    const session = createSession(new Share("", 1, null), "ada", 2);
    session.enter();
    session.charge(1_000, infinity);
    session.correct(400);
    assert.deepEqual([userOf(session).virtualTime, userOf(session).servedMs], [700, 1_400]);
    session.correct(-1_400);
    assert.deepEqual([userOf(session).virtualTime, userOf(session).servedMs], [0, 0]);
    session.charge(10 * debtMsMax, infinity);
    assert.equal(userOf(session).servedMs, 10 * debtMsMax, "also beyond the bound on debt");
  });

  it("counts who waits and who runs on every level, and lists of whom something waits", () => {
    const root = new Share("", 1, null);
    const sessions = ["ada", "bob", "eve"].map((name) => createSession(root, name));
    const [ada, bob, eve] = sessions as [Share, Share, Share];
    for (const session of sessions) session.countWaiting(1);
    ada.countWaiting(-1);
    ada.countRunning(1);
    assert.deepEqual(new Set(root.find("default")?.waitingChildren), new Set([userOf(bob), userOf(eve)]));
    assert.deepEqual([root.waitingCount, root.runningCount, userOf(ada).runningCount], [2, 1, 1]);
  });

  it("is forgotten with its sessions at once when it leaves owing nothing", () => {
    const root = new Share("", 1, null);
    const session = createSession(root);
    session.enter();
    session.leave();
    assert.equal(root.find("default")?.find("ada"), undefined);
  });

  it("is kept while it is busy, also when all is forgiven", () => {
    const root = new Share("", 1, null);
    const session = createSession(root);
    session.enter();
    session.charge(1_000, infinity);
    root.sweep(true);
    assert.equal(root.find("default")?.find("ada"), userOf(session));
  });

  it("knows how far apart its calls start, counted only while they wait", () => {
    const user = userOf(createSession());
    user.noteStart(0, 0);
    assert.equal(user.startGapMs, 0, "nobody waited");
    user.noteStart(0, 4_000);
    assert.equal(user.startGapMs, 0, "behind a burst it is the window's turn, not the pace");
    user.noteStart(0, 5_000);
    assert.equal(user.startGapMs, 1_000);
    user.noteStart(5_500, 6_500);
    assert.equal(user.startGapMs, 1_000, "from its arrival on: before it nobody waited");
    user.noteStart(5_500, 8_500);
    assert.ok(user.startGapMs > 1_000 && user.startGapMs < 2_000, String(user.startGapMs));
  });

  it("differs among those who always have calls waiting by no more than one call of each, for their weight", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(100, 250, 1_000), { minLength: 10, maxLength: 200, size: "max" }),
        (costs) => {
          const root = new Share("", 1, null);
          const sessions = [1, 2, 4].map((weight) => createSession(root, `weight ${weight}`, weight));
          for (const session of sessions) {
            session.enter();
            session.countWaiting(1);
          }
          for (const costMs of costs) {
            const next = sessions.reduce((first, one) => (userOf(one).isBefore(userOf(first)) ? one : first));
            next.enter();
            next.charge(costMs, infinity);
          }
          for (const a of sessions.map(userOf)) {
            for (const b of sessions.map(userOf)) {
              assert.ok(a.servedMs / a.weight - b.servedMs / b.weight <= 1_000 / a.weight + 1_000 / b.weight);
            }
          }
        },
      ),
    );
  });
});

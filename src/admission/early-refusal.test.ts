import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limitsOf } from "../../test/contracts/scheduler.contract.ts";
import type { OfferedCall } from "./core.ts";
import { findUrgent, judgeEarly, type Prospect } from "./early-refusal.ts";
import { FairQueue } from "./fair-queue.ts";
import { KeyPool } from "./key-pool.ts";
import { QueuedWaiter } from "./waiter.ts";

let sequence = 0;

/** A queue in which calls of named users and sessions wait, each for as long as it may. */
function createQueue() {
  const queue = new FairQueue(new KeyPool(limitsOf()));
  function add(userId: string, deadlineAt = 10_000, flowId = "chat"): QueuedWaiter {
    const call: OfferedCall = {
      callId: `call-${++sequence}`,
      userId,
      weight: 1,
      class: "default",
      flowId,
      model: "glm-4.5-flash",
      patienceMs: null,
      inputBytes: 0,
      outputTokensMax: null,
      retryCount: 0,
      place: null,
    };
    const place = { sequence, arrivedAt: 0, deadlineAt, tryCount: 0, upstreamRefusal: null, triedKeys: [] };
    const waiter = new QueuedWaiter(call, queue.shareOf(call, false), place, { tokens: 0, isDebt: false });
    queue.add(waiter, deadlineAt);
    return waiter;
  }
  return { queue, add };
}

/** One start a second, with room for ten calls in ten seconds; nobody else waits. */
function prospect(changes: Partial<Prospect> = {}): Prospect {
  return { fairMs: 0, places: 10, taken: 0, waitMs: (ahead) => ahead * 1_000, ...changes };
}

describe("judgeEarly()", () => {
  it("lets the first call of a user in, as long as the queue can be served in its time", () => {
    const waiter = createQueue().add("ada");
    assert.deepEqual(judgeEarly(waiter, prospect({ taken: 9 })), { kind: "fine" });
  });

  it("refuses anybody when the queue is as long as its time, and says when there is room", () => {
    const waiter = createQueue().add("ada");
    assert.deepEqual(judgeEarly(waiter, prospect({ taken: 12 })), {
      kind: "too_long",
      waitMs: 12_000,
      roomMs: 2_000,
    });
  });

  it("lets a user's first call in even if its own turn is late: others may leave", () => {
    const waiter = createQueue().add("ada");
    assert.deepEqual(judgeEarly(waiter, prospect({ fairMs: 11_000, taken: 9 })), { kind: "fine" });
  });

  it("refuses a user's further call that in fair order would come too late", () => {
    const { add } = createQueue();
    add("ada");
    assert.deepEqual(judgeEarly(add("ada"), prospect({ fairMs: 11_000, taken: 1 })), {
      kind: "too_long",
      waitMs: 11_000,
      roomMs: 1_000,
    });
  });

  it("refuses a further call of a user whose calls start too rarely, and says when enough of them have", () => {
    const { add } = createQueue();
    add("ada");
    add("ada");
    const third = add("ada");
    third.user.startGapMs = 4_000;
    assert.deepEqual(judgeEarly(third, prospect({ taken: 2 })), {
      kind: "too_long",
      waitMs: 12_000,
      roomMs: 4_000,
    });
  });

  it("lets a user have three tenths of the places that are free, beside the first", () => {
    const { add } = createQueue();
    for (let count = 0; count < 3; count++) add("ada");
    const fourth = add("ada");
    assert.deepEqual(judgeEarly(fourth, prospect({ places: 13, taken: 3 })), { kind: "fine" });
    assert.deepEqual(judgeEarly(fourth, prospect({ places: 12, taken: 3 })), {
      kind: "too_many",
      waiting: 3,
      limit: 2,
      roomMs: 0,
    });
  });

  it("says to a user who has too many when enough of its calls have started at its pace", () => {
    const { add } = createQueue();
    for (let count = 0; count < 5; count++) add("ada");
    const sixth = add("ada");
    sixth.user.startGapMs = 1_500;
    const answer = judgeEarly(sixth, prospect({ taken: 5 }));
    assert.deepEqual(answer, { kind: "too_many", waiting: 5, limit: 1, roomMs: 6_000 });
  });
});

describe("findUrgent()", () => {
  const secondEach = (ahead: number) => ahead * 1_000;
  const anybody = () => true;

  it("lets the one whose turn it is go while everybody is in time behind it", () => {
    const { queue, add } = createQueue();
    const [chosen] = [add("ada", 9_000), add("bob", 5_000)];
    assert.equal(findUrgent(queue.mostUrgent(32), chosen as QueuedWaiter, anybody, secondEach, 0), null);
  });

  it("finds the call that would be too late otherwise", () => {
    const { queue, add } = createQueue();
    const [chosen, urgent] = [add("ada", 9_000), add("bob", 5_000)];
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 3_999), null);
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 4_000), urgent);
  });

  it("lets the nearest to its deadline go also when a later one would be too late", () => {
    const { queue, add } = createQueue();
    const chosen = add("ada", 9_000);
    const [first, second] = [add("bob", 5_000), add("eve", 5_100)];
    assert.ok(second.deadlineAt > first.deadlineAt);
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 3_100), first);
  });

  it("leaves the turn to whose it is when that is itself the nearest to its deadline", () => {
    const { queue, add } = createQueue();
    const chosen = add("ada", 2_000);
    add("bob", 2_500);
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 1_900), null);
  });

  it("passes over who may not go, for its limits or its share", () => {
    const { queue, add } = createQueue();
    const chosen = add("ada", 9_000);
    const [barred, urgent] = [add("bob", 5_000), add("eve", 5_200)];
    const mayGo = (waiter: QueuedWaiter) => waiter !== barred;
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, mayGo, secondEach, 4_500), urgent);
    assert.equal(
      findUrgent(queue.mostUrgent(32), chosen, () => false, secondEach, 4_500),
      null,
    );
  });

  it("lets nobody pass the earlier calls of its own session", () => {
    const { queue, add } = createQueue();
    const chosen = add("ada", 9_000);
    const earlier = add("bob", 8_000);
    const later = add("bob", 5_000);
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 4_500), earlier);
    const elsewhere = add("bob", 4_900, "agent");
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 4_500), elsewhere);
    queue.remove(elsewhere);
    queue.remove(earlier);
    assert.equal(findUrgent(queue.mostUrgent(32), chosen, anybody, secondEach, 4_500), later);
  });
});

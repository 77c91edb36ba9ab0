import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { arrive, charge, serve } from "../../test/support/call-records.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import type { SchedulerSnapshot, WaitingCall } from "../admission/scheduler.ts";
import { Refusal } from "../base/refusal.ts";
import type { CallRecord } from "../ledger/record.ts";
import type { EventStream } from "./event-stream.ts";
import { type Json, openControlRoom } from "./fixtures/control-room.ts";
import { createLiveFeed, type LiveEventType, type LiveFilter, listenersMax } from "./live-feed.ts";

interface Received {
  readonly event: string;
  readonly data: Json;
}

/** A client's side of a stream, kept in memory. */
function openEars() {
  const texts: string[] = [];
  let isOpen = true;
  let tellEnd = () => {};
  const stream: EventStream = {
    send: (text) => void texts.push(text),
    end() {
      isOpen = false;
      tellEnd();
    },
    onEnd(callback) {
      tellEnd = callback;
    },
  };
  return {
    stream,
    texts,
    get isOpen() {
      return isOpen;
    },
    hangUp: () => stream.end(),
    events: (): Received[] =>
      texts
        .filter((text) => text.startsWith("event: "))
        .map((text) => {
          const [, event = "", data = ""] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? [];
          return { event, data: JSON.parse(data) as Json };
        }),
  };
}

const idleQueue: SchedulerSnapshot = {
  waiting: 0,
  running: 0,
  queueCapacity: 20,
  lanes: [],
  users: [],
  limits: {} as SchedulerSnapshot["limits"],
  runningCalls: [],
  waitingCalls: [],
  nextStartInMs: null,
};

function waiting(callId: string, userId: string, more: Partial<WaitingCall> = {}): WaitingCall {
  return {
    callId,
    userId,
    model: "glm-4.5-flash",
    class: "default",
    position: 1,
    etaMs: 500.4,
    etaP90Ms: 900,
    waitedMs: 12.3,
    blockedBy: "rate",
    tryCount: 0,
    ...more,
  };
}

function openFeed() {
  const clock = createManualClock();
  let queue = idleQueue;
  let looks = 0;
  const feed = createLiveFeed({
    clock,
    queue() {
      looks++;
      return queue;
    },
    currency: () => "CNY",
  });
  let isAllowed = true;
  function listen(types: readonly LiveEventType[] = ["call", "queue"], filter: Omit<LiveFilter, "types"> = {}) {
    const ears = openEars();
    const isStillAllowed = () => Promise.resolve(isAllowed);
    feed.listen({ filter: { types: new Set(types), ...filter }, open: () => ears.stream, isStillAllowed });
    return ears;
  }
  return {
    clock,
    feed,
    listen,
    looks: () => looks,
    show(...waitingCalls: WaitingCall[]) {
      queue = { ...idleQueue, waiting: waitingCalls.length, waitingCalls };
    },
    forbid() {
      isAllowed = false;
    },
  };
}

describe("the live feed", () => {
  const ended = (clock: ReturnType<typeof createManualClock>, more: Partial<CallRecord> = {}) =>
    serve(arrive(clock, more), clock, more);

  it("costs nothing while nobody listens: no timer, no look at the queue", async () => {
    const { clock, feed, listen, looks } = openFeed();
    feed.noteCall(ended(clock));
    assert.equal(clock.armedCount, 0);
    const ears = listen();
    assert.equal(clock.armedCount, 1);
    ears.hangUp();
    assert.equal(clock.armedCount, 0);
    assert.equal(feed.listenerCount, 0);
    assert.equal(looks(), 1);
  });

  it("tells of each call that has ended, to those who want such calls", () => {
    const { clock, feed, listen } = openFeed();
    const all = listen(["call"]);
    const adas = listen(["call"], { user: "ada" });
    const refused = listen(["call"], { state: "refused" });
    const airs = listen(["call"], { model: "glm-4.5-air" });
    const keys = listen(["call"], { keyId: "key-1" });
    const groups = listen(["call"], { group: "research" });
    const queueOnly = listen(["queue"]);
    feed.noteCall(ended(clock, { callId: "r1" }));
    feed.noteCall(ended(clock, { callId: "r2", userId: "bob", model: "glm-4.5-air", keyId: "key-1" }));
    const refusal = new Refusal("queue_full");
    feed.noteCall(ended(clock, { callId: "r3", userId: "bob", groupId: "research", outcome: "refused", refusal }));
    const heard = [all, adas, refused, airs, keys, groups].map((ears) =>
      ears.events().map(({ data }) => data.request_id),
    );
    assert.deepEqual(heard, [["r1", "r2", "r3"], ["r1"], ["r3"], ["r2"], ["r2"], ["r3"]]);
    assert.deepEqual(
      queueOnly.events().map(({ event }) => event),
      ["queue"],
    );
  });

  it("tells nothing of strangers, who are in no ledger either", () => {
    const { clock, feed, listen } = openFeed();
    const ears = listen(["call"]);
    feed.noteCall(ended(clock, { userId: null }));
    assert.deepEqual(ears.events(), []);
  });

  it("tells of a call in the very words of /admin/calls/{id}", async () => {
    const room = await openControlRoom();
    const { feed, listen } = openFeed();
    const ears = listen(["call"]);
    const record = ended(room.clock, {
      callId: "request-77",
      queuePosition: 3,
      charge: { ...charge, costMicros: 1_234_567 },
    });
    const { createToStatements } = await import("../ledger/statements.ts");
    const { toFinal } = await import("../ledger/change.ts");
    await room.store.writeBatch(createToStatements(room.store)([toFinal(record, "test", null)]));
    feed.noteCall(record);
    const { json } = await room.visit("GET", `/admin/calls/${record.id}`, { isLocalSocket: true });
    assert.deepEqual(ears.events()[0]?.data, json);
    assert.equal(json.cost, 1.234567);
    await room.close();
  });

  it("tells of the queue at first, and then when it has changed, at most once a second", async () => {
    const { clock, listen, show } = openFeed();
    const ears = listen(["queue"]);
    await clock.advance(3_000);
    assert.equal(ears.events().length, 1);
    show(waiting("c1", "ada"));
    show(waiting("c1", "ada"), waiting("c2", "bob", { position: 2 }));
    await clock.advance(999);
    assert.equal(ears.events().length, 1);
    await clock.advance(1);
    assert.deepEqual(
      ears.events().map(({ data }) => data.waiting_count),
      [0, 2],
    );
    show(waiting("c1", "ada", { waitedMs: 900 }), waiting("c2", "bob", { position: 2, waitedMs: 700 }));
    await clock.advance(2_000);
    assert.equal(ears.events().length, 2);
    show(waiting("c1", "ada", { blockedBy: "hold" }), waiting("c2", "bob", { position: 2 }));
    await clock.advance(1_000);
    assert.equal(ears.events().length, 3);
  });

  it("shows a filtered queue with the counts of all of it, and a newcomer takes no news from the others", async () => {
    const { clock, listen, show } = openFeed();
    const first = listen(["queue"], { user: "ada" });
    show(waiting("c1", "ada"), waiting("c2", "bob"));
    listen(["queue"]);
    await clock.advance(1_000);
    const { data } = first.events().at(-1) as Received;
    assert.equal(data.waiting_count, 2);
    assert.match(JSON.stringify(data.waiting), /^\[\{"request_id":"c1","user":"ada",[^{]*\]$/);
  });

  it("gives a sign of life every 15 s", async () => {
    const { clock, listen } = openFeed();
    const ears = listen(["call"]);
    await clock.advance(14_999);
    assert.deepEqual(ears.texts, []);
    await clock.advance(1);
    assert.deepEqual(ears.texts, [": heartbeat\n\n"]);
    await clock.advance(15_000);
    assert.equal(ears.texts.length, 2);
  });

  it("takes the hundredth listener and refuses the next, until one leaves", () => {
    const { feed, listen } = openFeed();
    const first = listen();
    for (let count = 1; count < listenersMax; count++) listen(["call"]);
    assert.equal(feed.listenerCount, 100);
    assert.throws(() => listen(), { reason: "conflict" });
    first.hangUp();
    listen();
    assert.equal(feed.listenerCount, 100);
  });

  it("ends for whoever may not listen any more, within a second", async () => {
    const { clock, feed, listen, forbid } = openFeed();
    const ears = listen();
    await clock.advance(1_000);
    assert.ok(ears.isOpen);
    forbid();
    await clock.advance(1_000);
    assert.ok(!ears.isOpen);
    assert.equal(feed.listenerCount, 0);
    assert.equal(clock.armedCount, 0);
  });

  it("ends for all when it is closed, and takes nobody any more", () => {
    const { clock, feed, listen } = openFeed();
    const ears = [listen(), listen(["call"])];
    feed.close();
    assert.deepEqual(
      ears.map(({ isOpen }) => isOpen),
      [false, false],
    );
    assert.throws(() => listen(), { reason: "shutting_down" });
    assert.equal(clock.armedCount, 0);
    feed.noteCall(ended(clock));
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fairnessContract } from "../../test/contracts/fairness.contract.ts";
import { type Arrival, arrive, limitsOf, schedulerContract } from "../../test/contracts/scheduler.contract.ts";
import { keyOf, poolOf, schedulerPoolContract, verdictOf } from "../../test/contracts/scheduler-pool.contract.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { createFamilyScheduler } from "./family-scheduler.ts";
import type { AdmissionLimits, Decision, FamilyLimits, Scheduler } from "./scheduler.ts";

const ada = { userId: "ada", role: "user", weight: 1, class: "default", flowId: "session" } as const;
const poll: FamilyLimits = { family: "poll", startsPerSecond: 10, concurrencyMax: null };
const images: FamilyLimits = { family: "images", startsPerSecond: null, concurrencyMax: 1 };

schedulerContract("families", (limits, clock) => createFamilyScheduler({ ...limits, families: [poll] }, clock));
schedulerPoolContract("families", (limits, clock) => createFamilyScheduler({ ...limits, families: [images] }, clock));
fairnessContract("families", (limits, clock) => createFamilyScheduler(limits, clock));
// All of it holds within a family, too.
schedulerContract("one family", (limits, clock) => {
  const scheduler = createFamilyScheduler(toChatFamily(limits), clock);
  return { ...scheduler, configure: (changed) => scheduler.configure(toChatFamily(changed)) };
});

/** The key's limits as those of all chats; a family has no limit of tokens. */
function toChatFamily(limits: AdmissionLimits): AdmissionLimits {
  const { startsPerSecond = null, concurrencyMax = null, tokensPerMinute = null } = limits.keys[0] ?? {};
  return tokensPerMinute === null
    ? { ...limits, families: [{ family: "chat", startsPerSecond, concurrencyMax }] }
    : limits;
}

function setUp(limits: AdmissionLimits, observer?: (decision: Decision) => void) {
  const clock = createManualClock();
  return { clock, scheduler: createFamilyScheduler(limits, clock, observer ? { observer } : {}) };
}

/** Lets a call of the family in and sends it. */
async function call(scheduler: Scheduler, clock: ManualClock, family: string): Promise<Arrival> {
  const arrival = arrive(scheduler, { wish: { family, model: family } });
  await clock.advance(0);
  arrival.ticket?.markSent();
  return arrival;
}

describe("families of calls", () => {
  const busy = { ...limitsOf({ startsPerSecond: 1, queueCapacity: 2 }), families: [poll, images] };

  it("with limits of their own wait for nobody else, and take nothing from others", async () => {
    const { clock, scheduler } = setUp(busy);
    const kinds = ["poll", "poll", "images", "chat", "chat", "audio"];
    const arrivals = [];
    for (const kind of kinds) arrivals.push(await call(scheduler, clock, kind));
    assert.deepEqual(
      arrivals.map(({ ticket }) => ticket !== null),
      [true, true, true, true, false, false],
    );
  });

  it("have a queue each, of the same capacity", async () => {
    const { clock, scheduler } = setUp(busy);
    const arrivals: Arrival[] = [];
    for (const family of ["images", "chat"]) {
      for (let count = 0; count < 4; count++) arrivals.push(await call(scheduler, clock, family));
    }
    assert.deepEqual(
      arrivals.map(({ ticket, refusal }) => (ticket ? "runs" : refusal)),
      ["runs", null, null, "queue_full", "runs", null, null, "queue_full"],
    );
    const { waiting, running, queueCapacity, users, lanes } = scheduler.gauges();
    assert.deepEqual([waiting, running, queueCapacity], [4, 2, 2]);
    assert.deepEqual(
      users.map((user) => [user.userId, user.waiting, user.running]),
      [["ada", 4, 2]],
    );
    assert.deepEqual(
      lanes.filter(({ model }) => model === null).map(({ family, concurrencyMax }) => [family, concurrencyMax]),
      [
        [undefined, null],
        ["images", 1],
      ],
    );
  });

  it("are named in the snapshot, whose next start is that of any", async () => {
    const { clock, scheduler } = setUp(busy);
    await call(scheduler, clock, "images");
    await call(scheduler, clock, "images");
    await call(scheduler, clock, "chat");
    await call(scheduler, clock, "chat");
    const { runningCalls, waitingCalls, nextStartInMs, limits } = scheduler.snapshot();
    assert.deepEqual(
      runningCalls.map(({ family, model }) => [family, model]),
      [
        [undefined, "chat"],
        ["images", "images"],
      ],
    );
    assert.deepEqual(
      waitingCalls.map(({ family, position, blockedBy }) => [family, position, blockedBy]),
      [
        [undefined, 1, "rate"],
        ["images", 1, "concurrency"],
      ],
    );
    assert.equal(nextStartInMs, 1_020);
    assert.equal(limits, busy);
  });

  it("have allowances of their own", async () => {
    const { clock, scheduler } = setUp(busy);
    await call(scheduler, clock, "poll");
    assert.deepEqual(
      [scheduler.allowances(ada, "poll"), scheduler.allowances(ada), scheduler.allowances(ada, "audio")].map((list) =>
        list.map(({ limit, remaining }) => [limit, remaining]),
      ),
      [[[10, 9]], [[1, 1]], [[1, 1]]],
    );
  });

  it("hold each user to its limits, in each of them", async () => {
    const user = { startsPerSecond: null, concurrencyMax: 1, tokensPerMinute: null };
    const { clock, scheduler } = setUp({ ...limitsOf({ startsPerSecond: 100, user }), families: [poll] });
    const arrivals = [];
    for (const family of ["chat", "poll", "poll", "chat"]) arrivals.push(await call(scheduler, clock, family));
    assert.deepEqual(
      arrivals.map(({ ticket }) => ticket !== null),
      [true, true, false, false],
    );
  });

  it("have limits of their own on each account", async () => {
    const keys = [keyOf("a"), keyOf("b"), keyOf("c", { account: "a" })];
    const { clock, scheduler } = setUp(poolOf(keys, { families: [images] }));
    const arrivals = [];
    for (let count = 0; count < 3; count++) arrivals.push(await call(scheduler, clock, "images"));
    assert.deepEqual(
      arrivals.map(({ ticket }) => ticket !== null),
      [true, true, false],
    );
  });
});

describe("a key that is refused in one family", () => {
  const limits = poolOf([keyOf("a", { concurrencyMax: 1 }), keyOf("b", { concurrencyMax: 1 })], { families: [poll] });
  const refused = verdictOf("account", "1001");

  it("is refused in all others, also in those that begin later", async () => {
    const decisions: Decision[] = [];
    const { clock, scheduler } = setUp(limits, (decision) => decisions.push(decision));
    const first = await call(scheduler, clock, "chat");
    first.ticket?.report(refused);
    const polls = [await call(scheduler, clock, "poll"), await call(scheduler, clock, "poll")];
    assert.deepEqual(
      polls.map(({ ticket }) => ticket?.upstreamKey),
      ["b", "b"],
    );
    polls[0]?.ticket?.report(refused);
    const chat = await call(scheduler, clock, "chat");
    assert.equal(chat.refusal, "upstream_account");
    assert.deepEqual(
      decisions.filter(({ what }) => what === "disabled").map(({ upstreamKey, family }) => [upstreamKey, family]),
      [
        ["a", undefined],
        ["b", "poll"],
      ],
    );
  });

  it("lets nobody wait in vain elsewhere, and lets them go on when it is back", async () => {
    const only = poolOf([keyOf("a", { concurrencyMax: 1 })], { families: [poll], queueTimeoutMs: 50_000 });
    const { clock, scheduler } = setUp(only);
    const running = await call(scheduler, clock, "chat");
    const waiting = await call(scheduler, clock, "chat");
    const asking = await call(scheduler, clock, "poll");
    asking.ticket?.report(refused);
    await clock.advance(0);
    assert.equal(waiting.refusal, "upstream_account", "it would have waited for a key that is shut for a minute");
    running.ticket?.release("ended");
    await clock.advance(60_000);
    const probe = await call(scheduler, clock, "poll");
    assert.ok(probe.ticket, "its minute is over");
    const next = await call(scheduler, clock, "chat");
    assert.equal(next.ticket, null, "one call at a time finds out, of all families");
    probe.ticket?.report(verdictOf("good"));
    await clock.advance(0);
    assert.ok(next.ticket);
  });

  it("is probed by a chat when the probing poll has ended without an answer", async () => {
    const only = poolOf([keyOf("a")], { families: [poll], queueTimeoutMs: 50_000 });
    const { clock, scheduler } = setUp(only);
    (await call(scheduler, clock, "poll")).ticket?.report(refused);
    await clock.advance(60_000);
    const probe = await call(scheduler, clock, "poll");
    const chat = await call(scheduler, clock, "chat");
    assert.equal(chat.ticket, null);
    probe.ticket?.release("aborted");
    await clock.advance(0);
    assert.ok(chat.ticket);
  });
});

describe("families and reloads", () => {
  const plain = limitsOf({ startsPerSecond: null, concurrencyMax: 1 });

  it("take new limits of a family at once, and those of a new family for who comes then", async () => {
    const { clock, scheduler } = setUp({ ...plain, families: [images] });
    await call(scheduler, clock, "images");
    const waiting = await call(scheduler, clock, "images");
    assert.equal(waiting.ticket, null);
    scheduler.configure({ ...plain, families: [{ ...images, concurrencyMax: 2 }, poll] });
    await clock.advance(0);
    assert.ok(waiting.ticket);
    await call(scheduler, clock, "chat");
    assert.ok((await call(scheduler, clock, "poll")).ticket);
  });

  it("serve those who wait in a family that has lost its limits, and let new calls go where the others do", async () => {
    const { clock, scheduler } = setUp({ ...plain, families: [images] });
    const running = await call(scheduler, clock, "images");
    const waiting = await call(scheduler, clock, "images");
    scheduler.configure(plain);
    assert.ok((await call(scheduler, clock, "images")).ticket, "the keys' own place is free");
    assert.equal(scheduler.gauges().waiting, 1);
    running.ticket?.release("ended");
    await clock.advance(0);
    assert.ok(waiting.ticket);
    waiting.ticket.release("ended");
    scheduler.configure(plain);
    assert.equal(
      scheduler.gauges().lanes.some(({ family }) => family === "images"),
      false,
      "it is forgotten",
    );
  });

  it("end in all families at once", async () => {
    const { clock, scheduler } = setUp({ ...plain, families: [images] });
    await call(scheduler, clock, "images");
    const waiting = [await call(scheduler, clock, "images")];
    scheduler.close();
    waiting.push(await call(scheduler, clock, "images"), await call(scheduler, clock, "poll"));
    assert.deepEqual(
      waiting.map(({ refusal }) => refusal),
      ["shutting_down", "shutting_down", "shutting_down"],
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fairnessContract } from "../../test/contracts/fairness.contract.ts";
import { limitsOf, schedulerContract } from "../../test/contracts/scheduler.contract.ts";
import { schedulerPoolContract } from "../../test/contracts/scheduler-pool.contract.ts";
import { createManualClock, type ManualClock } from "../../test/support/manual-clock.ts";
import { createMemoryScheduler } from "../admission/memory-scheduler.ts";
import type { AdmissionLimits, AdmissionWish, Scheduler, Standing } from "../admission/scheduler.ts";
import { type Charge, noCharge } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import type { Caller, Principal } from "../base/principal.ts";
import { Refusal } from "../base/refusal.ts";
import type { Content } from "../ledger/change.ts";
import { type CallRecord, openRecord } from "../ledger/record.ts";
import { HostedCall, type HostStages } from "./hosted-call.ts";
import type { CallAnswer, CallQuestion } from "./messages.ts";
import { bytesEveryMs, createRemoteCalls, type RemoteCalls } from "./remote-stages.ts";

/** The main thread and a worker, with nothing between them but the copies that a message makes. */
function connect(
  stages: Partial<HostStages> & Pick<HostStages, "clock" | "scheduler">,
  contentOf: (record: CallRecord) => Content | null = () => null,
  clock: Clock = stages.clock,
): { readonly remote: RemoteCalls; readonly hosted: Map<number, HostedCall>; readonly asked: CallQuestion[] } {
  const hosted = new Map<number, HostedCall>();
  const asked: CallQuestion[] = [];
  const remote = createRemoteCalls(
    (question) => {
      asked.push(question);
      const { call: number } = question;
      const call =
        hosted.get(number) ??
        new HostedCall({ ...defaults, ...stages }, (answer) =>
          remote.take(structuredClone({ call: number, ...answer }) as CallAnswer),
        );
      hosted.set(number, call);
      if (question.kind === "end") hosted.delete(number);
      call.take(structuredClone(question));
    },
    contentOf,
    clock,
  );
  return { remote, hosted, asked };
}

const ada: Caller = {
  ...{ userId: "ada", role: "user", weight: 1, class: "default", flowId: "session", groupId: null, keyId: "key" },
  ...{ models: null, scopes: [], keepsContent: false, cachesAnswers: false },
} as Caller;

const defaults: Omit<HostStages, "clock" | "scheduler"> = {
  // Whoever says who it is, is believed.
  identity: { identify: (credential) => Promise.resolve({ ...ada, ...JSON.parse(credential ?? "{}") }) },
  quotas: { reserve: () => ({ estimate: noCharge, warnings: [], settle() {} }) },
  ledger: { begin: () => Promise.resolve() },
  settle() {},
};

/** At once: the contracts look at what is there in the turn of an arrival. */
class Believed {
  readonly #caller: Caller;
  constructor(credential: string | null) {
    this.#caller = { ...ada, ...JSON.parse(credential ?? "{}") };
  }
  // biome-ignore lint/suspicious/noThenProperty: a promise that does not wait for the turn's end is what is wanted here
  then(take: (known: Caller) => void): void {
    take(this.#caller);
  }
}

/** A scheduler in the main thread, as a worker sees it. */
function createRemoteScheduler(limits: AdmissionLimits, clock: ManualClock): Scheduler {
  const scheduler = createMemoryScheduler(limits, clock);
  const identify = (credential: string | null) => new Believed(credential) as unknown as Promise<Caller>;
  // Bytes are told at once: the only timers are the scheduler's.
  const promptly = (callback: () => void) => {
    queueMicrotask(callback);
    return () => {};
  };
  const tellClock = { ...clock, after: (_ms: number, callback: () => void) => promptly(callback) };
  const { remote, hosted } = connect({ scheduler, clock, identity: { identify } }, () => null, tellClock);
  /** As the pool does in its own time. */
  function tellStandings(): void {
    for (const call of hosted.values()) call.tellStanding();
  }
  return {
    ...scheduler,
    admit(principal: Principal, { onQueued, ...wish }: AdmissionWish, signal: AbortSignal) {
      const call = remote.open();
      void call.identify(JSON.stringify(principal));
      const follow = (look: () => Standing) => {
        onQueued?.(() => {
          tellStandings();
          return look();
        });
      };
      return call.admit(principal, { ...wish, ...(onQueued && { onQueued: follow }) }, signal);
    },
  };
}

schedulerContract("remote", createRemoteScheduler);
schedulerPoolContract("remote", createRemoteScheduler);
fairnessContract("remote", createRemoteScheduler);

const never = new AbortController().signal;
const wish: AdmissionWish = {
  ...{ callId: "call", model: "glm-4.5-flash", patienceMs: null, inputBytes: 100, outputTokensMax: null },
  ...{ class: null, retryCount: 0, place: null },
};
const usage = { promptTokens: 3, completionTokens: 4, cachedTokens: 0, reasoningTokens: 0 };
const estimate: Charge = { ...noCharge, requests: 1, source: "estimated" };

/** A call that has come as far as its ticket. */
async function setUp(options: Partial<HostStages> & { readonly content?: Content } = {}) {
  const clock = createManualClock();
  const scheduler = createMemoryScheduler(limitsOf({ concurrencyMax: 1, startsPerSecond: 1_000 }), clock);
  const settled: [CallRecord, Content | null][] = [];
  const charged: Charge[] = [];
  const parts = {
    scheduler,
    clock,
    quotas: { reserve: () => ({ estimate, warnings: [], settle: (charge: Charge) => void charged.push(charge) }) },
    settle: (record: CallRecord, content: Content | null) => void settled.push([record, content]),
    ...options,
  };
  const { remote, hosted, asked } = connect(parts, () => options.content ?? null);
  const call = remote.open();
  const record = openRecord("call", "openai", clock);
  const caller = await call.identify("{}");
  const reservation = await call.reserve(caller, { model: "glm", inputBytes: 1, outputTokensMax: null });
  record.reservation = reservation;
  const noted = call.begin(record);
  const admit = () => call.admit(caller, wish, never);
  const told = (kind: CallQuestion["kind"]) => asked.filter((question) => question.kind === kind);
  return { clock, scheduler, settled, charged, remote, hosted, call, record, noted, admit, told, reservation };
}

describe("the stages of a call in a worker", () => {
  it("end with the record that they began with, once, and with what was said", async () => {
    const content: Content = { prompt: "hello", answer: "world", storedAt: 1 };
    const { settled, remote, hosted, call, record, noted, admit } = await setUp({ content });
    await noted;
    using ticket = await admit();
    ticket.release("ended");
    ticket.settle(usage);
    Object.assign(record, { outcome: "served", usage, bytesOut: 7, refusal: null });
    call.end(record);
    assert.equal(settled.length, 1);
    const [ended, said] = settled[0] ?? [];
    assert.deepEqual([ended?.id, ended?.outcome, ended?.bytesOut, ended?.usage], [record.id, "served", 7, usage]);
    assert.ok(ended?.reservation, "what is reserved is settled with it");
    assert.deepEqual(said, content);
    assert.deepEqual([remote.size, hosted.size], [0, 0], "nobody remembers it");
  });

  it("say no with the reason, its facts and its cause", async () => {
    const cause = Object.assign(new Error("no route"), { code: "EHOSTUNREACH" });
    const refusal = new Refusal(
      "insufficient_quota",
      { quota: "requests/day of the user ada", retryAfterMs: 5 },
      cause,
    );
    const quotas = {
      reserve() {
        throw refusal;
      },
    };
    const failed = await setUp({ quotas }).catch((error: unknown) => error as Refusal);
    assert.ok(failed instanceof Refusal);
    assert.deepEqual([failed.reason, failed.facts], [refusal.reason, refusal.facts]);
    assert.ok(failed.cause instanceof Error);
    assert.deepEqual(
      [failed.cause.message, (failed.cause as NodeJS.ErrnoException).code],
      ["no route", "EHOSTUNREACH"],
    );
  });

  it("hear that the ledger could not note the call, whether anybody waits for that or not", async () => {
    const ledger = { begin: () => Promise.reject(new Refusal("ledger_unavailable")) };
    const { noted } = await setUp({ ledger });
    await assert.rejects(noted, { reason: "ledger_unavailable" });
    await setUp({ ledger });
  });

  it("tell of bytes at most every 100 ms, and of the rest before the end", async () => {
    const { clock, admit, told } = await setUp();
    const ticket = await admit();
    ticket.markSent();
    for (let count = 0; count < 50; count++) ticket.noteBytes(10);
    assert.equal(told("bytes").length, 0);
    await clock.advance(bytesEveryMs);
    assert.deepEqual(told("bytes"), [{ call: 1, kind: "bytes", count: 500 }]);
    ticket.noteBytes(1);
    ticket.release("ended");
    assert.deepEqual(told("bytes").at(-1), { call: 1, kind: "bytes", count: 1 });
    ticket.noteBytes(5);
    await clock.advance(bytesEveryMs);
    assert.equal(told("bytes").length, 2, "nothing after the end");
    assert.equal(clock.armedCount, 0);
  });
});

describe("a call whose worker is no more", () => {
  const death = new Error("the worker has died");

  it("gives back its ticket, and its record says why it ended", async () => {
    const { clock, scheduler, settled, hosted, noted, admit, record } = await setUp();
    await noted;
    const ticket = await admit();
    ticket.markSent();
    ticket.noteBytes(10);
    await clock.advance(bytesEveryMs);
    assert.equal(scheduler.gauges().running, 1);
    for (const call of hosted.values()) call.abandon(death);
    for (const call of hosted.values()) call.abandon(death);
    await clock.advance(1_000);
    assert.equal(scheduler.gauges().running, 0);
    assert.equal(settled.length, 1);
    const [ended] = settled[0] ?? [];
    assert.deepEqual([ended?.id, ended?.outcome, ended?.refusal?.reason], [record.id, "cut", "internal_error"]);
    assert.equal(ended?.refusal?.cause, death);
    assert.equal(ended?.bytesOut, 10, "what is known of it is charged");
    assert.notEqual(ended?.sentAt, null);
  });

  it("leaves the queue, and is never started", async () => {
    const { clock, scheduler, hosted, settled, admit, remote } = await setUp();
    await admit();
    const other = remote.open();
    const caller = await other.identify("{}");
    await other.reserve(caller, { model: "glm", inputBytes: 1, outputTokensMax: null });
    void other.admit(caller, wish, never).catch(() => {});
    await clock.advance(0);
    assert.equal(scheduler.gauges().waiting, 1);
    hosted.get(2)?.abandon(death);
    assert.equal(scheduler.gauges().waiting, 0);
    assert.equal(settled.length, 0, "it was not even noted");
    hosted.get(1)?.abandon(death);
    await clock.advance(1_000);
    assert.equal(scheduler.gauges().running, 0);
  });

  it("gives back what was reserved for it", async () => {
    const { charged, remote, hosted } = await setUp();
    const other = remote.open();
    const caller = await other.identify("{}");
    await other.reserve(caller, { model: "glm", inputBytes: 1, outputTokensMax: null });
    hosted.get(2)?.abandon(death);
    assert.deepEqual(charged, [noCharge]);
  });
});

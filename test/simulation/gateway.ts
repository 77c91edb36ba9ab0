// The gateway around the core, as small as it can be: it hands calls to the core, sends what is granted, tells the core
// what comes back, and checks that each call is answered exactly once. When the process is stalled, all it hears of
// waits until it runs again.

import assert from "node:assert/strict";
import type { Grant, No, OfferedCall, SchedulerCore, Waiter } from "../../src/admission/core.ts";
import { createFairCore } from "../../src/admission/fair-core.ts";
import type { AdmissionLimits, Place } from "../../src/admission/scheduler.ts";
import type { Usage } from "../../src/base/answer.ts";
import type { Verdict } from "../../src/base/verdict.ts";
import type { Random } from "../../src/simulator/random.ts";
import { accountOf, chance, type Plan } from "./plan.ts";
import type { Timeline } from "./timeline.ts";
import type { Exchange, Upstream } from "./upstream.ts";

export type Outcome =
  | { readonly kind: "served" }
  | { readonly kind: "left" }
  | { readonly kind: "refused"; readonly no: No }
  /** The upstream refused it, or its connection broke. */
  | { readonly kind: "failed"; readonly verdict: Verdict | null };

export interface ClientCall {
  readonly offered: OfferedCall;
  readonly slotMeanMs: number;
  /** Called exactly once. */
  done(outcome: Outcome): void;
}

interface Handling {
  readonly call: ClientCall;
  waiter: Waiter | null;
  grant: Grant | null;
  exchange: Exchange | null;
  isDone: boolean;
  failedTries: number;
  /** By the upstream, and it was offered again since. */
  wasRefusedUpstream: boolean;
}

export interface Counts {
  offers: number;
  answers: number;
  grants: number;
  releases: number;
  sends: number;
  /** Of calls that never reached the upstream, and of those that it refused before. */
  readonly refusals: Map<string, number>;
  readonly lateRefusals: Map<string, number>;
  readonly verdicts: Map<string, number>;
  /** What clients heard of the upstream's refusals. */
  readonly failures: Map<string, number>;
}

/** A grant. */
export interface Start {
  readonly account: string;
  /** When it was granted, and whether its call had to wait for that. */
  readonly at: number;
  readonly hasWaited: boolean;
  /** One that is never sent counts for nothing. */
  isSent: boolean;
}

/** Tries of one call beyond the first after transient failures, with other keys included. */
const failedTriesMax = 3;
const connectMs = 80;
/** Timers fire a little late. */
const timerLagMs = 3;

export class SimulatedGateway {
  readonly core: SchedulerCore;
  readonly counts: Counts = {
    offers: 0,
    answers: 0,
    grants: 0,
    releases: 0,
    sends: 0,
    refusals: new Map(),
    lateRefusals: new Map(),
    verdicts: new Map(),
    failures: new Map(),
  };
  /** In the order of their grants. */
  readonly starts: Start[] = [];
  readonly #plan: Plan;
  readonly #timeline: Timeline;
  readonly #upstream: Upstream;
  readonly #random: Random;
  readonly #waiting = new Map<Waiter, Handling>();
  #stalledUntil = 0;
  #alarmAt = Number.POSITIVE_INFINITY;
  #cancelAlarm: () => void = () => {};

  constructor(plan: Plan, timeline: Timeline, upstream: Upstream, random: Random) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#upstream = upstream;
    this.#random = random;
    this.core = createFairCore({ limits: plan.limits, random: () => random.next() });
    for (const fault of plan.faults) {
      if (fault.kind === "stall") timeline.at(fault.from, () => this.stall(fault.until));
    }
    for (const { at, limits } of plan.reloads) timeline.at(at, () => this.#live(() => this.configure(limits)));
  }

  get #now(): number {
    return this.#timeline.now();
  }

  stall(until: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, until);
  }

  configure(limits: AdmissionLimits): void {
    this.core.configure(limits, this.#now);
    this.#turn();
  }

  /** Does it as soon as the process runs. */
  #live(what: () => void): void {
    if (this.#now < this.#stalledUntil) this.#timeline.at(this.#stalledUntil, () => this.#live(what));
    else what();
  }

  /** The returned function tells that the client has left. */
  call(call: ClientCall): () => void {
    const handling: Handling = {
      call,
      waiter: null,
      grant: null,
      exchange: null,
      isDone: false,
      failedTries: 0,
      wasRefusedUpstream: false,
    };
    this.#live(() => this.#offer(handling, null));
    return () => this.#live(() => this.#leave(handling));
  }

  #offer(handling: Handling, place: Place | null): void {
    if (handling.isDone) return;
    this.counts.offers++;
    const offer = this.core.offer({ ...handling.call.offered, place }, this.#now);
    if (offer.kind === "granted") this.#start(handling, offer.grant);
    else if (offer.kind === "refused") this.#refuse(handling, offer.no);
    else {
      handling.waiter = offer.waiter;
      this.#waiting.set(offer.waiter, handling);
    }
    this.#turn();
  }

  #turn(): void {
    const { granted, refused, wakeAt } = this.core.tick(this.#now);
    for (const { waiter, grant } of granted) this.#start(this.#take(waiter), grant);
    for (const { waiter, no } of refused) this.#refuse(this.#take(waiter), no);
    assert.ok(wakeAt > this.#now, "a tick leaves nothing to do at once");
    if (wakeAt === this.#alarmAt) return;
    this.#cancelAlarm();
    this.#alarmAt = wakeAt;
    if (wakeAt === Number.POSITIVE_INFINITY) return;
    this.#cancelAlarm = this.#timeline.at(wakeAt + this.#random.next() * timerLagMs, () => {
      this.#alarmAt = Number.POSITIVE_INFINITY;
      this.#live(() => this.#turn());
    });
  }

  #take(waiter: Waiter): Handling {
    const handling = this.#waiting.get(waiter);
    assert.ok(handling, "an answer goes to one who waits, once");
    this.#waiting.delete(waiter);
    handling.waiter = null;
    return handling;
  }

  #done(handling: Handling, outcome: Outcome): void {
    assert.ok(!handling.isDone, "a call is answered once");
    handling.isDone = true;
    this.counts.answers++;
    handling.call.done(outcome);
  }

  #refuse(handling: Handling, no: No): void {
    count(handling.wasRefusedUpstream ? this.counts.lateRefusals : this.counts.refusals, no.reason);
    this.#done(handling, { kind: "refused", no });
  }

  #start(handling: Handling, grant: Grant): void {
    this.counts.grants++;
    handling.grant = grant;
    const { grantedAt, upstreamKey, place } = grant;
    const hasWaited = handling.wasRefusedUpstream || place.arrivedAt < grantedAt;
    const start = { account: accountOf(this.#plan, upstreamKey), at: grantedAt, hasWaited, isSent: false };
    this.starts.push(start);
    const isCold = chance(this.#random, this.#plan.network.coldShare);
    // Its bytes leave in a later turn at any rate.
    this.#timeline.after(isCold ? connectMs * this.#random.next() : 0, () =>
      this.#live(() => this.#send(handling, grant, start)),
    );
  }

  #send(handling: Handling, grant: Grant, start: Start): void {
    // Its client has left while it connected.
    if (handling.grant !== grant) return;
    const { core } = this;
    this.counts.sends++;
    start.isSent = true;
    core.sent(grant, this.#now);
    const isOver = () => handling.grant !== grant;
    const { slotMeanMs, offered } = handling.call;
    const request = { model: offered.model, outputTokensMax: offered.outputTokensMax ?? 1, slotMeanMs };
    handling.exchange = this.#upstream.send(grant.upstreamKey, request, {
      refused: (verdict) => this.#live(() => isOver() || this.#upstreamRefused(handling, grant, verdict)),
      frame: (bytes) =>
        this.#live(() => {
          if (isOver()) return;
          core.progress(grant, bytes, this.#now);
          this.#turn();
        }),
      ended: (usage, heard) =>
        this.#live(() => {
          if (isOver()) return;
          heard();
          count(this.counts.verdicts, "good");
          core.report(grant, { kind: "good", code: null, waitMs: null }, this.#now);
          this.#release(handling, grant, "ended", usage);
          this.#done(handling, { kind: "served" });
          this.#turn();
        }),
      broke: () =>
        this.#live(() => {
          if (isOver()) return;
          this.#release(handling, grant, "ended");
          this.#done(handling, { kind: "failed", verdict: null });
          this.#turn();
        }),
    });
    this.#turn();
  }

  #release(handling: Handling, grant: Grant, how: "ended" | "aborted", usage: Usage | null = null): void {
    this.counts.releases++;
    handling.grant = null;
    handling.exchange = null;
    const settle = () => this.core.settle(grant, usage, this.#now);
    const settlesFirst = chance(this.#random, 0.5);
    if (settlesFirst) settle();
    this.core.release(grant, how, this.#now);
    if (!settlesFirst) settle();
    // Whatever comes twice changes nothing.
    this.core.release(grant, "aborted", this.#now);
    settle();
  }

  #upstreamRefused(handling: Handling, grant: Grant, verdict: Verdict): void {
    count(this.counts.verdicts, verdict.kind);
    // What is said of a call counts the same when its place is free already.
    if (chance(this.#random, 0.5)) this.core.release(grant, "ended", this.#now);
    const isWorthAnotherTry = this.core.report(grant, verdict, this.#now);
    assert.equal(this.core.report(grant, verdict, this.#now), isWorthAnotherTry, "what is said twice counts once");
    this.#release(handling, grant, "ended");
    handling.wasRefusedUpstream = true;
    if (isWorthAnotherTry && verdict.kind === "failed") {
      handling.failedTries++;
      assert.ok(handling.failedTries <= failedTriesMax, "a call that fails is not tried without end");
    }
    if (isWorthAnotherTry) this.#offer(handling, grant.place);
    else {
      count(this.counts.failures, verdict.mayHaveRun ? "may have run" : verdict.kind);
      this.#done(handling, { kind: "failed", verdict });
      this.#turn();
    }
  }

  #leave(handling: Handling): void {
    if (handling.isDone) return;
    const { waiter, grant } = handling;
    if (waiter && !this.core.cancel(waiter, this.#now)) {
      // It was answered by now, and hears it with this turn.
      this.#turn();
      assert.equal(handling.waiter, null, "who can't leave was answered");
      this.#leave(handling);
      return;
    }
    if (waiter) this.#take(waiter);
    else if (grant) {
      handling.exchange?.abort();
      this.#release(handling, grant, "aborted");
    }
    this.#done(handling, { kind: "left" });
    this.#turn();
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

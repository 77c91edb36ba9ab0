// Drives a scheduler core by hand, in virtual time, and keeps its own books of all that it answered: what the tests
// hold against the core is never what the core says of itself. Time is a number that only the test moves.

import assert from "node:assert/strict";
import type { CoreOptions, Grant, No, OfferedCall, SchedulerCore, Waiter } from "../../src/admission/core.ts";
import { createFairCore } from "../../src/admission/fair-core.ts";
import type { AdmissionLimits } from "../../src/admission/scheduler.ts";
import type { Usage } from "../../src/base/answer.ts";
import type { Verdict } from "../../src/base/verdict.ts";

export interface DrivenCall {
  /** As it was offered last: a call that is offered again has a place then. */
  offered: OfferedCall;
  readonly arrivedAt: number;
  /** Later by the time for which another key had it, once that has failed it. */
  deadlineAt: number;
  state: "offered" | "waiting" | "granted" | "sent" | "ended" | "cancelled" | "refused";
  waiter: Waiter | null;
  grant: Grant | null;
  no: No | null;
  /** Counts grants in their order, over all calls. */
  grantOrdinal: number;
  sentAt: number;
  endedAt: number;
  endedHow: "ended" | "aborted";
  usedTokens: number;
  tryCount: number;
}

/** A send, with what was in force when it was granted. */
export interface SendRecord {
  readonly call: OfferedCall;
  readonly upstreamKey: string;
  readonly at: number;
  readonly grantOrdinal: number;
  readonly limitsAtGrant: AdmissionLimits;
}

/** A grant; one that is never sent counts for nothing then. */
export interface GrantRecord {
  readonly call: OfferedCall;
  readonly upstreamKey: string;
  readonly at: number;
  readonly hasWaited: boolean;
  wasTaken: boolean;
}

/** Tokens that a call has used, as far as the core was told. */
export interface TokenRecord {
  readonly call: OfferedCall;
  readonly upstreamKey: string;
  readonly at: number;
  readonly tokens: number;
}

/** An aborted call that the upstream may still count. */
export interface Lingering {
  readonly call: OfferedCall;
  readonly upstreamKey: string;
  readonly until: number;
}

export type Wish = Partial<OfferedCall>;

/** Sends that are older than this are dropped from the books: no window in these tests is longer. */
const sendsKeptMs = 60_000;
/** The same for tokens: a minute, its guard, and what the core rounds up to. */
const tokensKeptMs = 61_000;

/** More than any schedule here takes. */
const roundsMax = 5_000;

export class CoreDriver {
  readonly core: SchedulerCore;
  limits: AdmissionLimits;
  now = 0;
  wakeAt = Number.POSITIVE_INFINITY;
  readonly calls: DrivenCall[] = [];
  /** In the order of their grants. */
  readonly granted: DrivenCall[] = [];
  sends: SendRecord[] = [];
  grants: GrantRecord[] = [];
  lingering: Lingering[] = [];
  /** Of calls that say what they take at most, and whose input is empty: what they hold is exactly that. */
  tokens: TokenRecord[] = [];
  configuredAt = Number.NEGATIVE_INFINITY;
  /** Grants before the last `configure`. */
  grantCountAtConfigure = 0;
  /** Limits that were ever in force, the newest last. */
  readonly history: { limits: AdmissionLimits; grantCount: number; at: number }[];
  readonly #limitsAtGrant: AdmissionLimits[] = [];
  readonly #byWaiter = new Map<Waiter, DrivenCall>();
  readonly #answered = new Set<Waiter>();
  /** Told what was done, before the core draws its consequences. */
  beforeStep: () => void = () => {};
  /** Looks at everything after each step. */
  onStep: (driver: CoreDriver, sent: SendRecord | null) => void = () => {};
  onGrant: (driver: CoreDriver, call: DrivenCall) => void = () => {};
  /** What a call that ends well says of its tokens. */
  usageOf: (call: DrivenCall) => Usage | null = () => null;

  constructor(limits: AdmissionLimits, options: Partial<CoreOptions> = {}) {
    this.limits = limits;
    this.history = [{ limits, grantCount: 0, at: Number.NEGATIVE_INFINITY }];
    this.core = createFairCore({ limits, random: () => 0.5, ...options });
  }

  in(...states: readonly DrivenCall["state"][]): DrivenCall[] {
    return this.calls.filter(({ state }) => states.includes(state));
  }

  get waiting(): DrivenCall[] {
    return this.in("waiting");
  }

  get running(): DrivenCall[] {
    return this.in("granted", "sent");
  }

  offer(wish: Wish = {}): DrivenCall {
    const offered: OfferedCall = {
      callId: `call-${this.calls.length + 1}`,
      userId: "ada",
      weight: 1,
      class: "default",
      flowId: "main",
      model: "glm-4.5-flash",
      patienceMs: null,
      inputBytes: 100,
      outputTokensMax: null,
      retryCount: 0,
      place: null,
      ...wish,
    };
    const call: DrivenCall = {
      offered,
      arrivedAt: this.now,
      deadlineAt: this.now + Math.min(this.limits.queueTimeoutMs, offered.patienceMs ?? Number.POSITIVE_INFINITY),
      state: "offered",
      waiter: null,
      grant: null,
      no: null,
      grantOrdinal: -1,
      sentAt: Number.NaN,
      endedAt: Number.NaN,
      endedHow: "ended",
      usedTokens: 0,
      tryCount: 0,
    };
    this.calls.push(call);
    this.#hand(call);
    return call;
  }

  #hand(call: DrivenCall): void {
    const offer = this.core.offer(call.offered, this.now);
    if (offer.kind === "granted") this.#grant(call, offer.grant);
    else if (offer.kind === "refused") this.#refuse(call, offer.no);
    else {
      assert.ok(!this.#byWaiter.has(offer.waiter), "each offer has a waiter of its own");
      call.state = "waiting";
      call.waiter = offer.waiter;
      this.#byWaiter.set(offer.waiter, call);
    }
    this.#step(null);
  }

  #grant(call: DrivenCall, grant: Grant): void {
    assert.ok(
      call.state === "offered" || call.state === "waiting",
      `${call.offered.callId} was granted while ${call.state}`,
    );
    assert.equal(grant.call.callId, call.offered.callId);
    call.state = "granted";
    call.grant = grant;
    call.grantOrdinal = this.granted.length;
    call.tryCount++;
    this.granted.push(call);
    const hasWaited = call.offered.place !== null || call.arrivedAt < this.now;
    const { upstreamKey } = grant;
    this.grants = this.grants.filter(({ at }) => at > this.now - sendsKeptMs);
    this.grants.push({ call: call.offered, upstreamKey, at: this.now, hasWaited, wasTaken: true });
    this.#limitsAtGrant.push(this.limits);
    this.onGrant(this, call);
  }

  #refuse(call: DrivenCall, no: No): void {
    assert.ok(
      call.state === "offered" || call.state === "waiting",
      `${call.offered.callId} was refused while ${call.state}`,
    );
    call.state = "refused";
    call.no = no;
  }

  #answer(waiter: Waiter): DrivenCall {
    const call = this.#byWaiter.get(waiter);
    assert.ok(call, "answers go to those who wait");
    assert.ok(!this.#answered.has(waiter), `${call.offered.callId} was answered twice`);
    this.#answered.add(waiter);
    return call;
  }

  #step(sent: SendRecord | null): void {
    this.beforeStep();
    const { granted, refused, wakeAt } = this.core.tick(this.now);
    for (const { waiter, grant } of granted) this.#grant(this.#answer(waiter), grant);
    for (const { waiter, no } of refused) this.#refuse(this.#answer(waiter), no);
    this.wakeAt = wakeAt;
    this.lingering = this.lingering.filter(({ until }) => until > this.now);
    this.onStep(this, sent);
  }

  send(call: DrivenCall): void {
    const { grant } = call;
    assert.ok(grant && call.state === "granted");
    call.state = "sent";
    call.sentAt = this.now;
    const record: SendRecord = {
      call: call.offered,
      upstreamKey: grant.upstreamKey,
      at: this.now,
      grantOrdinal: call.grantOrdinal,
      limitsAtGrant: this.#limitsAtGrant[call.grantOrdinal] as AdmissionLimits,
    };
    this.sends = this.sends.filter(({ at }) => at > this.now - sendsKeptMs);
    this.sends.push(record);
    this.core.sent(grant, this.now);
    this.#step(record);
  }

  progress(call: DrivenCall, bytes = 1_000): void {
    assert.ok(call.grant);
    this.core.progress(call.grant, bytes, this.now);
    this.#step(null);
  }

  end(call: DrivenCall, how: "ended" | "aborted" = "ended", usage: Usage | null = null): void {
    const { grant } = call;
    assert.ok(grant);
    const wasSent = call.state === "sent";
    call.state = "ended";
    call.endedAt = this.now;
    call.endedHow = how;
    if (!wasSent) for (const record of this.grants) if (record.call === call.offered) record.wasTaken = false;
    if (how === "aborted" && wasSent && this.limits.abortLingerMs > 0) {
      const until = this.now + this.limits.abortLingerMs;
      this.lingering.push({ call: call.offered, upstreamKey: grant.upstreamKey, until });
    }
    if (usage) {
      call.usedTokens = usage.promptTokens + usage.completionTokens;
      this.tokens = this.tokens.filter(({ at }) => at > this.now - tokensKeptMs);
      const { upstreamKey } = grant;
      this.tokens.push({ call: call.offered, upstreamKey, at: this.now, tokens: call.usedTokens });
    }
    this.core.release(grant, how, this.now);
    this.core.settle(grant, usage, this.now);
    this.#step(null);
  }

  /** The upstream's refusal of a call that was sent; offers it again when that is worth it. True: it was. */
  refuseUpstream(call: DrivenCall, verdict: Verdict): boolean {
    const { grant } = call;
    assert.ok(grant && call.state === "sent");
    const isWorthAnotherTry = this.core.report(grant, verdict, this.now);
    this.end(call);
    if (!isWorthAnotherTry) return false;
    const { place } = grant;
    const latest = Math.max(call.deadlineAt, call.deadlineAt + (this.now - grant.grantedAt));
    assert.ok(place.deadlineAt <= latest, "a new try has no more time than it has lost");
    assert.ok(place.deadlineAt <= call.arrivedAt + (call.offered.patienceMs ?? Number.POSITIVE_INFINITY));
    call.deadlineAt = place.deadlineAt;
    call.state = "offered";
    call.offered = { ...call.offered, place };
    call.grant = null;
    this.#hand(call);
    return true;
  }

  /** A call that went well. */
  finish(call: DrivenCall): void {
    assert.ok(call.grant && call.state === "sent");
    this.core.report(call.grant, good, this.now);
    this.end(call, "ended", this.usageOf(call));
  }

  /** False: it had been answered by the time its client left, and the answer comes with this step. */
  cancel(call: DrivenCall): boolean {
    assert.ok(call.waiter && call.state === "waiting");
    const hasLeft = this.core.cancel(call.waiter, this.now);
    if (hasLeft) {
      this.#answer(call.waiter);
      call.state = "cancelled";
    }
    assert.equal(this.core.cancel(call.waiter, this.now), false, "who left can't leave again");
    this.#step(null);
    assert.notEqual(call.state, "waiting", "who could not leave was answered");
    return hasLeft;
  }

  configure(limits: AdmissionLimits): void {
    this.limits = limits;
    this.configuredAt = this.now;
    this.grantCountAtConfigure = this.granted.length;
    this.history.push({ limits, grantCount: this.granted.length, at: this.now });
    this.core.configure(limits, this.now);
    this.#step(null);
  }

  /** Time passes, and the core is called when it wants to be. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (let wakes = 0; this.wakeAt <= until; wakes++) {
      assert.ok(wakes < roundsMax, "the core wants to be called without end");
      this.now = Math.max(this.now, this.wakeAt);
      this.#step(null);
    }
    this.now = until;
  }

  /** Time passes, and whatever happens next comes before a timer that is due. */
  delay(ms: number): void {
    this.now += ms;
  }

  /** Time passes without anything being done, as in a stopped process; then the core is called. */
  stall(ms: number): void {
    this.now += ms;
    this.#step(null);
  }

  /** Serves until nobody waits or runs any more: each call is sent at once and takes `slotMs`. */
  serve(slotMs: number, untilMs = Number.POSITIVE_INFINITY): void {
    const until = this.now + untilMs;
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < roundsMax, "those who wait never come to an end");
      for (const call of this.in("granted")) this.send(call);
      const endings = this.in("sent").map((call) => call.sentAt + slotMs);
      const next = Math.min(this.wakeAt, ...endings);
      if (next > until || next === Number.POSITIVE_INFINITY) break;
      this.advance(Math.max(0, next - this.now));
      for (const call of this.in("sent")) if (call.sentAt + slotMs <= this.now) this.finish(call);
    }
    if (until < Number.POSITIVE_INFINITY) this.now = until;
  }
}

/** Of a call that has used so many tokens for its answer. */
export function usageOf(completionTokens: number): Usage {
  return { promptTokens: 0, completionTokens, cachedTokens: 0, reasoningTokens: 0 };
}

export const good: Verdict = { kind: "good", code: null, waitMs: null };

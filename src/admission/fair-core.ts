// The fair scheduler: who starts a call next, and who does not. Brings together the shares (who has had how much), the
// lanes (who waits for what), the pool of keys (what the upstream bears) and the costs (what a call takes).
//
//   every operation ──▶ expired ones out ──▶ dispatch: while a lane is open, the next in fair order ──▶ tick hands out

import type { Usage } from "../base/answer.ts";
import { trafficClasses } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import { Alarms } from "./alarms.ts";
import { Backlogs } from "./backlogs.ts";
import type {
  CoreOptions,
  DecisionObserver,
  Grant,
  No,
  Offer,
  OfferedCall,
  SchedulerCore,
  Turn,
  Waiter,
} from "./core.ts";
import { Costs } from "./costs.ts";
import { findUrgent, judgeEarly, replaceableMs, urgencyCosts, urgentMax } from "./early-refusal.ts";
import { adviseRetryMs, Estimator } from "./estimate.ts";
import { Expiry } from "./expiry.ts";
import { Hold } from "./gates.ts";
import { type Choice, KeyPool } from "./key-pool.ts";
import type { Next } from "./lane-queue.ts";
import { countAhead, foreseeOrder, Lanes } from "./lanes.ts";
import { type LimitedUser, LimitedUsers } from "./limited-users.ts";
import { describeUsers, listAllowances } from "./report.ts";
import type { AdmissionLimits, Decision, Place, SchedulerGauges, SchedulerSnapshot, Standing } from "./scheduler.ts";
import { Share } from "./share.ts";
import { UpstreamFeedback } from "./upstream-feedback.ts";
import { QueuedWaiter, RunningGrant } from "./waiter.ts";

/** Shares of the classes: interactive, default, batch. */
const classWeights = { interactive: 16, default: 4, batch: 1 };
/** What a client hears that has no time for another try. */
const reasonsByKind = {
  over_limit: "upstream_rate_limited",
  too_fast: "upstream_rate_limited",
  overloaded: "upstream_busy",
  quota: "upstream_quota",
  account: "upstream_account",
  model_barred: "upstream_account",
  restricted: "upstream_account",
  failed: "upstream_failed",
} as const satisfies Record<Exclude<Verdict["kind"], "good">, RefusalReason>;
/** More than there are ever calls. */
const retrySeniority = 2 ** 40;
/** A streaming call's cost is looked at so often. */
const pricingIntervalMs = 250;
/** Idle shares that still owe something are looked through so often, and forgotten after a while. */
const sweepIntervalMs = 60_000;
const sweepsUntilForgiven = 10;

export function createFairCore(options: CoreOptions): SchedulerCore {
  return new FairCore(options);
}

class FairCore implements SchedulerCore {
  #limits: AdmissionLimits;
  readonly #options: CoreOptions;
  readonly #pool: KeyPool;
  readonly #costs: Costs;
  readonly #root = new Share("", 1, null);
  readonly #lanes: Lanes;
  readonly #backlogs = new Backlogs();
  readonly #users: LimitedUsers;
  readonly #running = new Set<RunningGrant>();
  readonly #expiry = new Expiry<QueuedWaiter>();
  readonly #alarms = new Alarms();
  readonly #estimator: Estimator;
  readonly #feedback: UpstreamFeedback;
  #granted: { waiter: QueuedWaiter; grant: RunningGrant }[] = [];
  #refused: { waiter: QueuedWaiter; no: No }[] = [];
  #sequence = 0;
  #now = 0;
  #opensAt = Number.POSITIVE_INFINITY;
  #sweptAt = 0;
  #sweepCount = 0;

  constructor(options: CoreOptions) {
    const { limits } = options;
    this.#options = options;
    this.#limits = limits;
    this.#pool = new KeyPool(limits);
    this.#costs = new Costs(this.#pool);
    this.#pool.slotMsOf = (model) => this.#costs.slotMedianMsOf(model);
    this.#lanes = new Lanes(this.#pool, this.#root);
    this.#users = new LimitedUsers(limits.user);
    this.#estimator = new Estimator(this.#pool, this.#costs, this.#running);
    this.#feedback = new UpstreamFeedback(this.#pool, options.random, options.observer ?? (() => {}));
  }

  // --- a call comes, and goes

  offer(call: OfferedCall, at: number): Offer {
    const now = this.#advance(at);
    const place = call.place ?? this.#newPlace(call, now);
    const no = this.#refuseAtOnce(call, place, now);
    if (no) return this.#refuseOffer(call, no);
    const session = this.#shareOf(call);
    session.enter();
    const waiter = new QueuedWaiter(call, session, place, this.#costs.reserve(call));
    this.#relax(call.model, now);
    if (this.#lanes.size === 0) {
      const choice = this.#chooseFor(waiter, now);
      if (choice) return { kind: "granted", grant: this.#grant(waiter, choice, now) };
    }
    return this.#enqueue(waiter, now);
  }

  /** Refused before it is looked at any closer; null: it may queue. */
  #refuseAtOnce(call: OfferedCall, place: Place, now: number): No | null {
    if (place.deadlineAt <= now && call.place) return this.#timedOut(call, place, now);
    const block = this.#pool.blockBeyond(call.model, Math.max(place.deadlineAt, now));
    if (block?.refusal) {
      const facts = { retryAfterMs: Math.ceil(Math.max(1_000, block.blockedUntil - now)) };
      return {
        reason: block.refusal,
        facts: block.because === null ? facts : { ...facts, upstreamCode: block.because },
      };
    }
    return null;
  }

  #enqueue(waiter: QueuedWaiter, now: number): Offer {
    const { call } = waiter;
    this.#join(waiter, now);
    const standing = this.standing(waiter, now);
    waiter.positionAtArrival = standing.position;
    waiter.etaMsAtArrival = standing.etaMs;
    this.#dispatch(now);
    if (!waiter.isWaiting) return this.#pick(waiter);
    const no = this.#makeRoom(waiter, standing, now);
    if (no) return this.#refuseOffer(call, no);
    const what = call.place ? "requeued" : "queued";
    if (this.#tracer)
      this.#trace({ what, ...this.#factsOf(waiter), ...standing, isAlert: false, why: this.#whyWaiting(waiter, now) });
    return { kind: "waiting", waiter, standing };
  }

  /** What its own turn has brought the newcomer is the answer to its offer, not news for the next tick. */
  #pick(waiter: QueuedWaiter): Offer {
    const isOfIt = (entry: { waiter: QueuedWaiter }) => entry.waiter === waiter;
    const [granted] = this.#granted.splice(this.#granted.findIndex(isOfIt) >>> 0, 1);
    if (granted) return { kind: "granted", grant: granted.grant };
    const [refused] = this.#refused.splice(this.#refused.findIndex(isOfIt) >>> 0, 1);
    return { kind: "refused", no: refused?.no ?? { reason: "internal_error", facts: {} } };
  }

  /** When more wait than may: the longest backlog loses its newest, or the newcomer is refused. */
  #makeRoom(waiter: QueuedWaiter, standing: Standing, now: number): No | null {
    const { queueCapacity, userQueueCapacity, refusesEarly } = this.#limits;
    const { model, userId } = waiter.call;
    if (userQueueCapacity !== null && !waiter.call.place && this.#countWaiting(userId) > userQueueCapacity) {
      this.#leave(waiter);
      const retryAfterMs = this.#adviseRetry(model, standing.position - 1, false, now);
      return {
        reason: "user_queue_full",
        facts: { waiting: userQueueCapacity, limit: userQueueCapacity, retryAfterMs, ...toFacts(standing) },
      };
    }
    if (this.#lanes.size > queueCapacity && !(waiter.call.place && queueCapacity > 0)) {
      const victim = this.#backlogs.findVictim(waiter) ?? waiter;
      this.#leave(victim);
      const retryAfterMs = this.#adviseRetry(model, this.#lanes.size, false, now);
      const facts = { waiting: queueCapacity, limit: queueCapacity, retryAfterMs, ...toFacts(standing) };
      if (victim === waiter) return { reason: "queue_full", facts };
      this.#refuseWaiter(
        victim,
        { reason: "queue_full", facts: { waiting: queueCapacity, limit: queueCapacity, retryAfterMs } },
        "evicted",
      );
    }
    return refusesEarly && !waiter.call.place ? this.#refuseEarly(waiter, standing, now) : null;
  }

  #refuseEarly(waiter: QueuedWaiter, standing: Standing, now: number): No | null {
    const mayWaitMs = waiter.deadlineAt - waiter.arrivedAt;
    const taken = this.#lanes.size - 1;
    const answer = judgeEarly(waiter, {
      fairMs: standing.etaMs,
      places: mayWaitMs / this.#meanCostMs,
      taken,
      waitMs: (ahead) => this.#estimator.waitMs(waiter.call.model, waiter.tokens, ahead, now),
    });
    if (answer.kind === "fine") return null;
    if (answer.kind === "too_long" && this.#takePlace(waiter, now)) return null;
    this.#leave(waiter);
    const waitMs = answer.kind === "too_long" ? answer.waitMs : standing.etaMs;
    const advice = { waitMs, mayWaitMs, placeMs: answer.roomMs, hasWaited: false };
    const facts = { ...toFacts(standing), retryAfterMs: adviseRetryMs(advice, this.#options.random()) };
    if (answer.kind === "too_long")
      return { reason: "wait_too_long", facts: { ...facts, elapsedMs: waitMs, limit: mayWaitMs } };
    return { reason: "user_queue_full", facts: { ...facts, waiting: answer.waiting, limit: answer.limit } };
  }

  /** A newcomer of whom nothing waits takes the place of the newest of the longest backlog, if that came just now. */
  #takePlace(waiter: QueuedWaiter, now: number): boolean {
    if ((waiter.session.parent as Share).waitingCount > 1) return false;
    const victim = this.#backlogs.findVictim(waiter);
    if (!victim || now - victim.arrivedAt > replaceableMs) return false;
    this.#leave(victim);
    const retryAfterMs = this.#adviseRetry(victim.call.model, this.#lanes.size, false, now);
    const limit = this.#lanes.size;
    this.#refuseWaiter(victim, { reason: "queue_full", facts: { waiting: limit, limit, retryAfterMs } }, "evicted");
    return true;
  }

  cancel(given: Waiter, at: number): boolean {
    const waiter = given as QueuedWaiter;
    const now = this.#advance(at);
    if (!waiter.isWaiting) return false;
    this.#leave(waiter);
    if (this.#tracer)
      this.#trace({
        what: "left",
        ...this.#factsOf(waiter),
        isAlert: false,
        why: "its client no longer wants it",
        waitedMs: now - waiter.arrivedAt,
      });
    return true;
  }

  // --- a call runs

  sent(given: Grant, at: number): void {
    const grant = given as RunningGrant;
    if (grant.sentAt !== null || grant.endedAt !== null) return;
    const now = this.#advance(at);
    grant.sentAt = now;
    grant.pricedAt = now;
    grant.inFlightAtSend = grant.keyModel.gates.inFlight;
    for (const hold of grant.holds) hold.stamp(now);
    // Until now nobody could say when the next one may.
    this.#unbar(grant.call.userId);
    this.#feedback.noteSend();
  }

  progress(given: Grant, bytes: number, at: number): void {
    const grant = given as RunningGrant;
    grant.bytes += bytes;
    if (grant.firstByteAt === null) {
      grant.firstByteAt = at;
      if (grant.sentAt !== null) this.#costs.noteFirstByte(grant.call.model, at - grant.sentAt);
    }
    if (at - grant.pricedAt < pricingIntervalMs || grant.endedAt !== null || grant.sentAt === null) return;
    grant.pricedAt = at;
    this.#charge(
      grant,
      this.#costs.price(grant.call.model, at - grant.sentAt, this.#costs.guessTokens(grant.call, grant.bytes)),
      false,
    );
  }

  report(given: Grant, verdict: Verdict, at: number): boolean {
    const grant = given as RunningGrant;
    const now = this.#advance(at);
    if (verdict.kind === "good") grant.isGood = true;
    else grant.upstreamRefusal = { reason: reasonsByKind[verdict.kind], code: verdict.code };
    const isRetryable = this.#feedback.take(grant, verdict, now);
    // A model that has trouble of its own must not hold up the others.
    if (verdict.kind !== "good") {
      this.#lanes.separate(grant.call.model);
      this.#refuseHopeless(now);
    }
    return isRetryable;
  }

  release(given: Grant, how: "ended" | "aborted", at: number): void {
    const grant = given as RunningGrant;
    if (grant.endedAt !== null) return;
    const now = this.#advance(at);
    grant.endedAt = now;
    this.#running.delete(grant);
    grant.session.countRunning(-1);
    grant.key.health.end(grant);
    grant.keyModel.health.end(grant);
    if (grant.sentAt === null) for (const hold of grant.holds) hold.refund();
    grant.userHold.free();
    const mayLinger = how === "aborted" && grant.sentAt !== null && this.#limits.abortLingerMs > 0;
    if (mayLinger) this.#alarms.set(now + this.#limits.abortLingerMs, () => this.#free(grant));
    else this.#free(grant);
    if (grant.isSettled) this.#finish(grant, null, now);
  }

  #free(grant: RunningGrant): void {
    for (const hold of grant.holds) hold.free();
    this.#pool.forget(grant.key, grant.keyModel);
    this.#unbar(grant.call.userId);
  }

  settle(given: Grant, usage: Usage | null, at: number): void {
    const grant = given as RunningGrant;
    if (grant.isSettled) return;
    const now = this.#advance(at);
    grant.isSettled = true;
    grant.usage = usage;
    if (grant.endedAt !== null) this.#finish(grant, usage, now);
  }

  /** Released and settled: what it really cost is known. */
  #finish(grant: RunningGrant, given: Usage | null, now: number): void {
    const { sentAt, bytes, call } = grant;
    const usage = given ?? grant.usage;
    const tokens = usage ? usage.promptTokens + usage.completionTokens : this.#costs.guessTokens(call, bytes);
    const slotMs = (grant.endedAt as number) - (sentAt ?? now);
    const isServed = sentAt !== null && grant.upstreamRefusal === null;
    const costMs = isServed ? this.#costs.price(call.model, slotMs, tokens) : 0;
    this.#charge(grant, costMs, true);
    for (const hold of grant.holds) hold.spend(isServed ? tokens : 0, now);
    if (grant.isGood) this.#costs.learn(grant, slotMs, bytes, usage);
    this.#unbar(call.userId);
    grant.session.leave();
  }

  /** Brings what the call was charged to what it costs; while it runs, only upwards. */
  #charge(grant: RunningGrant, costMs: number, isFinal: boolean): void {
    const missingMs = costMs - grant.chargedMs;
    if (missingMs === 0 || (missingMs < 0 && !isFinal)) return;
    grant.chargedMs = costMs;
    grant.session.correct(missingMs);
  }

  // --- time passes

  tick(at: number): Turn {
    const now = this.#advance(at);
    this.#dispatch(now);
    this.#sweep(now);
    const turn = {
      granted: this.#granted,
      refused: this.#refused,
      wakeAt: Math.min(this.#expiry.nextAt, this.#alarms.nextAt, this.#opensAt),
    };
    this.#granted = [];
    this.#refused = [];
    return turn;
  }

  /** Time never runs back. What was due by now has happened when this returns. */
  #advance(at: number): number {
    const now = Math.max(this.#now, at);
    this.#now = now;
    this.#alarms.ringDue(now);
    for (let waiter = this.#expiry.due(now); waiter; waiter = this.#expiry.due(now)) {
      this.#leave(waiter);
      this.#refuseWaiter(waiter, this.#timedOut(waiter.call, waiter, now), "refused");
    }
    return now;
  }

  /** Starts, in fair order, whoever may start. */
  #dispatch(now: number): void {
    this.#opensAt = Number.POSITIVE_INFINITY;
    while (this.#lanes.size > 0) {
      const { next, opensAt } = this.#lanes.next(this.#windowMs, now);
      this.#opensAt = opensAt;
      if (!next) return;
      const waiter = this.#limits.refusesEarly ? this.#firstInTime(next, now) : next.call;
      if (this.#relax(waiter.call.model, now)) continue;
      const user = this.#users.find(waiter.call.userId);
      if (user && user.gates.openAt(now, waiter.tokens) > now) {
        this.#bar(user, user.gates.openAt(now, waiter.tokens));
        continue;
      }
      if (waiter.isUseless(this.#costs.firstByteMsOf(waiter.call.model), now)) {
        this.#leave(waiter);
        this.#refuseWaiter(waiter, this.#timedOut(waiter.call, waiter, now), "refused");
        continue;
      }
      const choice = this.#pool.choose(waiter.call.model, waiter.tokens, now);
      if (!choice) {
        // It lacks tokens of the key: nobody passes it, or large calls would never have their turn.
        this.#opensAt = Math.min(opensAt, this.#pool.openAt(waiter.call.model, waiter.tokens, now));
        return;
      }
      this.#leave(waiter, false);
      if (waiter.positionAtArrival > 0) this.#estimator.noteWait(waiter.etaMsAtArrival, now - waiter.arrivedAt);
      this.#granted.push({ waiter, grant: this.#grant(waiter, choice, now, next.leastOfUsers) });
    }
  }

  /** The next in fair order, unless another, not far ahead of its share, would be too late then. */
  #firstInTime({ call: chosen, leastOfUsers }: Next<QueuedWaiter>, now: number): QueuedWaiter {
    const latest = leastOfUsers + urgencyCosts * this.#meanCostMs;
    const mayGo = ({ call, session, tokens }: QueuedWaiter) => {
      const user = session.parent as Share;
      return user.virtualTime <= latest && !user.isBarred && this.#pool.laneOpenAt(call.model, tokens, now) <= now;
    };
    const waitMs = (ahead: number) => this.#estimator.waitMs(chosen.call.model, 0, ahead, now);
    return findUrgent(this.#expiry.nearest(urgentMax), chosen, mayGo, waitMs, now) ?? chosen;
  }

  #chooseFor(waiter: QueuedWaiter, now: number): Choice | null {
    const { userId, model } = waiter.call;
    const user = this.#users.find(userId);
    if (user && user.gates.openAt(now, waiter.tokens) > now) return null;
    return this.#pool.choose(model, waiter.tokens, now);
  }

  /** All gates at once, in this very turn. */
  #grant(
    waiter: QueuedWaiter,
    { key, keyModel: known }: Choice,
    now: number,
    leastOfUsers = Number.POSITIVE_INFINITY,
  ): RunningGrant {
    const { call, session, tokens, isDebt } = waiter;
    const keyModel = known ?? this.#pool.modelOn(key, call.model);
    const userHold = new Hold(this.#users.take(call.userId).gates, tokens, isDebt);
    const holds = [userHold, new Hold(key.gates, tokens, isDebt), new Hold(keyModel.gates, tokens, isDebt)];
    const estimateMs = this.#costs.estimateMs(call);
    const grant = new RunningGrant(waiter, key, keyModel, holds, estimateMs, now);
    (session.parent as Share).noteStart(waiter.arrivedAt, now);
    session.charge(estimateMs, leastOfUsers);
    session.countRunning(1);
    key.health.start(grant);
    keyModel.health.start(grant);
    this.#running.add(grant);
    if (this.#tracer) {
      const waitedMs = now - waiter.arrivedAt;
      this.#trace({
        what: "granted",
        ...this.#factsOf(waiter),
        upstreamKey: grant.upstreamKey,
        waitedMs,
        isAlert: false,
        why: "its turn, and every limit has room",
      });
    }
    return grant;
  }

  /** Virtual time within which the earliest deadline goes first. */
  get #windowMs(): number {
    return (this.#options.deadlineWindow ?? 1) * this.#meanCostMs;
  }

  get #meanCostMs(): number {
    return this.#costs.meanMs || this.#costs.price("", 0, 0);
  }

  #relax(model: string, now: number): boolean {
    return this.#feedback.relax(model, now);
  }

  // --- the queue

  #newPlace({ patienceMs, retryCount }: OfferedCall, now: number): Place {
    const mayWaitMs = Math.min(this.#limits.queueTimeoutMs, patienceMs ?? Number.POSITIVE_INFINITY);
    return {
      sequence: ++this.#sequence - retryCount * retrySeniority,
      arrivedAt: now,
      deadlineAt: now + mayWaitMs,
      tryCount: 0,
      upstreamRefusal: null,
    };
  }

  #shareOf({ class: name, userId, weight, flowId }: OfferedCall): Share {
    const share = this.#root.child(name, classWeights[name]).child(userId, weight);
    share.isBarred = this.#users.find(userId)?.isBarred ?? false;
    return share.child(flowId, 1);
  }

  #join(waiter: QueuedWaiter, now: number): void {
    this.#lanes.add(waiter);
    waiter.session.countWaiting(1);
    this.#backlogs.update(waiter.session.parent as Share);
    const mayWaitMs = waiter.call.place
      ? waiter.deadlineAt - now
      : Math.min(this.#limits.queueTimeoutMs, waiter.call.patienceMs ?? Number.POSITIVE_INFINITY);
    this.#expiry.add(waiter, mayWaitMs);
  }

  /** Out of the queue; `isOver`: it will not run either. */
  #leave(waiter: QueuedWaiter, isOver = true): void {
    this.#lanes.remove(waiter);
    this.#expiry.remove(waiter);
    waiter.session.countWaiting(-1);
    this.#backlogs.update(waiter.session.parent as Share);
    if (isOver) waiter.session.leave();
  }

  clear(): readonly Waiter[] {
    const all = [...this.#lanes.waiters()];
    for (const waiter of all) this.#leave(waiter);
    return all;
  }

  #bar(user: LimitedUser, until: number): void {
    user.isBarred = true;
    if (until < Number.POSITIVE_INFINITY) user.alarm = this.#alarms.set(until, () => this.#unbar(user.userId));
    for (const share of this.#userShares(user.userId)) {
      share.isBarred = true;
      this.#lanes.refresh(share);
    }
  }

  /** One of its own limits may have room again. */
  #unbar(userId: string): void {
    const user = this.#users.find(userId);
    if (!user?.isBarred) return;
    user.isBarred = false;
    if (user.alarm) this.#alarms.cancel(user.alarm);
    user.alarm = null;
    for (const share of this.#userShares(userId)) {
      share.isBarred = false;
      this.#lanes.refresh(share);
    }
  }

  #userShares(userId: string): Share[] {
    return trafficClasses.flatMap((name) => this.#root.find(name)?.find(userId) ?? []);
  }

  #countWaiting(userId: string): number {
    return this.#userShares(userId).reduce((sum, share) => sum + share.waitingCount, 0);
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < sweepIntervalMs) return;
    this.#sweptAt = now;
    this.#sweepCount++;
    this.#root.sweep(this.#sweepCount % sweepsUntilForgiven === 0);
    this.#users.sweep(now);
  }

  // --- saying no

  /** What the upstream refused before says more than that the queue took too long. */
  #timedOut({ model }: OfferedCall, { arrivedAt, deadlineAt, upstreamRefusal }: Place, now: number): No {
    const retryAfterMs = this.#adviseRetry(model, this.#lanes.size, true, now);
    const facts = { limit: deadlineAt - arrivedAt, elapsedMs: now - arrivedAt, retryAfterMs };
    if (upstreamRefusal === null) return { reason: "queue_timeout", facts };
    const { reason, code } = upstreamRefusal;
    return { reason, facts: code === null ? facts : { ...facts, upstreamCode: code } };
  }

  #adviseRetry(model: string, ahead: number, hasWaited: boolean, now: number): number {
    const { queueCapacity, queueTimeoutMs } = this.#limits;
    const waitMs = this.#estimator.waitMs(model, 0, ahead, now);
    const placeMs = this.#estimator.waitMs(model, 0, Math.max(0, this.#lanes.size - queueCapacity), now);
    const mayWaitMs = queueCapacity > 0 ? queueTimeoutMs : 0;
    const isFull = this.#lanes.size >= queueCapacity;
    return adviseRetryMs({ waitMs, mayWaitMs, placeMs: isFull ? placeMs : 0, hasWaited }, this.#options.random());
  }

  #refuseOffer(call: OfferedCall, no: No): Offer {
    if (this.#tracer)
      this.#trace({
        what: "refused",
        callId: call.callId,
        userId: call.userId,
        model: call.model,
        isAlert: false,
        why: no.reason,
      });
    return { kind: "refused", no };
  }

  #refuseWaiter(waiter: QueuedWaiter, no: No, what: "refused" | "evicted"): void {
    this.#refused.push({ waiter, no });
    if (this.#tracer)
      this.#trace({
        what,
        ...this.#factsOf(waiter),
        waitedMs: this.#now - waiter.arrivedAt,
        isAlert: false,
        why: no.reason,
      });
  }

  /** Those who wait for what a block makes impossible in their time. */
  #refuseHopeless(now: number): void {
    for (const waiter of [...this.#lanes.waiters()]) {
      const block = this.#pool.blockBeyond(waiter.call.model, waiter.deadlineAt);
      if (!block?.refusal) continue;
      this.#leave(waiter);
      const facts = { retryAfterMs: Math.ceil(Math.max(1_000, block.blockedUntil - now)) };
      const no: No = {
        reason: block.refusal,
        facts: block.because === null ? facts : { ...facts, upstreamCode: block.because },
      };
      this.#refuseWaiter(waiter, no, "refused");
    }
  }

  // --- telling

  standing(given: Waiter, at: number): Standing {
    const waiter = given as QueuedWaiter;
    const now = Math.max(at, this.#now);
    const before = waiter.lane?.queue.countBefore(waiter) ?? 0;
    const ahead = countAhead(waiter.session, before, waiter.sequence, this.#meanCostMs);
    return this.#toStanding(ahead + 1, this.#waitMs(waiter, ahead, before, now));
  }

  #waitMs({ call, tokens }: QueuedWaiter, ahead: number, ownAhead: number, now: number): number {
    const waitMs = this.#estimator.waitMs(call.model, tokens, ahead, now);
    const user = this.#users.find(call.userId);
    return user ? Math.max(waitMs, this.#estimator.userWaitMs(user.gates, call.model, ownAhead, now)) : waitMs;
  }

  #toStanding(position: number, etaMs: number): Standing {
    return { position, etaMs, etaP90Ms: this.#estimator.toP90(etaMs) };
  }

  #whyWaiting({ call, tokens }: QueuedWaiter, now: number): string {
    const user = this.#users.find(call.userId)?.gates.findBlocker(now, tokens);
    return user ? `user_${user}` : (this.#pool.findBlocker(call.model, tokens, now) ?? "turn");
  }

  allowances(userId: string, at: number): readonly RemainingLimit[] {
    return listAllowances(this.#pool, this.#users.find(userId)?.gates ?? null, Math.max(at, this.#now));
  }

  gauges(at: number): SchedulerGauges {
    return {
      waiting: this.#lanes.size,
      running: this.#running.size,
      queueCapacity: this.#limits.queueCapacity,
      lanes: this.#pool.lanes(Math.max(at, this.#now)),
      users: describeUsers(this.#root),
    };
  }

  snapshot(at: number): SchedulerSnapshot {
    const now = Math.max(at, this.#now);
    const order = foreseeOrder(this.#lanes.waiters(), this.#root, this.#meanCostMs);
    const ownAhead = new Map<string, number>();
    const nextStartAt = order.reduce(
      (least, { call, tokens }) => Math.min(least, this.#pool.openAt(call.model, tokens, now)),
      order.length === 0 ? this.#pool.anyOpenAt(now) : Number.POSITIVE_INFINITY,
    );
    return {
      ...this.gauges(now),
      limits: this.#limits,
      runningCalls: Array.from(this.#running, ({ call, grantedAt, sentAt, upstreamKey }) => ({
        callId: call.callId,
        userId: call.userId,
        model: call.model,
        class: call.class,
        upstreamKey,
        runningMs: now - grantedAt,
        isSent: sentAt !== null,
      })),
      waitingCalls: order.map((waiter, ahead) => {
        const { call, arrivedAt, tryCount } = waiter;
        const own = ownAhead.get(call.userId) ?? 0;
        ownAhead.set(call.userId, own + 1);
        return {
          callId: call.callId,
          userId: call.userId,
          model: call.model,
          class: call.class,
          waitedMs: now - arrivedAt,
          tryCount,
          blockedBy: this.#whyWaiting(waiter, now) as SchedulerSnapshot["waitingCalls"][number]["blockedBy"],
          ...this.#toStanding(ahead + 1, this.#waitMs(waiter, ahead, own, now)),
        };
      }),
      nextStartInMs: nextStartAt === Number.POSITIVE_INFINITY ? null : Math.max(0, nextStartAt - now),
    };
  }

  configure(limits: AdmissionLimits, at: number): void {
    this.#advance(at);
    this.#limits = limits;
    this.#pool.configure(limits);
    this.#users.configure(limits.user);
    for (const { userId } of this.#users.barred) this.#unbar(userId);
    this.#lanes.rearrange();
  }

  /** Null: nobody wants to know of single calls. */
  get #tracer(): DecisionObserver | null {
    return this.#options.tracer?.() ?? null;
  }

  #trace(decision: Decision): void {
    this.#tracer?.(decision);
  }

  #factsOf({ call }: QueuedWaiter) {
    return { callId: call.callId, userId: call.userId, model: call.model };
  }
}

function toFacts({ position, etaMs }: Standing): { position: number; etaMs: number } {
  return { position, etaMs };
}

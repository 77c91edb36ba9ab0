// The fair scheduler: who starts a call next, and who does not. Brings together the shares (who has had how much), the
// lanes (who waits for what), the pool of keys (what the upstream bears) and the costs (what a call takes).
//
//   every operation ──▶ expired ones out ──▶ dispatch: while a lane is open, the next in fair order ──▶ tick hands out

import type { Usage } from "../base/answer.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import type { RefusalReason } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import { Alarms } from "./alarms.ts";
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
import { type Destination, toDestination } from "./destination.ts";
import { findUrgent, judgeEarly, replaceableMs, urgencyCosts, urgentMax } from "./early-refusal.ts";
import { Estimator } from "./estimate.ts";
import { FairQueue } from "./fair-queue.ts";
import { Forecast } from "./forecast.ts";
import type { Health } from "./health.ts";
import { type Choice, KeyPool } from "./key-pool.ts";
import type { Next } from "./lane-queue.ts";
import { type LimitedUser, LimitedUsers } from "./limited-users.ts";
import { recallPast } from "./past-calls.ts";
import { RunningCalls } from "./running-calls.ts";
import type { AdmissionLimits, Decision, Place, SchedulerGauges, SchedulerSnapshot, Standing } from "./scheduler.ts";
import { UpstreamFeedback } from "./upstream-feedback.ts";
import { QueuedWaiter, type RunningGrant } from "./waiter.ts";

/** What a client hears that has no time for another try. */
const reasonsByKind = {
  over_limit: "upstream_rate_limited",
  too_fast: "upstream_rate_limited",
  overloaded: "upstream_busy",
  quota: "upstream_quota",
  account: "upstream_account",
  model_barred: "upstream_account",
  restricted: "upstream_account",
  rejected: "upstream_rejected",
  failed: "upstream_failed",
  unreachable: "upstream_failed",
  silent: "upstream_failed",
} as const satisfies Record<Exclude<Verdict["kind"], "good">, RefusalReason>;
/** Verdicts with consequences for other calls. */
const tellsOfLimits: ReadonlySet<Verdict["kind"]> = new Set([
  "over_limit",
  "too_fast",
  "overloaded",
  "quota",
  "account",
  "model_barred",
  "restricted",
]);
/** More than there are ever calls. */
const retrySeniority = 2 ** 40;
export function createFairCore(options: CoreOptions): SchedulerCore {
  return new FairCore(options);
}

class FairCore implements SchedulerCore {
  #limits: AdmissionLimits;
  readonly #options: CoreOptions;
  readonly #pool: KeyPool;
  readonly #costs: Costs;
  readonly #queue: FairQueue;
  readonly #users: LimitedUsers;
  readonly #running: RunningCalls;
  readonly #alarms = new Alarms();
  readonly #estimator: Estimator;
  readonly #forecast: Forecast;
  readonly #feedback: UpstreamFeedback;
  #granted: { waiter: QueuedWaiter; grant: RunningGrant }[] = [];
  #refused: { waiter: QueuedWaiter; no: No }[] = [];
  #sequence = 0;
  #now = 0;
  /** When a lane that is shut now opens. */
  #opensAt = Number.POSITIVE_INFINITY;

  constructor(options: CoreOptions) {
    const { limits, random, healths, past } = options;
    this.#options = options;
    this.#limits = limits;
    this.#pool = new KeyPool(limits, healths, past?.unknownUntil);
    recallPast(past?.calls ?? [], this.#pool, this.#alarms, limits.abortLingerMs);
    this.#costs = new Costs(this.#pool, options.price);
    this.#pool.slotMsOf = (model) => this.#costs.slotMedianMsOf(model);
    this.#queue = new FairQueue(this.#pool);
    this.#users = new LimitedUsers(limits.user);
    this.#running = new RunningCalls(this.#pool, this.#costs, this.#users, this.#alarms);
    this.#estimator = new Estimator(this.#pool, this.#costs, this.#running.grants);
    this.#feedback = new UpstreamFeedback(this.#pool, random, options.observer ?? (() => {}));
    this.#forecast = new Forecast({
      queue: this.#queue,
      pool: this.#pool,
      costs: this.#costs,
      users: this.#users,
      estimator: this.#estimator,
      running: this.#running.grants,
      random,
      limits: () => this.#limits,
    });
  }

  // --- a call comes, and goes

  offer(call: OfferedCall, at: number): Offer {
    const now = this.#advance(at);
    const place = call.place ?? this.#newPlace(call, now);
    const no = this.#refuseAtOnce(call, place, now);
    if (no) return this.#refuseOffer(call, no);
    const session = this.#queue.shareOf(call, this.#users.find(call.userId)?.isBarred ?? false);
    session.enter();
    const waiter = new QueuedWaiter(call, session, place, this.#costs.reserve(call));
    this.#relax(call.model, now);
    if (this.#queue.size === 0) {
      const choice = this.#chooseFor(waiter, now);
      if (choice) return { kind: "granted", grant: this.#grant(waiter, choice, now) };
    }
    return this.#enqueue(waiter, now);
  }

  /** Refused before it is looked at any closer; null: it may queue. */
  #refuseAtOnce(call: OfferedCall, place: Place, now: number): No | null {
    if (place.deadlineAt <= now && call.place) return this.#timedOut(toDestination(call, place), place, now);
    const { upstreamKey = null } = call;
    if (upstreamKey !== null && !this.#pool.knows(upstreamKey)) return { reason: "upstream_account", facts: {} };
    const to = toDestination(call, place);
    if (!this.#pool.serves(to)) {
      return { reason: "invalid_field", facts: { param: "model", detail: "no key of this gateway serves it" } };
    }
    const block = this.#pool.blockBeyond(to);
    return block && toBlocked(block, now);
  }

  #enqueue(waiter: QueuedWaiter, now: number): Offer {
    const { call } = waiter;
    this.#queue.add(waiter, this.#mayWaitMs(waiter, now));
    const standing = this.#forecast.standing(waiter, now);
    waiter.positionAtArrival = standing.position;
    waiter.etaMsAtArrival = standing.etaMs;
    this.#dispatch(now);
    if (!waiter.isWaiting) return this.#pick(waiter);
    const no = this.#makeRoom(waiter, standing, now);
    if (no) return this.#refuseOffer(call, no);
    const what = call.place ? "requeued" : "queued";
    if (this.#tracer)
      this.#trace({
        what,
        ...this.#factsOf(waiter),
        ...standing,
        isAlert: false,
        why: this.#forecast.findBlocker(waiter, now),
      });
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
    const { to } = waiter;
    const { userId } = waiter.call;
    if (userQueueCapacity !== null && !waiter.call.place && this.#queue.countOf(userId) > userQueueCapacity) {
      this.#leave(waiter);
      const retryAfterMs = this.#forecast.adviseRetry(to, standing.position - 1, false, now);
      return {
        reason: "user_queue_full",
        facts: { waiting: userQueueCapacity, limit: userQueueCapacity, retryAfterMs, ...toFacts(standing) },
      };
    }
    if (this.#queue.size > queueCapacity && !(waiter.call.place && queueCapacity > 0)) {
      const victim = this.#queue.findVictim(waiter) ?? waiter;
      this.#leave(victim);
      const retryAfterMs = this.#forecast.adviseRetry(to, this.#queue.size, false, now);
      const facts = { waiting: queueCapacity, limit: queueCapacity, retryAfterMs, ...toFacts(standing) };
      if (victim === waiter)
        return waiter.wasAdmitted ? this.#timedOut(waiter.to, waiter, now) : { reason: "queue_full", facts };
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
    const taken = this.#queue.size - 1;
    const answer = judgeEarly(waiter, {
      fairMs: standing.etaMs,
      places: mayWaitMs / this.#costs.typicalMs,
      taken,
      waitMs: (ahead) => this.#estimator.waitMs(waiter.to, waiter.tokens, ahead, now),
    });
    if (answer.kind === "fine") return null;
    if (answer.kind === "too_long" && this.#takePlace(waiter, now)) return null;
    this.#leave(waiter);
    const waitMs = answer.kind === "too_long" ? answer.waitMs : standing.etaMs;
    const advice = { waitMs, mayWaitMs, placeMs: answer.roomMs, hasWaited: false };
    const facts = { ...toFacts(standing), retryAfterMs: this.#forecast.spreadRetry(advice) };
    if (answer.kind === "too_long")
      return { reason: "wait_too_long", facts: { ...facts, elapsedMs: waitMs, limit: mayWaitMs } };
    return { reason: "user_queue_full", facts: { ...facts, waiting: answer.waiting, limit: answer.limit } };
  }

  /** A newcomer of whom nothing waits takes the place of the newest of the longest backlog, if that came just now. */
  #takePlace(waiter: QueuedWaiter, now: number): boolean {
    if (waiter.user.waitingCount > 1) return false;
    const victim = this.#queue.findVictim(waiter);
    if (!victim || now - victim.arrivedAt > replaceableMs) return false;
    this.#leave(victim);
    const retryAfterMs = this.#forecast.adviseRetry(victim.to, this.#queue.size, false, now);
    const limit = this.#queue.size;
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

  sent(grant: Grant, at: number): void {
    const now = this.#advance(at);
    if (!this.#running.send(grant as RunningGrant, now)) return;
    this.#feedback.noteSend();
    // Until now nobody could say when the user's next one may start.
    this.#unbar(grant.call.userId);
  }

  progress(grant: Grant, bytes: number, at: number): void {
    this.#running.progress(grant as RunningGrant, bytes, at);
  }

  report(given: Grant, verdict: Verdict, at: number): boolean {
    const grant = given as RunningGrant;
    const now = this.#advance(at);
    const { isWorthAnotherTry } = grant;
    if (isWorthAnotherTry === null) {
      if (verdict.kind !== "good") {
        grant.upstreamRefusal = { reason: reasonsByKind[verdict.kind], code: verdict.code };
        grant.tookTokens = verdict.mayHaveRun === true;
      }
    } else if (!grant.isGood || !tellsOfLimits.has(verdict.kind)) return isWorthAnotherTry;
    // An answer that began well and breaks off with an error has reached the client: it is not asked for again, but what
    // the error says of the key and its limits holds for the calls that follow.
    grant.isGood = verdict.kind === "good";
    const isWorthIt = this.#feedback.take(grant, verdict, now);
    grant.isWorthAnotherTry = isWorthAnotherTry ?? isWorthIt;
    // A model that has trouble of its own must not hold up the others.
    if (verdict.kind !== "good") this.#queue.separate(grant.call.model);
    const { key } = grant;
    const keyModel = key.models.get(grant.call.model);
    const healths = [key.health, keyModel?.health, keyModel?.barOf(key)];
    if (healths.some((health) => health && health.refusal !== null)) this.#refuseHopeless(now);
    return grant.isWorthAnotherTry;
  }

  release(grant: Grant, how: "ended" | "aborted", at: number): void {
    const now = this.#advance(at);
    const lingerMs = how === "aborted" ? this.#limits.abortLingerMs : 0;
    this.#running.release(grant as RunningGrant, lingerMs, now);
    this.#unbar(grant.call.userId);
  }

  settle(grant: Grant, usage: Usage | null, at: number): void {
    this.#running.settle(grant as RunningGrant, usage, this.#advance(at));
    this.#unbar(grant.call.userId);
  }

  // --- time passes

  tick(at: number): Turn {
    const now = this.#advance(at);
    this.#dispatch(now);
    if (this.#queue.sweep(now)) this.#users.sweep(now);
    const turn = {
      granted: this.#granted,
      refused: this.#refused,
      wakeAt: Math.min(this.#queue.expiresAt, this.#alarms.nextAt, this.#opensAt),
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
    for (let waiter = this.#queue.expired(now); waiter; waiter = this.#queue.expired(now)) {
      this.#leave(waiter);
      this.#refuseWaiter(waiter, this.#timedOut(waiter.to, waiter, now), "refused");
    }
    return now;
  }

  /** Starts, in fair order, whoever may start. */
  #dispatch(now: number): void {
    this.#opensAt = Number.POSITIVE_INFINITY;
    while (this.#queue.size > 0) {
      const { next, opensAt } = this.#queue.next(this.#windowMs, now);
      this.#opensAt = opensAt;
      if (!next) break;
      const waiter = this.#limits.refusesEarly ? this.#firstInTime(next, now) : next.call;
      // Nobody passes it on the key of which it lacks tokens, or large calls would never have their turn.
      if (!this.#takeTurn(waiter, next.leastOfUsers, now)) this.#queue.setAside(waiter, now);
      // What has changed may concern those who were set aside.
      else this.#queue.putBack();
    }
    this.#queue.putBack();
  }

  /** It starts, or is refused, or something else has changed so that another one may be next. False: it lacks tokens. */
  #takeTurn(waiter: QueuedWaiter, leastOfUsers: number, now: number): boolean {
    const { userId, model, patienceMs } = waiter.call;
    if (this.#relax(model, now)) return true;
    const user = this.#users.find(userId);
    const userOpensAt = user?.gates.openAt(now, waiter.tokens) ?? now;
    if (user && userOpensAt > now) {
      this.#bar(user, userOpensAt);
      return true;
    }
    if (patienceMs !== null && waiter.isUseless(this.#costs.firstByteMsOf(model), now)) {
      this.#leave(waiter);
      this.#refuseWaiter(waiter, this.#timedOut(waiter.to, waiter, now), "refused");
      return true;
    }
    const choice = this.#pool.choose(waiter.to, waiter.tokens, now);
    if (!choice) return false;
    this.#queue.remove(waiter);
    if (waiter.positionAtArrival > 0) this.#estimator.noteWait(waiter.etaMsAtArrival, now - waiter.arrivedAt);
    this.#granted.push({ waiter, grant: this.#grant(waiter, choice, now, leastOfUsers) });
    return true;
  }

  /** The next in fair order, unless another, not far ahead of its share, would be too late then. */
  #firstInTime({ call: chosen, leastOfUsers }: Next<QueuedWaiter>, now: number): QueuedWaiter {
    const isOpen = ({ to, tokens }: QueuedWaiter) => this.#pool.openAt(to, tokens, now) <= now;
    // Who lacks tokens is not passed, and does not go first to wait for them.
    if (!isOpen(chosen)) return chosen;
    const latest = leastOfUsers + urgencyCosts * this.#costs.typicalMs;
    const mayGo = (waiter: QueuedWaiter) => {
      return waiter.user.virtualTime <= latest && !waiter.user.isBarred && isOpen(waiter);
    };
    const waitMs = (ahead: number) => this.#estimator.waitMs(chosen.to, 0, ahead, now);
    return findUrgent(this.#queue.mostUrgent(urgentMax), chosen, mayGo, waitMs, now) ?? chosen;
  }

  #chooseFor(waiter: QueuedWaiter, now: number): Choice | null {
    const user = this.#users.find(waiter.call.userId);
    if (user && user.gates.openAt(now, waiter.tokens) > now) return null;
    return this.#pool.choose(waiter.to, waiter.tokens, now);
  }

  /** `leastOfUsers`: virtual time of the user that has had the least of those who wait. */
  #grant(waiter: QueuedWaiter, choice: Choice, now: number, leastOfUsers = Number.POSITIVE_INFINITY): RunningGrant {
    const grant = this.#running.start(waiter, choice, now, leastOfUsers);
    if (this.#tracer) {
      this.#trace({
        what: "granted",
        ...this.#factsOf(waiter),
        upstreamKey: grant.upstreamKey,
        waitedMs: now - waiter.arrivedAt,
        isAlert: false,
        why: "its turn, and every limit has room",
      });
    }
    return grant;
  }

  /** Virtual time within which a call goes first whose time is up. */
  get #windowMs(): number {
    return (this.#options.deadlineWindow ?? 1) * this.#costs.typicalMs;
  }

  #relax(model: string, now: number): boolean {
    return this.#feedback.relax(model, now);
  }

  // --- the queue

  #newPlace({ patienceMs, retryCount }: OfferedCall, now: number): Place {
    const mayWaitMs = this.#patienceOf(patienceMs);
    return {
      sequence: ++this.#sequence - retryCount * retrySeniority,
      arrivedAt: now,
      deadlineAt: now + mayWaitMs,
      tryCount: 0,
      upstreamRefusal: null,
      triedKeys: [],
    };
  }

  /** How long a call may wait from now on. */
  #mayWaitMs({ call, deadlineAt }: QueuedWaiter, now: number): number {
    return call.place ? deadlineAt - now : this.#patienceOf(call.patienceMs);
  }

  #patienceOf(patienceMs: number | null): number {
    return Math.min(this.#limits.queueTimeoutMs, patienceMs ?? Number.POSITIVE_INFINITY);
  }

  /** Out of the queue, and it will not run either. */
  #leave(waiter: QueuedWaiter): void {
    this.#queue.remove(waiter);
    waiter.session.leave();
  }

  clear(): readonly Waiter[] {
    const all = [...this.#queue.waiters()];
    for (const waiter of all) this.#leave(waiter);
    return all;
  }

  #bar(user: LimitedUser, until: number): void {
    user.isBarred = true;
    if (until < Number.POSITIVE_INFINITY) user.alarm = this.#alarms.set(until, () => this.#unbar(user.userId));
    this.#queue.setBarred(user.userId, true);
  }

  /** One of its own limits may have room again. */
  #unbar(userId: string): void {
    const user = this.#users.find(userId);
    if (!user?.isBarred) return;
    user.isBarred = false;
    if (user.alarm) this.#alarms.cancel(user.alarm);
    user.alarm = null;
    this.#queue.setBarred(userId, false);
  }

  // --- saying no

  /** What the upstream refused before says more than that the queue took too long. */
  #timedOut(to: Destination, { arrivedAt, deadlineAt, upstreamRefusal }: Place, now: number): No {
    const retryAfterMs = this.#forecast.adviseRetry(to, this.#queue.size, true, now);
    const facts = { limit: deadlineAt - arrivedAt, elapsedMs: now - arrivedAt, retryAfterMs };
    if (upstreamRefusal === null) return { reason: "queue_timeout", facts };
    const { reason, code } = upstreamRefusal;
    return { reason, facts: code === null ? facts : { ...facts, upstreamCode: code } };
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
    for (const waiter of [...this.#queue.waiters()]) {
      const block = this.#pool.blockBeyond(waiter.to);
      const no = block && toBlocked(block, now);
      if (!no) continue;
      this.#leave(waiter);
      this.#refuseWaiter(waiter, no, "refused");
    }
  }

  // --- telling

  standing(waiter: Waiter, at: number): Standing {
    return this.#forecast.standing(waiter as QueuedWaiter, Math.max(at, this.#now));
  }

  allowances(userId: string, at: number): readonly RemainingLimit[] {
    return this.#forecast.allowances(userId, Math.max(at, this.#now));
  }

  gauges(at: number): SchedulerGauges {
    return this.#forecast.gauges(Math.max(at, this.#now));
  }

  snapshot(at: number): SchedulerSnapshot {
    return this.#forecast.snapshot(Math.max(at, this.#now));
  }

  configure(limits: AdmissionLimits, at: number): void {
    this.#advance(at);
    this.#limits = limits;
    this.#pool.configure(limits);
    this.#users.configure(limits.user);
    for (const { userId } of this.#users.barred) this.#unbar(userId);
    this.#queue.rearrange();
  }

  recheck(at: number): void {
    this.#refuseHopeless(this.#advance(at));
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

/** Null when who waits will be refused by time alone. */
function toBlocked({ refusal, because, blockedUntil }: Health, now: number): No | null {
  if (refusal === null) return null;
  const facts = { retryAfterMs: Math.ceil(Math.max(1_000, blockedUntil - now)) };
  return { reason: refusal, facts: because === null ? facts : { ...facts, upstreamCode: because } };
}

// The calls that run: what they hold of each gate, what they are charged, and how both are put right when they end. A
// call is done with when it is released (the upstream is) and settled (what it used is known), in either order.

import type { Usage } from "../base/answer.ts";
import { LinkedList } from "../base/linked-list.ts";
import type { Alarms } from "./alarms.ts";
import type { Costs } from "./costs.ts";
import { Hold } from "./gates.ts";
import type { Choice, KeyPool } from "./key-pool.ts";
import type { LimitedUsers } from "./limited-users.ts";
import { type QueuedWaiter, RunningGrant } from "./waiter.ts";

/** A streaming call's cost is looked at so often. */
const pricingIntervalMs = 250;

export class RunningCalls {
  /** In the order of their grants. */
  readonly grants = new LinkedList<RunningGrant>();
  readonly #pool: KeyPool;
  readonly #costs: Costs;
  readonly #users: LimitedUsers;
  readonly #alarms: Alarms;

  constructor(pool: KeyPool, costs: Costs, users: LimitedUsers, alarms: Alarms) {
    this.#pool = pool;
    this.#costs = costs;
    this.#users = users;
    this.#alarms = alarms;
  }

  /** Takes every gate, in this very turn; the caller has seen that all are open. */
  start(waiter: QueuedWaiter, { key, keyModel: known }: Choice, now: number, leastOfUsers: number): RunningGrant {
    const { call, session, user } = waiter;
    const keyModel = known ?? this.#pool.modelOn(key, call.model);
    const { tokens, isDebt } = waiter;
    const start = { tokens, isDebt, hasWaited: waiter.wasAdmitted || waiter.arrivedAt < now };
    const userHold = new Hold(this.#users.take(call.userId).gates, start, now);
    const holds = [userHold, new Hold(key.gates, start, now), new Hold(keyModel.gates, start, now)];
    const estimateMs = this.#costs.estimateMs(call);
    const grant = new RunningGrant(waiter, key, keyModel, holds, estimateMs, now);
    keyModel.openCalls++;
    user.noteStart(waiter.arrivedAt, now);
    session.charge(estimateMs, leastOfUsers);
    session.countRunning(1);
    key.health.start(grant, now);
    key.account.health.start(grant, now);
    keyModel.health.start(grant, now);
    keyModel.barOf(key)?.start(grant, now);
    this.#pool.take(key);
    grant.node = this.grants.append(grant);
    return grant;
  }

  /** Its bytes leave now. False: it was sent or has ended before. */
  send(grant: RunningGrant, now: number): boolean {
    if (grant.sentAt !== null || grant.endedAt !== null) return false;
    grant.sentAt = now;
    grant.pricedAt = now;
    grant.inFlightAtSend = grant.keyModel.gates.inFlight;
    for (const hold of grant.holds) hold.stamp(now);
    return true;
  }

  /** Bytes of its answer came in: with each frame, so it does little but a few times a second. */
  progress(grant: RunningGrant, bytes: number, now: number): void {
    const { call, sentAt } = grant;
    grant.bytes += bytes;
    if (sentAt === null) return;
    if (grant.firstByteAt === null) {
      grant.firstByteAt = now;
      this.#costs.noteFirstByte(call.model, now - sentAt);
    }
    if (now - grant.pricedAt < pricingIntervalMs || grant.endedAt !== null) return;
    grant.pricedAt = now;
    const soFarMs = this.#costs.price(call.model, now - sentAt, this.#costs.guessTokens(call, grant.bytes));
    // While it runs, only upwards: what is not used yet may still be.
    if (soFarMs > grant.chargedMs) this.#charge(grant, soFarMs);
  }

  /** The upstream's side has ended; its places are free after `lingerMs`, if it was sent. Only the first counts. */
  release(grant: RunningGrant, lingerMs: number, now: number): void {
    if (grant.endedAt !== null) return;
    grant.endedAt = now;
    if (grant.node) this.grants.remove(grant.node);
    grant.session.countRunning(-1);
    grant.key.health.end(grant);
    grant.key.account.health.end(grant);
    grant.keyModel.health.end(grant);
    grant.keyModel.barOf(grant.key)?.end(grant);
    if (grant.sentAt === null) for (const hold of grant.holds) hold.refund();
    grant.userHold.free();
    if (grant.sentAt !== null && lingerMs > 0)
      this.#alarms.set(now + lingerMs, () => this.#free(grant, now + lingerMs));
    else this.#free(grant, now);
    if (grant.isSettled) this.#finish(grant, now);
  }

  #free(grant: RunningGrant, now: number): void {
    for (const hold of grant.holds) hold.free();
    this.#pool.forget(grant.keyModel, now);
  }

  /** What it really used; null: unknown. Only the first counts. */
  settle(grant: RunningGrant, usage: Usage | null, now: number): void {
    if (grant.isSettled) return;
    grant.isSettled = true;
    grant.usage = usage;
    if (grant.endedAt !== null) this.#finish(grant, now);
  }

  /**
   * What is tried again costs its user nothing so far. What failed for good took a start as any other: if it was free, a
   * caller whose calls all fail would always be next.
   */
  #finish(grant: RunningGrant, now: number): void {
    const { sentAt, bytes, call, usage, tookTokens } = grant;
    const guess = tookTokens ? this.#costs.guessTokens(call, bytes) : 0;
    const tokens = usage ? usage.promptTokens + usage.completionTokens : guess;
    const slotMs = (grant.endedAt as number) - (sentAt ?? now);
    const isSpent = sentAt !== null && !grant.isWorthAnotherTry;
    this.#charge(grant, isSpent ? this.#costs.price(call.model, slotMs, tokens) : 0);
    for (const hold of grant.holds) hold.spend(isSpent ? tokens : 0, now);
    if (grant.isGood) this.#costs.learn(grant, slotMs, bytes, usage);
    grant.session.leave();
    grant.keyModel.openCalls--;
    this.#pool.forget(grant.keyModel, now);
  }

  /** Brings what it was charged to `costMs`. */
  #charge(grant: RunningGrant, costMs: number): void {
    if (costMs === grant.chargedMs) return;
    grant.session.correct(costMs - grant.chargedMs);
    grant.chargedMs = costMs;
  }
}

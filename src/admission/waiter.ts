// A call while it waits, and while it runs, as the core keeps it.

import type { Usage } from "../base/answer.ts";
import type { ListNode } from "../base/linked-list.ts";
import type { Grant, OfferedCall, Waiter } from "./core.ts";
import type { Destination } from "./destination.ts";
import type { Hold } from "./gates.ts";
import type { LaneQueue } from "./lane-queue.ts";
import type { Place } from "./scheduler.ts";
import type { Share, SharePosition } from "./share.ts";
import type { KeyModel, UpstreamKey } from "./upstream-key.ts";

/** One upstream limit that calls share, and who waits for it. */
export interface Lane {
  /** Of the model, and of what else its calls have in common; null: of all calls that need no lane of their own. */
  readonly name: string | null;
  readonly queue: LaneQueue<QueuedWaiter>;
}

export class QueuedWaiter implements Waiter, Destination {
  readonly call: OfferedCall;
  readonly session: Share;
  readonly sequence: number;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  readonly tryCount: number;
  readonly upstreamRefusal: Place["upstreamRefusal"];
  readonly triedKeys: readonly string[];
  /** Tokens that it will take from the limits. */
  readonly tokens: number;
  readonly isDebt: boolean;
  positionAtArrival = 0;
  etaMsAtArrival = 0;
  lane: Lane | null = null;
  slot: ListNode<QueuedWaiter> | null = null;
  position: SharePosition | null = null;
  expiry: ListNode<QueuedWaiter> | null = null;
  expiryGroup: object | null = null;

  constructor(call: OfferedCall, session: Share, place: Place, reserved: { tokens: number; isDebt: boolean }) {
    this.call = call;
    this.session = session;
    this.sequence = place.sequence;
    this.arrivedAt = place.arrivedAt;
    this.deadlineAt = place.deadlineAt;
    this.tryCount = place.tryCount;
    this.upstreamRefusal = place.upstreamRefusal;
    this.triedKeys = place.triedKeys;
    this.tokens = reserved.tokens;
    this.isDebt = reserved.isDebt;
  }

  get place(): Place {
    return this;
  }

  get to(): Destination {
    return this;
  }

  get model(): string {
    return this.call.model;
  }

  get upstreamKey(): string | null {
    return this.call.upstreamKey ?? null;
  }

  get keyKind(): string | null {
    return this.call.keyKind ?? null;
  }

  get affinity(): string | null {
    return this.call.affinity ?? null;
  }

  get user(): Share {
    return this.session.parent as Share;
  }

  get isWaiting(): boolean {
    return this.slot !== null;
  }

  /** It had been let in before, and the upstream refused it: it is not put out for others. */
  get wasAdmitted(): boolean {
    return this.call.place !== null;
  }

  /** The client's own patience has not enough left for an answer to begin. */
  isUseless(firstByteMs: number, now: number): boolean {
    const { patienceMs } = this.call;
    return patienceMs !== null && this.arrivedAt + patienceMs - now < firstByteMs;
  }
}

export class RunningGrant implements Grant {
  readonly call: OfferedCall;
  readonly session: Share;
  readonly key: UpstreamKey;
  readonly keyModel: KeyModel;
  /** Of its user, its key, and its model on the key. */
  readonly holds: readonly Hold[];
  readonly grantedAt: number;
  readonly positionAtArrival: number;
  readonly etaMsAtArrival: number;
  readonly #waiter: QueuedWaiter;
  /** Its place among those that run. */
  node: ListNode<RunningGrant> | null = null;
  /** Lane-milliseconds charged so far. */
  chargedMs: number;
  sentAt: number | null = null;
  /** Calls in flight on its key and model when it was sent, itself included. */
  inFlightAtSend = 0;
  firstByteAt: number | null = null;
  bytes = 0;
  /** When its cost was last looked at. */
  pricedAt = 0;
  endedAt: number | null = null;
  isSettled = false;
  /** What the upstream said that it used, when that came before its end. */
  usage: Usage | null = null;
  isGood = false;
  /** False: the upstream refused it before any answer, so that no token was used unless it reports some. */
  tookTokens = true;
  /** Whether what the upstream said was worth another try; null: it has not said anything. */
  isWorthAnotherTry: boolean | null = null;
  /** What the upstream refused it with: it cost its user nothing then. */
  upstreamRefusal: Place["upstreamRefusal"] = null;
  /** Keys that have failed it, this one included where that may be the key's fault. */
  triedKeys: readonly string[];
  /** How long it has run when another key was to have it: that was no waiting. Null: none was to. */
  passedOnAfterMs: number | null = null;

  constructor(
    waiter: QueuedWaiter,
    key: UpstreamKey,
    keyModel: KeyModel,
    holds: readonly Hold[],
    chargedMs: number,
    now: number,
  ) {
    this.#waiter = waiter;
    this.call = waiter.call;
    this.session = waiter.session;
    this.positionAtArrival = waiter.positionAtArrival;
    this.etaMsAtArrival = waiter.etaMsAtArrival;
    this.key = key;
    this.keyModel = keyModel;
    this.triedKeys = waiter.triedKeys;
    this.holds = holds;
    this.chargedMs = chargedMs;
    this.grantedAt = now;
  }

  get upstreamKey(): string {
    return this.key.name;
  }

  /** Where another try may go. */
  get to(): Destination {
    const { triedKeys } = this;
    const { model, upstreamKey, keyKind, affinity } = this.#waiter;
    return { model, upstreamKey, keyKind, affinity, triedKeys, deadlineAt: this.#deadlineAt };
  }

  /** The time that another key has taken from it is given back, as far as its client waits. */
  get #deadlineAt(): number {
    const { arrivedAt, deadlineAt, call } = this.#waiter;
    if (this.passedOnAfterMs === null) return deadlineAt;
    return Math.min(deadlineAt + this.passedOnAfterMs, arrivedAt + (call.patienceMs ?? Number.POSITIVE_INFINITY));
  }

  get arrivedAt(): number {
    return this.#waiter.arrivedAt;
  }

  get tryCount(): number {
    return this.#waiter.tryCount;
  }

  /** Does not linger: the upstream alone needs time to notice that a call was aborted. */
  get userHold(): Hold {
    return this.holds[0] as Hold;
  }

  /** To be offered again with. */
  get place(): Place {
    const { sequence, arrivedAt, tryCount } = this.#waiter;
    // What is wrong with one key is nothing that a client should hear of while others serve.
    const upstreamRefusal = this.passedOnAfterMs === null ? this.upstreamRefusal : this.#waiter.upstreamRefusal;
    return {
      sequence,
      arrivedAt,
      deadlineAt: this.#deadlineAt,
      tryCount: tryCount + 1,
      upstreamRefusal,
      triedKeys: this.triedKeys,
    };
  }
}

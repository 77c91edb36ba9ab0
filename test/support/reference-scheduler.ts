// The fair scheduler as plainly as it can be said: one array of waiting calls, looked through from end to end for each
// decision. It is what the real core is compared with, call by call. It knows rates, calls at once, users' limits,
// weights, classes, flows, a full queue and deadlines; it knows neither tokens nor an upstream that refuses.

import type { OfferedCall } from "../../src/admission/core.ts";
import type { AdmissionLimits, GateLimits } from "../../src/admission/scheduler.ts";

export type ReferenceAnswer =
  | { readonly kind: "granted"; readonly callId: string }
  | { readonly kind: "refused"; readonly callId: string; readonly reason: string };

interface Waiting {
  readonly call: OfferedCall;
  readonly sequence: number;
  readonly deadlineAt: number;
}

interface Running {
  readonly call: OfferedCall;
  readonly chargedMs: number;
  sentAt: number | null;
}

/** A class, a user in it or a flow of that user. */
interface Node {
  readonly weight: number;
  readonly parent: Node | null;
  /** v: service that it had, by its weight. */
  virtualTime: number;
  /** V: v of the child that was served last, before its charge. Never goes back. */
  present: number;
  /** In the order in which nodes began to wait. */
  waitsSince: number;
}

const classWeights = { interactive: 16, default: 4, batch: 1 };
const debtMsMax = 60_000;
/** Share of the newest call in the mean of what calls take. */
const meanShare = 0.2;

export class ReferenceScheduler {
  readonly #limits: AdmissionLimits;
  readonly #key: GateLimits;
  #waiting: Waiting[] = [];
  readonly #running = new Map<string, Running>();
  /** All sends there ever were. */
  readonly #sends: { readonly call: OfferedCall; readonly at: number }[] = [];
  /** When aborted calls no longer count. */
  readonly #lingering: { readonly call: OfferedCall; readonly until: number }[] = [];
  readonly #root = createNode(1, null);
  readonly #nodes = new Map<string, Node>();
  readonly #meanSlotMs = new Map<string, number>();
  #sequence = 0;

  /** Of the keys, only the first counts. */
  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#key = limits.keys[0] as GateLimits;
  }

  offer(call: OfferedCall, now: number): ReferenceAnswer[] {
    const answers = this.#expire(now);
    const patienceMs = Math.min(this.#limits.queueTimeoutMs, call.patienceMs ?? Number.POSITIVE_INFINITY);
    // A repeated call is as if it had come before all that were not.
    const sequence = this.#sequence++ - call.retryCount * 2 ** 40;
    const arrival: Waiting = { call, sequence, deadlineAt: now + patienceMs };
    if (this.#mayStart(call, now) && !this.#waiting.some((other) => this.#mayStart(other.call, now))) {
      this.#enter(call);
      this.#start(arrival);
      return [...answers, { kind: "granted", callId: call.callId }];
    }
    const { userQueueCapacity, queueCapacity } = this.#limits;
    const own = this.#waiting.filter((other) => other.call.userId === call.userId);
    if (userQueueCapacity !== null && own.length >= userQueueCapacity)
      return [...answers, refused(call, "user_queue_full")];
    if (this.#waiting.length >= queueCapacity) {
      const victim = this.#findVictim(call);
      if (!victim) return [...answers, refused(call, "queue_full")];
      this.#leaveQueue(victim);
      answers.push(refused(victim.call, "queue_full"));
    }
    this.#enter(call);
    this.#waiting.push(arrival);
    return answers;
  }

  sent(callId: string, now: number): void {
    const running = this.#running.get(callId) as Running;
    running.sentAt = now;
    this.#sends.push({ call: running.call, at: now });
  }

  release(callId: string, how: "ended" | "aborted", now: number): void {
    const { call, chargedMs, sentAt } = this.#running.get(callId) as Running;
    this.#running.delete(callId);
    if (how === "aborted" && sentAt !== null) {
      this.#lingering.push({ call, until: now + this.#limits.abortLingerMs });
    }
    const slotMs = sentAt === null ? 0 : now - sentAt;
    const actualMs = sentAt === null ? 0 : this.#priceOf(call, slotMs);
    this.#pay(call, actualMs - chargedMs);
    if (how === "ended" && sentAt !== null) {
      moveMean(this.#meanSlotMs, `${call.model} ${call.userId}`, slotMs);
      moveMean(this.#meanSlotMs, call.model, slotMs);
    }
  }

  cancel(callId: string): void {
    const waiting = this.#waiting.find(({ call }) => call.callId === callId);
    if (waiting) this.#leaveQueue(waiting);
  }

  tick(now: number): ReferenceAnswer[] {
    const answers = this.#expire(now);
    for (;;) {
      const startable = this.#waiting.filter(({ call }) => this.#mayStart(call, now));
      if (startable.length === 0) return answers;
      const next = this.#pick(startable);
      this.#waiting = this.#waiting.filter((other) => other !== next);
      this.#start(next);
      answers.push({ kind: "granted", callId: next.call.callId });
    }
  }

  /** Whoever has nothing waiting starts at the present: what was not asked for is not owed. */
  #enter(call: OfferedCall): void {
    for (const node of this.#pathOf(call)) {
      if (this.#waiting.some((other) => this.#pathOf(other.call).includes(node))) continue;
      node.waitsSince = ++this.#sequence;
      node.virtualTime = Math.max(node.virtualTime, (node.parent as Node).present);
    }
  }

  #expire(now: number): ReferenceAnswer[] {
    const late = this.#waiting.filter(({ deadlineAt }) => deadlineAt <= now);
    for (const waiting of late) this.#leaveQueue(waiting);
    return late.map(({ call }) => refused(call, "queue_timeout"));
  }

  #mayStart(call: OfferedCall, now: number): boolean {
    const { user, sendGuardMs, models } = this.#limits;
    const model = models.find(({ pattern }) => pattern === call.model);
    const isOfUser = (other: OfferedCall) => other.userId === call.userId;
    const isOfModel = (other: OfferedCall) => other.model === call.model;
    return (
      this.#hasRoom(this.#key, sendGuardMs, now, true, () => true) &&
      (!model || this.#hasRoom(model, sendGuardMs, now, true, isOfModel)) &&
      this.#hasRoom(user, 0, now, false, isOfUser)
    );
  }

  #hasRoom(
    limits: GateLimits,
    guardMs: number,
    now: number,
    isUpstream: boolean,
    isIn: (call: OfferedCall) => boolean,
  ): boolean {
    const running = Array.from(this.#running.values()).filter(({ call }) => isIn(call));
    const lingering = this.#lingering.filter(({ call, until }) => isUpstream && isIn(call) && until > now);
    if (limits.concurrencyMax !== null && running.length + lingering.length >= limits.concurrencyMax) return false;
    if (limits.startsPerSecond === null) return true;
    const startsMax = Math.max(1, Math.floor(limits.startsPerSecond));
    const windowMs = (startsMax / limits.startsPerSecond) * 1_000 + guardMs;
    const recent = this.#sends.filter(({ call, at }) => isIn(call) && now < at + windowMs);
    const unsent = running.filter(({ sentAt }) => sentAt === null);
    return recent.length + unsent.length < startsMax;
  }

  /** Down the tree: the child with the least virtual time, among equals the one that began to wait first. */
  #pick(startable: readonly Waiting[]): Waiting {
    const nextOf = (calls: readonly Waiting[], depth: number): Waiting => {
      if (depth === 3) return calls.reduce((a, b) => (goesFirst(a, b) ? a : b));
      const children = Map.groupBy(calls, ({ call }) => this.#pathOf(call)[depth] as Node);
      const heads = Array.from(children, ([node, below]) => ({ node, next: nextOf(below, depth + 1) }));
      return heads.reduce((a, b) => (isServedFirst(a, b) ? a : b)).next;
    };
    return nextOf(startable, 0);
  }

  #start({ call }: Waiting): void {
    const known = this.#meanSlotMs.get(`${call.model} ${call.userId}`) ?? this.#meanSlotMs.get(call.model) ?? 0;
    const chargedMs = this.#priceOf(call, known);
    for (const node of this.#pathOf(call)) {
      const parent = node.parent as Node;
      parent.present = Math.max(parent.present, node.virtualTime);
    }
    this.#pay(call, chargedMs);
    this.#running.set(call.callId, { call, chargedMs, sentAt: null });
  }

  #pay(call: OfferedCall, costMs: number): void {
    for (const node of this.#pathOf(call)) {
      const most = Math.max(node.virtualTime, (node.parent as Node).present + debtMsMax / node.weight);
      node.virtualTime = Math.max(0, Math.min(most, node.virtualTime + costMs / node.weight));
    }
  }

  #priceOf({ model }: OfferedCall, slotMs: number): number {
    const { startsPerSecond } = this.#key;
    const ofModel = this.#limits.models.find(({ pattern }) => pattern === model)?.concurrencyMax ?? null;
    const bounds = [this.#key.concurrencyMax, ofModel].filter((bound) => bound !== null);
    const concurrencyMax = bounds.length === 0 ? null : Math.min(...bounds);
    const start = startsPerSecond === null ? 0 : 1_000 / startsPerSecond;
    // Without any bound a start still counts, or whoever asks most would be served most.
    return Math.max(start, concurrencyMax === null ? 0 : slotMs / concurrencyMax) || 1;
  }

  /** The newest call of the user with most waiting for its weight, if that is far enough ahead of the arriver. */
  #findVictim(arriver: OfferedCall): Waiting | null {
    const byUser = Map.groupBy(this.#waiting, ({ call }) => this.#pathOf(call)[1] as Node);
    const backlogs = Array.from(byUser, ([node, calls]) => ({
      calls,
      weight: node.weight * (node.parent as Node).weight,
      classWeight: (node.parent as Node).weight,
      since: node.waitsSince,
    }));
    if (backlogs.length === 0) return null;
    const longest = backlogs.reduce((a, b) => (isLonger(b, a) ? b : a));
    const own = byUser.get(this.#pathOf(arriver)[1] as Node)?.length ?? 0;
    const ownWeight = arriver.weight * classWeights[arriver.class];
    if ((longest.calls.length - 1) / longest.weight < (own + 1) / ownWeight) return null;
    return longest.calls.reduce((a, b) => (a.sequence > b.sequence ? a : b));
  }

  #leaveQueue(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
  }

  /** Class, user, flow. */
  #pathOf({ class: trafficClass, userId, weight, flowId }: OfferedCall): readonly Node[] {
    const byClass = this.#nodeAt(trafficClass, classWeights[trafficClass], this.#root);
    const byUser = this.#nodeAt(`${trafficClass} ${userId}`, weight, byClass);
    return [byClass, byUser, this.#nodeAt(`${trafficClass} ${userId} ${flowId}`, 1, byUser)];
  }

  #nodeAt(path: string, weight: number, parent: Node): Node {
    const known = this.#nodes.get(path);
    if (known) return known;
    const node = createNode(weight, parent);
    this.#nodes.set(path, node);
    return node;
  }
}

function createNode(weight: number, parent: Node | null): Node {
  return { weight, parent, virtualTime: 0, present: 0, waitsSince: 0 };
}

interface Backlog {
  readonly calls: readonly Waiting[];
  readonly weight: number;
  readonly classWeight: number;
  /** When it began to wait, in the order of users. */
  readonly since: number;
}

/** By what would be left without the newest call; among equals of a class, who began to wait last. */
function isLonger(a: Backlog, b: Backlog): boolean {
  const [aLength, bLength] = [(a.calls.length - 1) / a.weight, (b.calls.length - 1) / b.weight];
  if (aLength !== bLength) return aLength > bLength;
  return a.classWeight === b.classWeight ? a.since > b.since : a.classWeight < b.classWeight;
}

function goesFirst(a: Waiting, b: Waiting): boolean {
  return a.sequence < b.sequence;
}

/** Who has had less, else who began to wait first. */
function isServedFirst(a: { node: Node }, b: { node: Node }): boolean {
  if (a.node.virtualTime !== b.node.virtualTime) return a.node.virtualTime < b.node.virtualTime;
  return a.node.waitsSince < b.node.waitsSince;
}

function moveMean(means: Map<string, number>, name: string, value: number): void {
  const mean = means.get(name);
  means.set(name, mean === undefined ? value : mean + (value - mean) * meanShare);
}

function refused({ callId }: OfferedCall, reason: string): ReferenceAnswer {
  return { kind: "refused", callId, reason };
}

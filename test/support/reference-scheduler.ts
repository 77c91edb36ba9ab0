// The fair scheduler as plainly as it can be said: one array of waiting calls, looked through from end to end for each
// decision. It is what the real core is compared with, call by call. It knows several keys of accounts, their weights,
// rates, calls at once and tokens, users' limits, weights, classes, flows, a full queue and deadlines; it knows no
// upstream that refuses.

import type { OfferedCall } from "../../src/admission/core.ts";
import type { AdmissionLimits, GateLimits, KeyLimits } from "../../src/admission/scheduler.ts";

export type ReferenceAnswer =
  | { readonly kind: "granted"; readonly callId: string }
  | { readonly kind: "refused"; readonly callId: string; readonly reason: string };

interface Waiting {
  readonly call: OfferedCall;
  readonly sequence: number;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
}

interface Running {
  readonly call: OfferedCall;
  readonly key: KeyLimits;
  readonly chargedMs: number;
  /** What it takes of the even spacing, by scope. */
  readonly slots: ReadonlyMap<string, { readonly at: number; readonly beforeAt: number }>;
  sentAt: number | null;
}

/** Calls that share a rate, which spaces those that wait. */
interface SpacedScope {
  readonly name: string;
  readonly startsMax: number;
  readonly windowMs: number;
  isIn(trace: Trace): boolean;
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
  /** What it owes beyond the bound on debt: set off against what it gets back. */
  forgiven: number;
}

const classWeights = { interactive: 16, default: 4, batch: 1 };
const debtMsMax = 60_000;
/** Share of the newest call in the mean of what calls take. */
const meanShare = 0.2;
const minuteMs = 60_000;
/** An account without a bound counts as four times the largest, and at least so many places. */
const unboundPlacesMin = 8;
/** A start may be late by so much of the window, and the slots go on as if it was not. */
const latenessShare = 0.1;
/** The next one then comes sooner, but not by more than this. */
const catchUpShare = 0.75;
const timerMs = 2;
/** Tokens are forgotten by the tenth of a second. */
const tokenStepMs = 100;

/** A call that was somewhere at some time. */
interface Trace {
  readonly call: OfferedCall;
  readonly key: KeyLimits;
}

interface Means {
  slotMs: number;
  tokens: number;
}

export class ReferenceScheduler {
  readonly #limits: AdmissionLimits;
  #waiting: Waiting[] = [];
  readonly #running = new Map<string, Running>();
  /** All sends there ever were. */
  readonly #sends: (Trace & { readonly at: number })[] = [];
  /** When aborted calls no longer count. */
  readonly #lingering: (Trace & { readonly until: number })[] = [];
  /** What was used at each call's end. */
  readonly #used: (Trace & { readonly at: number; readonly tokens: number })[] = [];
  readonly #root = createNode(1, null);
  readonly #nodes = new Map<string, Node>();
  readonly #means = new Map<string, Means>();
  /** Calls that each key was chosen for, by its weight, and the fewest when one was last chosen. */
  readonly #turns = new Map<KeyLimits, number>();
  /** When the last start was due, and when it came if its call had waited, by scope. */
  readonly #slots = new Map<string, number>();
  readonly #lastStarts = new Map<string, number>();
  #leastTurns = 0;
  #sequence = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  offer(call: OfferedCall, now: number): ReferenceAnswer[] {
    const answers = this.#expire(now);
    const { userQueueCapacity, queueCapacity, queueTimeoutMs, keys } = this.#limits;
    if (!keys.some((key) => serves(key, call))) return [...answers, refused(call, "invalid_field")];
    const patienceMs = Math.min(queueTimeoutMs, call.patienceMs ?? Number.POSITIVE_INFINITY);
    // A repeated call is as if it had come before all that were not.
    const sequence = this.#sequence++ - call.retryCount * 2 ** 40;
    const arrival: Waiting = { call, sequence, arrivedAt: now, deadlineAt: now + patienceMs };
    this.#enter(call);
    this.#waiting.push(arrival);
    answers.push(...this.#startAll(now));
    if (!this.#waiting.includes(arrival)) return answers;
    const own = this.#waiting.filter((other) => other.call.userId === call.userId);
    if (userQueueCapacity !== null && own.length > userQueueCapacity) {
      this.#leaveQueue(arrival);
      return [...answers, refused(call, "user_queue_full")];
    }
    if (this.#waiting.length > queueCapacity) {
      const victim = this.#findVictim(call) ?? arrival;
      this.#leaveQueue(victim);
      answers.push(refused(victim.call, "queue_full"));
    }
    return answers;
  }

  sent(callId: string, now: number): void {
    const running = this.#running.get(callId) as Running;
    running.sentAt = now;
    this.#sends.push({ ...running, at: now });
  }

  /** `tokens` are those that it has used. */
  release(callId: string, how: "ended" | "aborted", tokens: number, now: number): void {
    const { call, key, chargedMs, slots, sentAt } = this.#running.get(callId) as Running;
    this.#running.delete(callId);
    if (sentAt === null) {
      for (const [name, { at, beforeAt }] of slots) {
        // If nothing has started since, it is as if this had not either.
        if (this.#slots.get(name) !== at) continue;
        this.#slots.set(name, beforeAt);
        this.#lastStarts.delete(name);
      }
      this.#pay(call, -chargedMs);
      return;
    }
    if (how === "aborted") this.#lingering.push({ call, key, until: now + this.#limits.abortLingerMs });
    this.#used.push({ call, key, at: now, tokens });
    const taken = { slotMs: now - sentAt, tokens };
    this.#pay(call, this.#priceOf(call, taken) - chargedMs);
    if (how === "ended") {
      moveMeans(this.#means, `${call.model} ${call.userId}`, taken);
      moveMeans(this.#means, call.model, taken);
    }
  }

  cancel(callId: string): void {
    const waiting = this.#waiting.find(({ call }) => call.callId === callId);
    if (waiting) this.#leaveQueue(waiting);
  }

  tick(now: number): ReferenceAnswer[] {
    return [...this.#expire(now), ...this.#startAll(now)];
  }

  #startAll(now: number): ReferenceAnswer[] {
    const answers: ReferenceAnswer[] = [];
    for (let found = this.#next(now); found; found = this.#next(now)) {
      const { waiting, key } = found;
      this.#leaveQueue(waiting);
      this.#leastTurns = this.#turnsOf(key);
      this.#turns.set(key, this.#leastTurns + 1 / (key.weight ?? 1));
      this.#start(waiting, key, now);
      answers.push({ kind: "granted", callId: waiting.call.callId });
    }
    return answers;
  }

  /**
   * In fair order, the first that has all it needs. One that lacks only tokens is passed, but not by its own session,
   * and not on the key that has the tokens for it first.
   */
  #next(now: number): { waiting: Waiting; key: KeyLimits } | null {
    const kept: string[] = [];
    const passed: Waiting[] = [];
    for (;;) {
      const openKeysOf = ({ call }: Waiting) =>
        this.#openKeys(call, now).filter((key) => !kept.includes(accountOf(key)));
      const candidates = this.#waiting.filter(
        (waiting) =>
          !passed.some((other) => this.#isOneList(other.call, waiting.call)) && openKeysOf(waiting).length > 0,
      );
      if (candidates.length === 0) return null;
      const waiting = this.#pick(candidates);
      const open = openKeysOf(waiting).map((key) => ({
        key,
        load: this.#loadOf(key, now),
        turns: this.#turnsOf(key),
        tokensAt: this.#tokensAt(key, waiting.call.outputTokensMax ?? 0, now),
      }));
      const ready = open.filter(({ tokensAt }) => tokensAt <= now);
      const isTaken = (a: { load: number; turns: number }, b: { load: number; turns: number }) =>
        a.load < b.load || (a.load === b.load && a.turns < b.turns);
      if (ready.length > 0) return { waiting, key: ready.reduce((a, b) => (isTaken(b, a) ? b : a)).key };
      kept.push(accountOf(open.reduce((a, b) => (b.tokensAt < a.tokensAt ? b : a)).key));
      passed.push(waiting);
    }
  }

  /** Calls of a flow pass each other only where models wait apart. */
  #isOneList(a: OfferedCall, b: OfferedCall): boolean {
    const { models, keys } = this.#limits;
    const isApart = ({ model }: OfferedCall) =>
      models.some(({ pattern }) => pattern === model) || (keys.length > 1 && keys.some((key) => key.models !== null));
    return this.#pathOf(a)[2] === this.#pathOf(b)[2] && (a.model === b.model || !(isApart(a) || isApart(b)));
  }

  /** Whoever has nothing waiting starts at the present: what was not asked for is not owed. */
  #enter(call: OfferedCall): void {
    for (const node of this.#pathOf(call)) {
      if (this.#waiting.some((other) => this.#pathOf(other.call).includes(node))) continue;
      node.waitsSince = ++this.#sequence;
      const { present } = node.parent as Node;
      if (node.virtualTime >= present) continue;
      node.virtualTime = present;
      node.forgiven = 0;
    }
  }

  #expire(now: number): ReferenceAnswer[] {
    const late = this.#waiting.filter(({ deadlineAt }) => deadlineAt <= now);
    for (const waiting of late) this.#leaveQueue(waiting);
    return late.map(({ call }) => refused(call, "queue_timeout"));
  }

  /** Keys that may start the call now, if they have the tokens for it. */
  #openKeys(call: OfferedCall, now: number): KeyLimits[] {
    const { keys, user, sendGuardMs, models } = this.#limits;
    if (!this.#hasRoom(user, 0, now, false, (other) => other.call.userId === call.userId)) return [];
    const model = models.find(({ pattern }) => pattern === call.model);
    return keys.filter((key) => {
      const isOfKey = (other: Trace) => accountOf(other.key) === accountOf(key);
      const isOfModel = (other: Trace) => isOfKey(other) && other.call.model === call.model;
      return (
        serves(key, call) &&
        // After a call beyond the limit it is shut for all.
        this.#tokensAt(key, 0, now) <= now &&
        this.#spacedScopes(key, call).every((scope) => this.#isSpaced(scope, now)) &&
        this.#hasRoom(key, sendGuardMs, now, true, isOfKey) &&
        (!model || this.#hasRoom(model, sendGuardMs, now, true, isOfModel))
      );
    });
  }

  #hasRoom(
    limits: GateLimits,
    guardMs: number,
    now: number,
    isUpstream: boolean,
    isIn: (trace: Trace) => boolean,
  ): boolean {
    const running = Array.from(this.#running.values()).filter(isIn);
    const lingering = this.#lingering.filter((trace) => isUpstream && isIn(trace) && trace.until > now);
    if (limits.concurrencyMax !== null && running.length + lingering.length >= limits.concurrencyMax) return false;
    if (limits.startsPerSecond === null) return true;
    const startsMax = Math.max(1, Math.floor(limits.startsPerSecond));
    const windowMs = (startsMax / limits.startsPerSecond) * 1_000 + guardMs;
    const recent = this.#sends.filter((trace) => isIn(trace) && now < trace.at + windowMs);
    const unsent = running.filter(({ sentAt }) => sentAt === null);
    return recent.length + unsent.length < startsMax;
  }

  /** When the key has so many tokens, as far as that is known; Infinity: when calls that run have ended. */
  #tokensAt(key: KeyLimits, wanted: number, now: number): number {
    const max = key.tokensPerMinute;
    if (max === null) return now;
    const reserved = Array.from(this.#running.values())
      .filter((running) => accountOf(running.key) === accountOf(key))
      .reduce((sum, running) => sum + (running.call.outputTokensMax ?? 0), 0);
    const used = this.#used
      .filter((trace) => accountOf(trace.key) === accountOf(key))
      .map(({ at, tokens }) => ({ tokens, until: this.#forgottenAt(at) }));
    const fitsAt = [now, ...used.map(({ until }) => until)].filter((at) => {
      const counting = used.filter(({ until }) => at < until).reduce((sum, { tokens }) => sum + tokens, reserved);
      // What no minute has room for may start alone.
      return at >= now && (counting + wanted <= max || counting === 0);
    });
    return Math.min(...fitsAt, Number.POSITIVE_INFINITY);
  }

  #forgottenAt(at: number): number {
    return (Math.floor(at / tokenStepMs) + 1) * tokenStepMs + minuteMs + this.#limits.sendGuardMs;
  }

  /** Share of its account's places that is taken, by weight. */
  #loadOf(key: KeyLimits, now: number): number {
    const { keys } = this.#limits;
    const isOfAccount = (trace: { key: KeyLimits }) => accountOf(trace.key) === accountOf(key);
    const running = Array.from(this.#running.values()).filter(isOfAccount);
    const lingering = this.#lingering.filter((trace) => isOfAccount(trace) && trace.until > now);
    const largest = Math.max(...keys.map(({ concurrencyMax }) => concurrencyMax ?? 0));
    const places = key.concurrencyMax ?? Math.max(unboundPlacesMin, 4 * largest);
    const weight = Math.max(...keys.filter((other) => accountOf(other) === accountOf(key)).map(weightOf));
    return (running.length + lingering.length) / (places * weight);
  }

  #turnsOf(key: KeyLimits): number {
    return Math.max(this.#turns.get(key) ?? 0, this.#leastTurns);
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

  /** The account and the model on it, where they have a rate. */
  #spacedScopes(key: KeyLimits, call: OfferedCall): SpacedScope[] {
    const { models, sendGuardMs } = this.#limits;
    const isOfKey = (other: Trace) => accountOf(other.key) === accountOf(key);
    const isOfModel = (other: Trace) => isOfKey(other) && other.call.model === call.model;
    const model = models.find(({ pattern }) => pattern === call.model);
    return [
      { name: accountOf(key), limits: key, isIn: isOfKey },
      { name: `${accountOf(key)} ${call.model}`, limits: model, isIn: isOfModel },
    ].flatMap(({ name, limits, isIn }) => {
      const rate = limits?.startsPerSecond ?? null;
      if (rate === null) return [];
      const startsMax = Math.max(1, Math.floor(rate));
      return [{ name, startsMax, windowMs: (startsMax / rate) * 1_000 + sendGuardMs, isIn }];
    });
  }

  #slotAfterLast({ name, startsMax, windowMs }: SpacedScope): number {
    return (this.#slots.get(name) ?? Number.NEGATIVE_INFINITY) + windowMs / startsMax;
  }

  #isSpaced(scope: SpacedScope, now: number): boolean {
    const lastAt = this.#lastStarts.get(scope.name) ?? Number.NEGATIVE_INFINITY;
    const spacingMs = scope.windowMs / scope.startsMax;
    return this.#slotAfterLast(scope) <= now && lastAt + Math.max(0, spacingMs * catchUpShare - timerMs) <= now;
  }

  /** A call that did not have to wait may use slots of the last window; one that had may be late for its own. */
  #takeSlot(scope: SpacedScope, hasWaited: boolean, now: number): number {
    const { startsMax, windowMs, isIn } = scope;
    const dueAt = this.#slotAfterLast(scope);
    if (!hasWaited) return Math.max(dueAt, now - (windowMs - windowMs / startsMax));
    const unsent = Array.from(this.#running.values()).filter((other) => isIn(other) && other.sentAt === null);
    const sends = this.#sends.filter(isIn).sort((a, b) => b.at - a.at);
    const lastInWay = sends[startsMax - 1 - unsent.length];
    const openedAt = lastInWay ? lastInWay.at + windowMs : Number.NEGATIVE_INFINITY;
    const latenessMsMax = windowMs * latenessShare;
    return Math.max(openedAt - dueAt > latenessMsMax ? openedAt : dueAt, now - latenessMsMax);
  }

  #start({ call, arrivedAt }: Waiting, key: KeyLimits, now: number): void {
    const hasWaited = arrivedAt < now;
    const slots = new Map<string, { at: number; beforeAt: number }>();
    for (const scope of this.#spacedScopes(key, call)) {
      const beforeAt = this.#slots.get(scope.name) ?? Number.NEGATIVE_INFINITY;
      slots.set(scope.name, { at: this.#takeSlot(scope, hasWaited, now), beforeAt });
    }
    for (const [name, { at }] of slots) {
      this.#slots.set(name, at);
      this.#lastStarts.set(name, hasWaited ? now : Number.NEGATIVE_INFINITY);
    }
    const known = this.#means.get(`${call.model} ${call.userId}`) ?? this.#means.get(call.model);
    const chargedMs = this.#priceOf(call, known ?? { slotMs: 0, tokens: 0 });
    for (const node of this.#pathOf(call)) {
      const parent = node.parent as Node;
      parent.present = Math.max(parent.present, node.virtualTime);
    }
    this.#pay(call, chargedMs);
    this.#running.set(call.callId, { call, key, chargedMs, slots, sentAt: null });
  }

  #pay(call: OfferedCall, costMs: number): void {
    for (const node of this.#pathOf(call)) {
      const most = Math.max(node.virtualTime, (node.parent as Node).present + debtMsMax / node.weight);
      const setOff = Math.max(0, Math.min(-costMs / node.weight, node.forgiven));
      const wanted = node.virtualTime + (costMs / node.weight + setOff);
      node.forgiven += Math.max(0, wanted - most) - setOff;
      node.virtualTime = Math.max(0, Math.min(most, wanted));
    }
  }

  /** By what all keys bear together that serve the model. */
  #priceOf(call: OfferedCall, { slotMs, tokens }: Means): number {
    const serving = this.#limits.keys.filter((key) => serves(key, call));
    // Each account once: its keys have the same limits.
    const keys = [...new Map(serving.map((key) => [accountOf(key), key])).values()];
    const ofModel = this.#limits.models.find(({ pattern }) => pattern === call.model)?.concurrencyMax ?? null;
    const rate = sum(keys, (key) => orUnbound(key.startsPerSecond) / 1_000);
    const slots = sum(keys, (key) => Math.min(orUnbound(key.concurrencyMax), orUnbound(ofModel)));
    const tokenRate = sum(keys, (key) => orUnbound(key.tokensPerMinute) / minuteMs);
    // Without any bound a start still counts, or whoever asks most would be served most.
    return Math.max(1 / rate, slotMs / slots, tokens / tokenRate) || 1;
  }

  /** The newest call of the user with most waiting for its weight, if that is far enough ahead of the arriver's. */
  #findVictim(arriver: OfferedCall): Waiting | null {
    const byUser = Map.groupBy(this.#waiting, ({ call }) => this.#pathOf(call)[1] as Node);
    const backlogs = Array.from(byUser, ([node, calls]) => ({
      calls,
      weight: node.weight * (node.parent as Node).weight,
      classWeight: (node.parent as Node).weight,
      since: node.waitsSince,
    }));
    const longest = backlogs.reduce((a, b) => (isLonger(b, a) ? b : a));
    const own = byUser.get(this.#pathOf(arriver)[1] as Node)?.length ?? 0;
    const ownWeight = arriver.weight * classWeights[arriver.class];
    if ((longest.calls.length - 1) / longest.weight < own / ownWeight) return null;
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
  return { weight, parent, virtualTime: 0, present: 0, waitsSince: 0, forgiven: 0 };
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

function moveMeans(means: Map<string, Means>, name: string, taken: Means): void {
  const mean = means.get(name);
  means.set(name, {
    slotMs: mean ? mean.slotMs + (taken.slotMs - mean.slotMs) * meanShare : taken.slotMs,
    tokens: mean ? mean.tokens + (taken.tokens - mean.tokens) * meanShare : taken.tokens,
  });
}

function serves(key: KeyLimits, { model }: OfferedCall): boolean {
  return key.models === null || key.models.includes(model);
}

function accountOf({ account, name }: KeyLimits): string {
  return account ?? name;
}

function weightOf({ weight = 1 }: KeyLimits): number {
  return weight;
}

function orUnbound(limit: number | null): number {
  return limit ?? Number.POSITIVE_INFINITY;
}

function sum(keys: readonly KeyLimits[], read: (key: KeyLimits) => number): number {
  return keys.reduce((total, key) => total + read(key), 0);
}

function refused({ callId }: OfferedCall, reason: string): ReferenceAnswer {
  return { kind: "refused", callId, reason };
}

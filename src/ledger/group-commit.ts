// The ledger over whatever writes: one write in flight, and what comes meanwhile is the next one; the more there is to
// do, the larger the batches. No timer delays what a call waits for. The ends of calls, for which nobody waits, take the
// next intent's way, or go by themselves a moment later: half as many writes where calls come one after the other.
//
//   begin ──▶ waiting ──▶ writing ──▶ written        a call that ends while its intent waits: one final record, no intent
//   markSent▶ waiting ──▶ writing ──▶ written        one that ends while its send waits: the final record alone
//   settle ─▶ waiting ──▶ writing ──▶ written
//                 ▲──────────┘ failed: again after a pause, until it works
//
// While writing fails, strict refuses calls (`ledger_unavailable`), for nothing may be sent that was not noted; lenient
// lets them go on, and keeps their records in memory as far as there is room.

import { noCharge } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import { StoreError } from "../store/store.ts";
import { createFailureAlarm, createLossCount, type OnAlarm } from "./alarms.ts";
import { Backlog, type Entry, type TrackedCall } from "./backlog.ts";
import { type Change, type Content, toFinal, toIntent, toSent } from "./change.ts";
import type { Ledger, LedgerGauges } from "./ledger.ts";
import type { CallRecord } from "./record.ts";

/** Where changes go. */
export interface Sink {
  /**
   * All or none, durable when it resolves; a change that is there already changes nothing. Rejects with StoreError while
   * nothing can be written, and with another error for a change that never can.
   */
  write(changes: readonly Change[]): Promise<void>;
}

export interface GroupCommitOptions {
  readonly sink: Sink;
  /** Which process writes. */
  readonly instance: string;
  readonly isStrict: boolean;
  readonly clock: Clock;
  readonly onAlarm: OnAlarm;
  /** What was said in a call that has ended; null: nothing that is stored. Default: null. */
  readonly contentOf?: (record: CallRecord) => Content | null;
  /** How long the end of a call waits for others to go with; a sudden end of the process makes it `unknown`. Default: 10. */
  readonly lingerMs?: number;
}

interface BegunCall extends TrackedCall {
  /** Its intent. Null: there was none, or it has ended. */
  entry: Entry | null;
  /** That it was sent. Null: it was not, or it has ended. */
  sent: Entry | null;
  readonly estimate: CallRecord["charge"];
}

const batchMax = 500;
/** Ends of calls that wait beside those that are never dropped. */
const looseMax = 10_000;
const contentCharactersMax = 64 * 1024 * 1024;
const retryMs = 1_000;
/** A write that takes longer counts as failing until it returns. */
const stallMs = 5_000;

export function createGroupCommit(options: GroupCommitOptions): Ledger {
  const { sink, instance, isStrict, clock, onAlarm, contentOf = () => null, lingerMs = 10 } = options;
  const calls = new WeakMap<CallRecord, BegunCall>();
  const backlog = new Backlog(looseMax);
  const losses = createLossCount(clock, onAlarm);
  const failure = createFailureAlarm(clock, tellOfFailure, tellOfRecovery);
  let flying: readonly Entry[] = [];
  let isFailing = false;
  /** Between a failure and the next try. */
  let isPaused = false;
  let isStalled = false;
  let isClosing = false;
  let isClosed = false;
  let onIdle = () => {};
  let cancelLinger: (() => void) | null = null;
  /** Ends of calls have waited long enough for others. */
  let isLate = false;
  let cancelRetry = () => {};

  function begin(record: CallRecord, estimate: CallRecord["charge"]): Promise<void> {
    const isBlocked = isPaused || isStalled;
    if (isClosing || (isStrict && isBlocked)) return Promise.reject(toRefusal());
    const call: BegunCall = { intent: "waiting", isSettled: false, entry: null, sent: null, estimate };
    calls.set(record, call);
    const waiter = isBlocked ? null : Promise.withResolvers<void>();
    call.entry = { change: toIntent(record, estimate, instance), call, waiter, node: null };
    backlog.keep(call.entry);
    run();
    return waiter?.promise ?? Promise.resolve();
  }

  function markSent(record: CallRecord): void {
    const call = calls.get(record);
    if (!call || call.isSettled || isClosed) return;
    if (call.sent !== null) backlog.remove(call.sent);
    call.sent = { change: toSent(record, call.estimate, instance), call, waiter: null, node: null };
    backlog.keep(call.sent);
    run();
  }

  function settle(record: CallRecord): void {
    // What strangers try is in the log alone.
    if (record.userId === null) return;
    const call = calls.get(record) ?? {
      intent: "none",
      isSettled: false,
      entry: null,
      sent: null,
      estimate: noCharge,
    };
    if (call.isSettled) return;
    call.isSettled = true;
    calls.set(record, call);
    if (isClosed) {
      losses.add(1);
      return;
    }
    if (call.intent === "waiting" && call.entry !== null) {
      backlog.remove(call.entry);
      call.entry.waiter?.resolve();
      call.intent = "none";
    }
    call.entry = null;
    if (call.sent !== null) backlog.remove(call.sent);
    call.sent = null;
    const hasRoom = !isFailing && backlog.contentCharacters < contentCharactersMax;
    const entry = {
      change: toFinal(record, instance, hasRoom ? contentOf(record) : null),
      call,
      waiter: null,
      node: null,
    };
    if (isStrict && call.intent !== "none") backlog.keep(entry);
    else losses.add(backlog.add(entry));
    run();
  }

  function run(): void {
    if (flying.length > 0 || isPaused || isClosed) return;
    if (backlog.size === 0) {
      onIdle();
      return;
    }
    if (mayLinger()) return;
    flying = backlog.take(batchMax);
    for (const { change, call } of flying) if (change.kind === "intent") call.intent = "writing";
    void write(flying).then(() => {
      flying = [];
      run();
    });
  }

  function mayLinger(): boolean {
    if (backlog.intents > 0 || backlog.size >= batchMax || isFailing || isClosing || isLate || lingerMs === 0) {
      cancelLinger?.();
      cancelLinger = null;
      isLate = false;
      return false;
    }
    cancelLinger ??= clock.after(lingerMs, () => {
      cancelLinger = null;
      isLate = true;
      run();
    });
    return true;
  }

  /** Never rejects. */
  async function write(entries: readonly Entry[]): Promise<void> {
    // The other half has failed meanwhile.
    if (isPaused) return putBack(entries);
    const cancelStall = clock.after(stallMs, noteStall);
    try {
      await sink.write(entries.map(({ change }) => change));
      noteWritten(entries);
    } catch (error) {
      if (error instanceof StoreError) noteFailure(entries, error);
      else if (entries.length === 1) giveUp(entries[0] as Entry, error);
      else await writeHalves(entries);
    } finally {
      cancelStall();
      isStalled = false;
    }
  }

  /** One change among them can't be written: it must not keep the others from it. */
  async function writeHalves(entries: readonly Entry[]): Promise<void> {
    const middle = entries.length >> 1;
    await write(entries.slice(0, middle));
    await write(entries.slice(middle));
  }

  function noteWritten(entries: readonly Entry[]): void {
    for (const { change, call, waiter } of entries) {
      if (change.kind !== "intent") continue;
      call.intent = "written";
      waiter?.resolve();
    }
    isFailing = false;
    failure.clear();
  }

  function giveUp({ change, call, waiter }: Entry, error: unknown): void {
    if (change.kind === "intent") {
      call.intent = "none";
      letIntentGo(waiter, error);
    } else if (change.kind === "final") losses.add(1);
    const text = `the database refuses the record of call ${change.id}: it is given up`;
    onAlarm({ what: "unwritable", id: change.id, text, error });
  }

  function noteFailure(entries: readonly Entry[], error: unknown): void {
    isFailing = true;
    isPaused = true;
    cancelRetry = clock.after(retryMs, () => {
      isPaused = false;
      run();
    });
    putBack(entries, error);
    releaseWaiting(error);
    failure.note(error);
  }

  function putBack(entries: readonly Entry[], error?: unknown): void {
    const kept: Entry[] = [];
    const loose: Entry[] = [];
    for (const entry of entries) {
      const { change, call, waiter } = entry;
      if (change.kind === "intent") {
        letIntentGo(waiter, error);
        entry.waiter = null;
        // Its end, if it is known, says all that it says.
        call.intent = isStrict || call.isSettled ? "none" : "waiting";
        if (call.intent === "waiting") kept.push(entry);
      } else if (change.kind === "sent") {
        // A later send or the end says it too.
        if ((call as BegunCall).sent === entry) kept.push(entry);
      } else (isStrict && call.intent !== "none" ? kept : loose).push(entry);
    }
    losses.add(backlog.putBack(kept, loose));
  }

  function noteStall(): void {
    isStalled = true;
    isFailing = true;
    const error = new StoreError("unavailable", `a write has taken more than ${stallMs / 1_000} s`);
    for (const entry of flying) {
      if (entry.change.kind === "intent") letIntentGo(entry.waiter, error);
      entry.waiter = null;
    }
    releaseWaiting(error);
    failure.note(error);
  }

  /** Strict: calls that wait for their intent are refused. Lenient: they go on, and their intents wait without them. */
  function releaseWaiting(error: unknown): void {
    backlog.filterIntents((entry) => {
      letIntentGo(entry.waiter, error);
      entry.waiter = null;
      if (isStrict) entry.call.intent = "none";
      return !isStrict;
    });
  }

  function letIntentGo(waiter: Entry["waiter"], error: unknown): void {
    if (isStrict) waiter?.reject(toRefusal(error));
    else waiter?.resolve();
  }

  function tellOfFailure(error: unknown): void {
    const consequence = isStrict ? "calls are refused" : "calls go on, their records wait in memory";
    const text = `records of calls can't be written (${error instanceof Error ? error.message : String(error)}): ${consequence}`;
    onAlarm({ what: "failing", text, error });
  }

  function tellOfRecovery(): void {
    losses.flush();
    onAlarm({ what: "recovered", text: "records of calls are written again" });
  }

  async function close(timeoutMs: number): Promise<void> {
    isClosing = true;
    const { promise: isIdle, resolve } = Promise.withResolvers<void>();
    onIdle = resolve;
    const cancel = clock.after(timeoutMs, resolve);
    run();
    await isIdle;
    cancel();
    isClosed = true;
    cancelRetry();
    losses.add(backlog.size);
    losses.flush();
  }

  const gauges = (): LedgerGauges => ({
    waiting: backlog.size + flying.length,
    lost: losses.count,
    spooled: 0,
    isFailing,
  });

  // Who never awaits an intent, since the call was refused before, must not end the process by that.
  return {
    begin(record, estimate) {
      const noted = begin(record, estimate);
      noted.catch(() => {});
      return noted;
    },
    markSent,
    settle,
    gauges,
    close,
  };
}

function toRefusal(cause?: unknown): Refusal {
  return new Refusal("ledger_unavailable", { retryAfterMs: retryMs }, cause);
}

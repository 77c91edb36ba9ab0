// What happens now, for those who watch: each call as it ends, and the queue as it changes. Costs nothing while nobody
// listens. One timer serves all: each second the queue is looked at, and whether everybody may listen still.

import type { SchedulerSnapshot } from "../admission/scheduler.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal } from "../base/refusal.ts";
import type { CallRecord } from "../ledger/record.ts";
import { toCallJson } from "./call-json.ts";
import { toCallRow } from "./call-row.ts";
import { type EventStream, formatEvent } from "./event-stream.ts";
import { toQueueJson } from "./queue-json.ts";

export interface LiveFeed {
  /** Takes the record of a call that has ended, its charge included. Never throws. */
  noteCall(record: CallRecord): void;
  /** Throws `conflict` when too many listen already, or it is closed. Ends with the stream, or by `close`. */
  listen(listener: Listener): void;
  readonly listenerCount: number;
  /** Ends every listener, and takes no more. */
  close(): void;
}

export interface LiveFeedOptions {
  readonly clock: Clock;
  queue(): SchedulerSnapshot;
  /** Of the price list. */
  currency(): string;
}

export interface Listener {
  readonly filter: LiveFilter;
  /** Called when the listener is taken. */
  open(): EventStream;
  /** Asked each second: false ends it. */
  isStillAllowed(): Promise<boolean>;
}

export interface LiveFilter {
  readonly types: ReadonlySet<LiveEventType>;
  readonly user?: string;
  readonly model?: string;
  /** These three of calls alone. */
  readonly group?: string;
  readonly keyId?: string;
  readonly state?: string;
}

export const liveEventTypes = ["call", "queue"] as const;
export type LiveEventType = (typeof liveEventTypes)[number];

export const listenersMax = 100;
const tickMs = 1_000;
const ticksPerHeartbeat = 15;
const heartbeat = ": heartbeat\n\n";

interface Open extends Listener {
  readonly stream: EventStream;
  /** Of the queue as the listener knows it. */
  outline: string;
}

export function createLiveFeed({ clock, queue, currency }: LiveFeedOptions): LiveFeed {
  const listeners = new Set<Open>();
  let isClosed = false;
  let cancelTick = () => {};
  let ticks = 0;

  function listen(listener: Listener): void {
    if (isClosed) throw new Refusal("shutting_down", { retryAfterMs: 2_000 });
    if (listeners.size >= listenersMax) {
      throw new Refusal("conflict", { detail: `${listeners.size} listen already (limit ${listenersMax})` });
    }
    const open: Open = { ...listener, stream: listener.open(), outline: "" };
    if (listeners.size === 0) start();
    listeners.add(open);
    open.stream.onEnd(() => leave(open));
    if (listener.filter.types.has("queue")) noteQueue([open]);
  }

  function leave(listener: Open): void {
    if (listeners.delete(listener) && listeners.size === 0) cancelTick();
  }

  function start(): void {
    ticks = 0;
    cancelTick = clock.after(tickMs, tick);
  }

  function tick(): void {
    cancelTick = clock.after(tickMs, tick);
    ticks++;
    for (const listener of listeners) {
      if (ticks % ticksPerHeartbeat === 0) listener.stream.send(heartbeat);
      void listener.isStillAllowed().then((isAllowed) => isAllowed || drop(listener));
    }
    noteQueue(listeners);
  }

  function drop(listener: Open): void {
    leave(listener);
    listener.stream.end();
  }

  function noteQueue(candidates: Iterable<Open>): void {
    const interested = [...candidates].filter(({ filter }) => filter.types.has("queue"));
    if (interested.length === 0) return;
    const snapshot = queue();
    const outline = outlineOf(snapshot);
    for (const listener of interested) {
      if (listener.outline === outline) continue;
      listener.outline = outline;
      listener.stream.send(formatEvent("queue", toQueueJson(snapshot, listener.filter)));
    }
  }

  function noteCall(record: CallRecord): void {
    // Calls of strangers are in no ledger either.
    if (listeners.size === 0 || record.userId === null) return;
    let text: string | null = null;
    for (const { filter, stream } of listeners) {
      if (!wantsCall(filter, record)) continue;
      text ??= formatEvent("call", toCallJson(toCallRow(record), currency()));
      stream.send(text);
    }
  }

  return {
    noteCall,
    listen,
    get listenerCount() {
      return listeners.size;
    },
    close() {
      isClosed = true;
      for (const listener of listeners) drop(listener);
    },
  };
}

function wantsCall({ types, user, model, group, keyId, state }: LiveFilter, record: CallRecord): boolean {
  return (
    types.has("call") &&
    (user === undefined || user === record.userId) &&
    (model === undefined || model === record.model) &&
    (group === undefined || group === record.groupId) &&
    (keyId === undefined || keyId === record.keyId) &&
    (state === undefined || state === record.outcome)
  );
}

/** What makes a queue another one: who waits and runs, not how long. */
function outlineOf({ waitingCalls, runningCalls }: SchedulerSnapshot): string {
  const waiting = waitingCalls.map(({ callId, blockedBy }) => `${callId} ${blockedBy}`);
  const running = runningCalls.map(({ callId, isSent }) => `${callId} ${isSent}`);
  return `${waiting.join()}|${running.join()}`;
}

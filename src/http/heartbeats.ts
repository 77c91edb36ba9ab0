// Signs of life to a streaming call that waits. The head is held back for a grace period, so that a refusal can still
// be a status; then the stream is opened, and a beat goes out at each interval until the answer takes over.
//
//   queued ── grace ──▶ open, beat ── interval ──▶ beat ── … ──▶ stop: answer, refusal, client gone
//     └── granted within the grace: silent, until the call is queued again

import type { Clock } from "../base/clock.ts";
import type { QueueStanding } from "../base/queue-facts.ts";
import type { HeartbeatStyle } from "../surfaces/surface.ts";

export interface HeartbeatSettings {
  readonly intervalMs: number;
  readonly graceMs: number;
  readonly style: HeartbeatStyle;
}

export interface HeartbeatTarget {
  /** Sends the head. Called once, before the first beat. */
  open(standing: QueueStanding, waitedMs: number): void;
  /** `standing` is null when the call waits for its answer. */
  beat(standing: QueueStanding | null): void;
}

export interface Heartbeats {
  /** The call waits. The grace counts from the first time that it does. */
  queued(look: () => QueueStanding): void;
  granted(): void;
  /** Nothing follows. May be called repeatedly. */
  stop(): void;
}

export function createHeartbeats(settings: HeartbeatSettings, clock: Clock, target: HeartbeatTarget): Heartbeats {
  let look: (() => QueueStanding) | null = null;
  let queuedAt: number | null = null;
  let isOpen = false;
  let isStopped = false;
  let cancel = () => {};

  function beat(): void {
    target.beat(look?.() ?? null);
    if (!isStopped) cancel = clock.after(settings.intervalMs, beat);
  }

  return {
    queued(newLook) {
      const now = clock.now();
      const firstQueuedAt = queuedAt ?? now;
      queuedAt = firstQueuedAt;
      look = newLook;
      if (isOpen || isStopped) return;
      cancel();
      cancel = clock.after(Math.max(0, firstQueuedAt + settings.graceMs - now), () => {
        isOpen = true;
        target.open(newLook(), clock.now() - firstQueuedAt);
        beat();
      });
    },
    granted() {
      look = null;
      if (!isOpen) cancel();
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

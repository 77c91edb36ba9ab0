// What a call's time upstream does to its ticket, its deadline and its record. The seam between the upstream stage
// and the others, so that none of them knows another.

import type { Ticket } from "./admission/scheduler.ts";
import type { Clock } from "./base/clock.ts";
import type { Deadline } from "./deadline.ts";
import type { CallRecord } from "./ledger/record.ts";
import type { Flight } from "./upstream/upstream.ts";

export function trackFlight(
  signal: AbortSignal,
  ticket: Ticket,
  deadline: Deadline,
  record: CallRecord,
  clock: Clock,
): Flight {
  return {
    signal,
    onSent() {
      ticket.markSent();
      record.sentAt = clock.now();
    },
    onHead(status) {
      record.upstreamStatus = status;
    },
    onBytes() {
      record.firstByteAt ??= clock.now();
      deadline.touch();
    },
    onPause: (isPaused) => deadline.setPaused(isPaused),
    onConcluded: () => deadline.stop(),
    onLimited: (holdMs) => ticket.holdLane(holdMs),
    onEnd(how) {
      deadline.stop();
      ticket.release(how);
    },
  };
}

// What a call's time upstream does to its ticket, its deadline and its record. The seam between the upstream stage
// and the others, so that none of them knows another.

import type { Ticket } from "./admission/scheduler.ts";
import type { Clock } from "./base/clock.ts";
import type { Deadline } from "./deadline.ts";
import type { CallRecord } from "./ledger/record.ts";
import type { CallRequest } from "./surfaces/endpoint.ts";
import type { Flight } from "./upstream/upstream.ts";

export interface TrackedFlight extends Flight, Disposable {
  /**
   * For an error of the send: null when the call should be admitted again, since the upstream refused it for its
   * limits or failed for a moment. Throws the error otherwise.
   */
  tryAgainOrThrow(error: unknown): null;
}

/** Disposing says that nothing of the answer is awaited any more: the ticket is settled with what was used. */
export function trackFlight(
  signal: AbortSignal,
  { upload }: Pick<CallRequest, "upload">,
  ticket: Ticket,
  deadline: Deadline,
  record: CallRecord,
  clock: Clock,
): TrackedFlight {
  let isWorthAnotherTry = false;
  return {
    signal,
    upstreamKey: ticket.upstreamKey,
    onSent() {
      ticket.markSent();
      record.sentAt = clock.now();
    },
    onHead(status, upstreamRequestId) {
      record.upstreamStatus = status;
      record.upstreamRequestId = upstreamRequestId;
    },
    onBytes(count) {
      record.firstByteAt ??= clock.now();
      ticket.noteBytes(count);
      deadline.touch();
    },
    onPause: (isPaused) => deadline.setPaused(isPaused),
    onConcluded: () => deadline.stop(),
    onVerdict(verdict) {
      record.upstreamVerdict = verdict.kind;
      isWorthAnotherTry = ticket.report(verdict);
    },
    onEnd(how) {
      deadline.stop();
      ticket.release(how);
    },
    tryAgainOrThrow(error) {
      // What went up as it came can't come again.
      if (!isWorthAnotherTry || signal.aborted || isSpent(upload)) throw error;
      record.tryCount++;
      // Not sent as yet: should it time out in the queue now, it has taken nothing.
      record.sentAt = null;
      record.upstreamStatus = null;
      record.upstreamVerdict = null;
      record.firstByteAt = null;
      return null;
    },
    [Symbol.dispose]: () => ticket.settle(record.usage),
  };
}

function isSpent(upload: CallRequest["upload"]): boolean {
  return upload !== null && (upload.stream.readableDidRead || upload.stream.destroyed);
}

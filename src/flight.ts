// What a call's time upstream does to its ticket, its deadline and its record. The seam between the upstream stage
// and the others, so that none of them knows another.

import type { Ticket } from "./admission/scheduler.ts";
import { type Refusal, refusalOf } from "./base/refusal.ts";
import type { Call } from "./call.ts";
import { type CallTimeouts, startDeadline } from "./deadline.ts";
import { type CallRecord, forgetTry } from "./ledger/record.ts";
import type { Stages } from "./stages.ts";
import type { CallRequest } from "./surfaces/endpoint.ts";
import type { Flight } from "./upstream/upstream.ts";

export interface TrackedFlight extends Flight, Disposable {
  /**
   * For an error of the send: null when the call should be admitted again, since the upstream refused it for its
   * limits or failed for a moment, and another try has a chance. Throws the error otherwise.
   */
  tryAgainOrThrow(error: unknown): null;
}

/** Disposing says that nothing of the answer is awaited any more: the ticket is settled with what was used. */
export function trackFlight(
  call: Pick<Call, "signal" | "abort">,
  { upload }: Pick<CallRequest, "upload">,
  ticket: Ticket,
  timeouts: CallTimeouts,
  record: CallRecord,
  { clock, ledger }: Pick<Stages, "clock" | "ledger">,
): TrackedFlight {
  /** Of this try alone: a key that keeps silent is given up, the call goes on with another. */
  const attempt = new AbortController();
  const onCallAbort = () => attempt.abort(refusalOf(call.signal));
  call.signal.addEventListener("abort", onCallAbort, { once: true });
  if (call.signal.aborted) onCallAbort();
  const deadline = startDeadline(timeouts, clock, expire);
  let isWorthAnotherTry = false;
  let hasHead = false;

  function expire(refusal: Refusal): void {
    if (hasHead || refusal.reason !== "upstream_first_byte_timeout") {
      call.abort(refusal);
      return;
    }
    noteVerdict({ kind: "silent", code: null, waitMs: null, mayHaveRun: true });
    attempt.abort(refusal);
  }

  function noteVerdict(verdict: Parameters<Flight["onVerdict"]>[0]): void {
    record.upstreamVerdict = verdict.kind;
    record.mayHaveRun = verdict.mayHaveRun ?? false;
    isWorthAnotherTry = ticket.report(verdict);
  }

  return {
    signal: attempt.signal,
    userId: record.userId ?? "",
    upstreamKey: ticket.upstreamKey,
    onSent() {
      ticket.markSent();
      record.sentAt = clock.now();
      ledger.markSent(record);
    },
    onHead(status, upstreamRequestId) {
      hasHead = true;
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
    onVerdict: noteVerdict,
    onEnd(how) {
      deadline.stop();
      ticket.release(how);
    },
    tryAgainOrThrow(error) {
      // What went up as it came can't come again.
      if (!isWorthAnotherTry || call.signal.aborted || isSpent(upload)) throw error;
      forgetTry(record);
      return null;
    },
    [Symbol.dispose]() {
      call.signal.removeEventListener("abort", onCallAbort);
      deadline.stop();
      ticket.settle(record.usage);
    },
  };
}

function isSpent(upload: CallRequest["upload"]): boolean {
  return upload !== null && (upload.stream.readableDidRead || upload.stream.destroyed);
}

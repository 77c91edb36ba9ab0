// The life of one call, top to bottom. The stages know nothing of each other; their order is here and nowhere else.

import type { Place } from "./admission/scheduler.ts";
import { toRefusal } from "./base/refusal.ts";
import type { Call } from "./call.ts";
import { captureAnswer } from "./capture.ts";
import { startDeadline } from "./deadline.ts";
import { trackFlight } from "./flight.ts";
import { noteCaller, noteGrant, noteRequest, openRecord } from "./ledger/record.ts";
import { relay } from "./relay/relay.ts";
import type { Stages } from "./stages.ts";
import { toQuotaWish, toWish } from "./wish.ts";

export async function serveCall(call: Call, stages: Stages): Promise<void> {
  const { clock, calls, identity, quotas, ledger, capture, scheduler, upstream } = stages;
  const record = openRecord(call.id, call.surface.name, clock);
  using _alive = calls.enter(call);
  try {
    // 1. Taken in, unless the process is about to end.
    calls.requireOpen();

    // 2. Who is it? Asked before the body is read, so that strangers cost little.
    const caller = await identity.identify(call.credential);
    noteCaller(record, caller);

    // 3. What is wanted?
    const rules = stages.rules();
    const request = call.surface.parseRequest(await call.readBody(), rules.aliases);
    noteRequest(record, request);
    rules.requireModel(caller, request.model);
    call.noteAllowances(() => scheduler.allowances(caller));

    // 4. Can it be afforded? Reserved until it is settled, which charges what it really took; noted before it is sent.
    const reservation = quotas.reserve(caller, { ...toQuotaWish(request), arrivedAt: record.arrivedAt });
    record.reservation = reservation;
    call.noteQuotas(reservation.warnings);
    const noted = ledger.begin(record, reservation.estimate);

    const client = captureAnswer(call.client, capture.open(record, caller, request.body));
    const wish = toWish(call, request);
    for (let place: Place | null = null; record.outcome !== "served"; ) {
      // 5. May it start, when? The ticket is held until the upstream is done, and given back on every way out.
      using ticket = await scheduler.admit(caller, { ...wish, place }, call.signal);
      noteGrant(record, ticket, clock);
      await noted;
      call.noteQueue({ position: ticket.queuePosition, etaMs: ticket.etaMs, waitedMs: ticket.waitedMs });

      // 6. Ask, within the time that an answer may take. Refused for the upstream's limits: back to its old place.
      using deadline = startDeadline(rules.timeoutsFor(request.model), clock, call.abort);
      using flight = trackFlight(call.signal, ticket, deadline, record, clock);
      const answer = await upstream.send(request, flight).catch(flight.tryAgainOrThrow);
      place = ticket.place;
      if (!answer) continue;
      record.upstreamRequestId = answer.upstreamRequestId;

      // 7. Pass it on, byte for byte, to the last one.
      await relay(answer, client, record, stages.relayBounds, call.signal);
      record.outcome = "served";
    }
  } catch (error) {
    record.refusal = toRefusal(error);
    record.outcome = await call.refuse(record.refusal);
  } finally {
    record.endedAt = clock.now();
    stages.settle(record);
  }
}

// The life of one call, top to bottom. The stages know nothing of each other; their order is here and nowhere else.

import type { Place } from "./admission/scheduler.ts";
import { toRefusal } from "./base/refusal.ts";
import type { Call } from "./call.ts";
import { captureAnswer } from "./capture.ts";
import { askWithFallbacks } from "./fallback.ts";
import { trackFlight } from "./flight.ts";
import { isWorthKeeping, noteCaller, noteGrant, noteRequest, noteReservation, openRecord } from "./ledger/record.ts";
import { relay } from "./relay/relay.ts";
import type { Stages } from "./stages.ts";
import { toCacheWish, toQuotaWish, toWish } from "./wish.ts";

export async function serveCall(call: Call, stages: Stages): Promise<void> {
  const { clock, calls, identity, objects, quotas, ledger, capture, cache, scheduler, upstream } = stages;
  const record = openRecord(call.id, call.endpoint.name, clock);
  using _alive = calls.enter(call);
  try {
    // 1. Taken in, unless the process is about to end.
    calls.requireOpen();

    // 2. Who is it? Asked before the body is read, so that strangers cost little.
    const caller = await identity.identify(call.credential);
    noteCaller(record, caller);
    const rules = stages.rules();
    rules.requireEndpoint(caller, call.endpoint);

    // 3. What is wanted, and where does it have to be asked for?
    const wanted = call.endpoint.parseRequest(await call.receive(caller.userId), rules.aliases);
    noteRequest(record, wanted);
    rules.requireModel(caller, wanted.model);
    const home = await objects.locate(caller, wanted);
    call.noteAllowances(() => scheduler.allowances(caller, wanted.family));

    // 4. Can it be afforded? Reserved until it is settled, which charges what it really took; noted before it is sent.
    const reservation = quotas.reserve(caller, toQuotaWish(wanted, record.arrivedAt));
    call.noteQuotas(noteReservation(record, reservation).warnings);
    const noted = ledger.begin(record, reservation.estimate);

    // 5. Was it answered a moment ago, or is it being asked just now? Nearly always there is nothing to look up.
    using turn = cache.open(toCacheWish(call, caller, wanted, rules));
    const client = captureAnswer(call.client, capture.open(record, caller, wanted.body));
    if (await turn.replay(client, call.signal, (state) => call.noteCache(state))) record.outcome = "served";
    const recording = turn.record(client);

    await askWithFallbacks(wanted, { call, caller, record, rules }, async (request) => {
      const wish = toWish(call, caller, request, home);
      for (let place: Place | null = null; record.outcome !== "served"; ) {
        // 6. May it start, when? The ticket is held until the upstream is done, and given back on every way out.
        using ticket = await scheduler.admit(caller, { ...wish, place }, call.signal);
        noteGrant(record, ticket, clock);
        await noted;
        call.noteQueue({ position: ticket.queuePosition, etaMs: ticket.etaMs, waitedMs: ticket.waitedMs });

        // 7. Ask, within the time that an answer may take. Refused for the upstream's limits: back to its old place.
        using flight = trackFlight(call, request, ticket, rules.timeoutsFor(request), record, stages);
        const answer = await upstream.send(request, flight).catch(flight.tryAgainOrThrow);
        place = ticket.place;
        if (!answer) continue;

        // 8. Pass it on, byte for byte, to the last one.
        const reviewed = await objects.review(caller, request, ticket.upstreamKey, answer);
        await relay(reviewed, recording, record, stages.relayBounds(caller.userId), call.signal);
        record.outcome = "served";
        if (isWorthKeeping(record)) turn.keep();
      }
    });
  } catch (error) {
    record.refusal = toRefusal(error);
    record.outcome = await call.refuse(record.refusal);
  } finally {
    record.endedAt = clock.now();
    stages.settle(record);
  }
}

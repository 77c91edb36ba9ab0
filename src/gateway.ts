// The life of one call, top to bottom. The stages know nothing of each other; their order is here and nowhere else.

import type { Place, Scheduler } from "./admission/scheduler.ts";
import type { Clock } from "./base/clock.ts";
import { toRefusal } from "./base/refusal.ts";
import type { Call } from "./call.ts";
import type { CallRegistry } from "./call-registry.ts";
import { startDeadline } from "./deadline.ts";
import { trackFlight } from "./flight.ts";
import type { Identity } from "./identity/identity.ts";
import { noteGrant, openRecord, type Settle } from "./ledger/record.ts";
import { type RelayBounds, relay } from "./relay/relay.ts";
import type { CallRules } from "./rules.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { toWish } from "./wish.ts";

export interface Stages {
  readonly calls: CallRegistry;
  readonly identity: Identity;
  readonly scheduler: Scheduler;
  readonly upstream: Upstream;
  readonly relayBounds: RelayBounds;
  readonly settle: Settle;
  readonly clock: Clock;
  /** What the configuration says now. */
  rules(): CallRules;
}

export async function serveCall(call: Call, stages: Stages): Promise<void> {
  const { clock, calls, identity, scheduler, upstream } = stages;
  const record = openRecord(call.id, call.surface.name, clock);
  using _alive = calls.enter(call);
  try {
    // 1. Taken in, unless the process is about to end.
    calls.requireOpen();

    // 2. Who is it? Asked before the body is read, so that strangers cost little.
    const principal = await identity.identify(call.bearer);
    record.userId = principal.userId;

    // 3. What is wanted?
    const rules = stages.rules();
    const request = call.surface.parseRequest(await call.readBody(), rules.aliases);
    record.model = request.model;
    record.isStream = request.isStream;
    record.bytesIn = request.body.length;

    call.noteAllowances(() => scheduler.allowances(principal));
    const wish = toWish(call, request);
    for (let place: Place | null = null; record.outcome !== "served"; ) {
      // 4. May it start, when? The ticket is held until the upstream is done, and given back on every way out.
      using ticket = await scheduler.admit(principal, { ...wish, place }, call.signal);
      noteGrant(record, ticket, clock);
      call.noteQueue({ position: ticket.queuePosition, etaMs: ticket.etaMs, waitedMs: ticket.waitedMs });

      // 5. Ask, within the time that an answer may take. Refused for the upstream's limits: back to its old place.
      using deadline = startDeadline(rules.timeoutsFor(request.model), clock, call.abort);
      using flight = trackFlight(call.signal, ticket, deadline, record, clock);
      const answer = await upstream.send(request, flight).catch(flight.tryAgainOrThrow);
      place = ticket.place;
      if (!answer) continue;
      record.upstreamRequestId = answer.upstreamRequestId;

      // 6. Pass it on, byte for byte, to the last one.
      await relay(answer, call.client, record, stages.relayBounds, call.signal);
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

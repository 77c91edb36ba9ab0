// In the main thread: one call that a worker serves, in the stages that are the same for all. Holds what the call holds,
// its reservation and its ticket, and gives it back once: at its end, or when its worker is no more.

import type { Scheduler, Standing, Ticket } from "../admission/scheduler.ts";
import { noCharge } from "../base/charge.ts";
import type { Clock } from "../base/clock.ts";
import type { Caller } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import { Refusal, toRefusal } from "../base/refusal.ts";
import type { Identity } from "../identity/identity.ts";
import type { Content } from "../ledger/change.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { CallRecord } from "../ledger/record.ts";
import type { Quotas, Reservation } from "../quota/quotas.ts";
import {
  type CallAnswer,
  type CallQuestion,
  packRefusal,
  type Said,
  unpackRecord,
  unpackRefusal,
  type WireRecord,
  type WireWish,
} from "./messages.ts";

export interface HostStages {
  readonly identity: Pick<Identity, "identify">;
  readonly quotas: Pick<Quotas, "reserve">;
  readonly ledger: Pick<Ledger, "begin">;
  readonly scheduler: Pick<Scheduler, "admit" | "allowances">;
  readonly clock: Clock;
  /** Takes each record once. `content`: what was said, where that is kept. */
  settle(record: CallRecord, content: Content | null): void;
}

type Answer = Said<CallAnswer>;

export class HostedCall {
  readonly #stages: HostStages;
  readonly #answer: (answer: Answer) => void;
  readonly #controller = new AbortController();
  #caller: Caller | null = null;
  #reservation: Reservation | null = null;
  /** Once its start was noted. */
  #record: CallRecord | null = null;
  #look: (() => Standing) | null = null;
  #ticket: Ticket | null = null;
  #isOver = false;

  constructor(stages: HostStages, answer: (answer: Answer) => void) {
    this.#stages = stages;
    this.#answer = answer;
  }

  take(question: CallQuestion): void {
    switch (question.kind) {
      case "identify":
        this.#identify(question.credential);
        return;
      case "reserve":
        this.#reserve(question.wish);
        return;
      case "begin":
        this.#begin(question.record);
        return;
      case "admit":
        this.#admit(question.wish);
        return;
      case "abort":
        this.#controller.abort(unpackRefusal(question.refusal));
        return;
      case "sent":
        if (this.#record) this.#record.sentAt = this.#stages.clock.now();
        this.#ticket?.markSent();
        return;
      case "bytes":
        if (this.#record) this.#record.bytesOut += question.count;
        this.#ticket?.noteBytes(question.count);
        return;
      case "report":
        void this.#report(question.verdict);
        return;
      case "release":
        this.#ticket?.release(question.how);
        return;
      case "settle":
        this.#ticket?.settle(question.usage);
        return;
      case "end":
        this.#end(question.record, question.content);
    }
  }

  /** While it waits: where it stands now. */
  tellStanding(): void {
    if (this.#look) this.#answer({ kind: "queued", standing: this.#look(), allowances: this.#allowances() });
  }

  /** Its worker is no more: nobody will hear of it. What it took is charged as far as it is known. */
  abandon(cause: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const refusal = new Refusal("internal_error", {}, cause);
    this.#controller.abort(refusal);
    this.#ticket?.[Symbol.dispose]();
    const record = this.#record;
    if (record === null) {
      this.#reservation?.settle(noCharge);
      return;
    }
    record.refusal = refusal;
    record.outcome = record.bytesOut > 0 ? "cut" : "refused";
    record.endedAt = this.#stages.clock.now();
    this.#stages.settle(record, null);
  }

  #identify(credential: string | null): void {
    this.#stages.identity.identify(credential).then(
      (caller) => {
        this.#caller = caller;
        // Limits are looked at here alone.
        this.#answer({ kind: "identified", caller: { ...caller, scopes: [] } });
      },
      (error: unknown) => this.#refuse(error),
    );
  }

  #reserve(wish: Parameters<Quotas["reserve"]>[1]): void {
    try {
      const reservation = this.#stages.quotas.reserve(this.#knownCaller(), wish);
      this.#reservation = reservation;
      this.#answer({ kind: "reserved", estimate: reservation.estimate, warnings: reservation.warnings });
    } catch (error) {
      this.#refuse(error);
    }
  }

  #begin(wire: WireRecord): void {
    const record = unpackRecord(wire, this.#reservation);
    this.#record = record;
    this.#stages.ledger.begin(record, this.#reservation?.estimate ?? record.charge).then(
      () => this.#answer({ kind: "noted", refusal: null }),
      (error: unknown) => this.#answer({ kind: "noted", refusal: packRefusal(toRefusal(error)) }),
    );
  }

  #admit(wish: WireWish): void {
    const onQueued = (look: () => Standing) => {
      this.#look = look;
      this.tellStanding();
    };
    this.#stages.scheduler
      .admit(this.#knownCaller(), { ...wish, onQueued }, this.#controller.signal)
      .finally(() => {
        this.#look = null;
      })
      .then(
        (ticket) => this.#grant(ticket),
        (error: unknown) => this.#refuse(error),
      );
  }

  #grant(ticket: Ticket): void {
    if (this.#isOver) {
      ticket[Symbol.dispose]();
      return;
    }
    this.#ticket = ticket;
    const { upstreamKey, queuePosition, etaMs, waitedMs, place } = ticket;
    if (this.#record) this.#record.upstreamKey = upstreamKey;
    this.#answer({
      kind: "granted",
      ticket: { upstreamKey, queuePosition, etaMs, waitedMs, place },
      allowances: this.#allowances(),
    });
  }

  async #report(verdict: Parameters<Ticket["report"]>[0]): Promise<void> {
    const ticket = this.#ticket;
    if (ticket === null) return;
    const isWorthAnotherTry = await ticket.report(verdict);
    this.#answer({ kind: "reported", isWorthAnotherTry, place: ticket.place });
  }

  #end(wire: WireRecord, content: Content | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ticket?.[Symbol.dispose]();
    const ended = unpackRecord(wire, this.#reservation);
    // The ledger knows the record that it was told of at the start.
    this.#stages.settle(this.#record === null ? ended : Object.assign(this.#record, ended), content);
  }

  #refuse(error: unknown): void {
    this.#answer({ kind: "refused", refusal: packRefusal(toRefusal(error)), allowances: this.#allowances() });
  }

  #allowances(): readonly RemainingLimit[] {
    return this.#caller === null ? [] : this.#stages.scheduler.allowances(this.#caller);
  }

  #knownCaller(): Caller {
    if (this.#caller === null) throw new Error("a call asks before anybody knows whose it is");
    return this.#caller;
  }
}

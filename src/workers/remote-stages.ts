// In a worker: the stages of one call that are the main thread's. Each question waits for its answer; what only has to be
// told is told. The other side is hosted-call.ts.

import type { AdmissionWish, Place, Scheduler, Standing, Ticket } from "../admission/scheduler.ts";
import type { Usage } from "../base/answer.ts";
import type { Clock } from "../base/clock.ts";
import type { Caller } from "../base/principal.ts";
import type { RemainingLimit } from "../base/queue-facts.ts";
import { refusalOf } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import type { Identity } from "../identity/identity.ts";
import type { Content } from "../ledger/change.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { CallRecord } from "../ledger/record.ts";
import type { QuotaWish, Reservation } from "../quota/quotas.ts";
import {
  type CallAnswer,
  type CallQuestion,
  packRecord,
  packRefusal,
  type Said,
  unpackRefusal,
  type WireTicket,
} from "./messages.ts";

type Question = Said<CallQuestion>;
type Answered<Kind extends CallAnswer["kind"]> = Extract<CallAnswer, { kind: Kind }>;

export interface RemoteCalls {
  open(): RemoteStages;
  /** An answer of the main thread's, for one of them. */
  take(answer: CallAnswer): void;
  readonly size: number;
}

/** How often the main thread hears of bytes that came in: its forecasts need no finer steps. */
export const bytesEveryMs = 100;

/** `contentOf`: what was said in a call that has ended, where that is kept. */
export function createRemoteCalls(
  post: (question: CallQuestion) => void,
  contentOf: (record: CallRecord) => Content | null,
  clock: Clock,
): RemoteCalls {
  const calls = new Map<number, RemoteStages>();
  let lastNumber = 0;
  /** Tickets with bytes that were not told as yet. */
  let untold: RemoteTicket[] = [];

  function tellBytes(): void {
    const tickets = untold;
    untold = [];
    for (const ticket of tickets) ticket.tellBytes();
  }

  function tellLater(ticket: RemoteTicket): void {
    if (untold.push(ticket) === 1) clock.after(bytesEveryMs, tellBytes);
  }

  return {
    open() {
      const call = ++lastNumber;
      const stages = new RemoteStages(
        (question) => post({ call, ...question } as CallQuestion),
        tellLater,
        contentOf,
        () => calls.delete(call),
      );
      calls.set(call, stages);
      return stages;
    },
    take: (answer) => calls.get(answer.call)?.take(answer),
    get size() {
      return calls.size;
    },
  };
}

export class RemoteStages
  implements Pick<Identity, "identify">, Pick<Ledger, "begin">, Pick<Scheduler, "admit" | "allowances">
{
  readonly #tell: (question: Question) => void;
  readonly #tellLater: (ticket: RemoteTicket) => void;
  readonly #contentOf: (record: CallRecord) => Content | null;
  readonly #onEnd: () => void;
  /** A call asks one thing at a time; only the note of its start is on its way beside. */
  #asked: PromiseWithResolvers<CallAnswer> | null = null;
  #noted: PromiseWithResolvers<void> | null = null;
  #onQueued: AdmissionWish["onQueued"] = undefined;
  #standing: Standing | null = null;
  /** As of the last answer that told of them. */
  #allowances: readonly RemainingLimit[] = [];

  constructor(
    tell: (question: Question) => void,
    tellLater: (ticket: RemoteTicket) => void,
    contentOf: (record: CallRecord) => Content | null,
    onEnd: () => void,
  ) {
    this.#tell = tell;
    this.#tellLater = tellLater;
    this.#contentOf = contentOf;
    this.#onEnd = onEnd;
  }

  async identify(credential: string | null): Promise<Caller> {
    const { caller } = await this.#ask<"identified">({ kind: "identify", credential });
    return caller;
  }

  async reserve(_caller: Caller, wish: QuotaWish): Promise<Reservation> {
    const { estimate, warnings } = await this.#ask<"reserved">({ kind: "reserve", wish });
    // The main thread settles it, at the call's end.
    return { estimate, warnings, settle() {} };
  }

  begin(record: CallRecord): Promise<void> {
    this.#noted = Promise.withResolvers();
    // Nobody may come to await it: the call can be refused before.
    this.#noted.promise.catch(() => {});
    this.#tell({ kind: "begin", record: packRecord(record) });
    return this.#noted.promise;
  }

  async admit(_principal: unknown, { onQueued, ...wish }: AdmissionWish, signal: AbortSignal): Promise<Ticket> {
    if (signal.aborted) throw refusalOf(signal);
    this.#onQueued = onQueued;
    const onAbort = () => this.#tell({ kind: "abort", refusal: packRefusal(refusalOf(signal)) });
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const { ticket } = await this.#ask<"granted">({ kind: "admit", wish });
      return new RemoteTicket(ticket, this, this.#tell, this.#tellLater);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#onQueued = undefined;
      this.#standing = null;
    }
  }

  allowances(): readonly RemainingLimit[] {
    return this.#allowances;
  }

  ask(question: Extract<Question, { kind: "report" }>): Promise<Answered<"reported">> {
    return this.#ask<"reported">(question);
  }

  /** The last word. */
  end = (record: CallRecord): void => {
    this.#tell({ kind: "end", record: packRecord(record), content: this.#contentOf(record) });
    this.#onEnd();
  };

  take(answer: CallAnswer): void {
    switch (answer.kind) {
      case "queued":
        this.#allowances = answer.allowances;
        this.#noteQueued(answer.standing);
        return;
      case "noted":
        if (answer.refusal === null) this.#noted?.resolve();
        else this.#noted?.reject(unpackRefusal(answer.refusal));
        return;
      case "refused":
        this.#allowances = answer.allowances;
        this.#settle()?.reject(unpackRefusal(answer.refusal));
        return;
      case "granted":
        this.#allowances = answer.allowances;
        this.#settle()?.resolve(answer);
        return;
      default:
        this.#settle()?.resolve(answer);
    }
  }

  #noteQueued(standing: Standing): void {
    const isFirst = this.#standing === null;
    this.#standing = standing;
    if (isFirst) this.#onQueued?.(() => this.#standing ?? standing);
  }

  #ask<Kind extends CallAnswer["kind"]>(question: Question): Promise<Answered<Kind>> {
    const asked = Promise.withResolvers<CallAnswer>();
    this.#asked = asked;
    this.#tell(question);
    return asked.promise as Promise<Answered<Kind>>;
  }

  #settle(): PromiseWithResolvers<CallAnswer> | null {
    const asked = this.#asked;
    this.#asked = null;
    return asked;
  }
}

class RemoteTicket implements Ticket {
  readonly upstreamKey: string;
  readonly queuePosition: number;
  readonly etaMs: number;
  readonly waitedMs: number;
  place: Place;
  readonly #stages: RemoteStages;
  readonly #tell: (question: Question) => void;
  readonly #tellLater: (ticket: RemoteTicket) => void;
  #untoldBytes = 0;
  #report: Promise<boolean> | null = null;
  #isReleased = false;
  #isSettled = false;

  constructor(
    ticket: WireTicket,
    stages: RemoteStages,
    tell: (question: Question) => void,
    tellLater: (ticket: RemoteTicket) => void,
  ) {
    this.upstreamKey = ticket.upstreamKey;
    this.queuePosition = ticket.queuePosition;
    this.etaMs = ticket.etaMs;
    this.waitedMs = ticket.waitedMs;
    this.place = ticket.place;
    this.#stages = stages;
    this.#tell = tell;
    this.#tellLater = tellLater;
  }

  markSent(): void {
    this.#tell({ kind: "sent" });
  }

  noteBytes(count: number): void {
    if (this.#isReleased) return;
    if (this.#untoldBytes === 0 && count > 0) this.#tellLater(this);
    this.#untoldBytes += count;
  }

  tellBytes(): void {
    if (this.#untoldBytes === 0) return;
    this.#tell({ kind: "bytes", count: this.#untoldBytes });
    this.#untoldBytes = 0;
  }

  report(verdict: Verdict): Promise<boolean> {
    this.#report ??= this.#ask(verdict);
    return this.#report;
  }

  async #ask(verdict: Verdict): Promise<boolean> {
    const { isWorthAnotherTry, place } = await this.#stages.ask({ kind: "report", verdict });
    this.place = place;
    return isWorthAnotherTry;
  }

  release(how: "ended" | "aborted"): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.tellBytes();
    this.#tell({ kind: "release", how });
  }

  settle(usage: Usage | null): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.tellBytes();
    this.#tell({ kind: "settle", usage });
  }

  [Symbol.dispose](): void {
    this.release("aborted");
    this.settle(null);
  }
}

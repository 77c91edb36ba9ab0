// What the simulated GLM has seen, for tests and people to ask: calls, aborts, headers that came along. Bounded.

import type { IncomingMessage } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { Violation } from "./account.ts";

export interface SimulatorReport {
  readonly callCount: number;
  readonly violations: readonly Violation[];
  readonly inFlight: number;
  readonly inFlightMax: number;
  readonly openSockets: number;
  /** By "status" or "status code", such as "200" and "429 1302". */
  readonly answers: Readonly<Record<string, number>>;
  /** Calls whose client left before the answer's end, with the time of it. */
  readonly aborts: readonly { readonly at: number; readonly pieces: number }[];
  /** The newest arrivals, oldest first. */
  readonly arrivals: readonly Arrival[];
  /** Most bytes that waited in one answer's socket for a slow reader. */
  readonly unsentBytesMax: number;
  /** Bytes of answers written, those of running calls included. */
  readonly bytesWritten: number;
}

export interface Arrival {
  readonly at: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Filled when the body has come. */
  body: Buffer;
}

const arrivalsMax = 2_000;
const abortsMax = 10_000;

export interface Observations {
  noteArrival(request: IncomingMessage): Arrival;
  noteAnswer(status: number, code: string | null): void;
  noteAbort(pieces: number): void;
  report(): Pick<SimulatorReport, "callCount" | "answers" | "aborts" | "arrivals">;
  reset(): void;
}

export function createObservations(clock: Clock): Observations {
  let callCount = 0;
  let answers: Record<string, number> = {};
  let aborts: { at: number; pieces: number }[] = [];
  let arrivals: Arrival[] = [];
  return {
    noteArrival({ url, headers }) {
      callCount++;
      const arrival: Arrival = { at: clock.now(), path: url ?? "", headers: { ...headers }, body: Buffer.alloc(0) };
      arrivals.push(arrival);
      if (arrivals.length > arrivalsMax) arrivals.shift();
      return arrival;
    },
    noteAnswer(status, code) {
      const name = code === null ? String(status) : `${status} ${code}`;
      answers[name] = (answers[name] ?? 0) + 1;
    },
    noteAbort(pieces) {
      if (aborts.length < abortsMax) aborts.push({ at: clock.now(), pieces });
    },
    report: () => ({ callCount, answers: { ...answers }, aborts: [...aborts], arrivals: [...arrivals] }),
    reset() {
      callCount = 0;
      answers = {};
      aborts = [];
      arrivals = [];
    },
  };
}

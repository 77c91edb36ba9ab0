// What the simulated GLM has seen, for tests and people to ask: calls, answers, aborts, and of the newest calls what
// came along with them. Bounded in number and bytes. Violations of limits are judge.ts's matter.

import { hash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Clock } from "../base/clock.ts";

/** One call as it came. */
export interface Arrival {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** By which key, masked; null when it came with none that is known. */
  readonly key: string | null;
  /** As understood; null until the body was read, or when it makes no sense. */
  readonly model: string | null;
  readonly isStream: boolean;
  readonly bodyBytes: number;
  /** Hexadecimal; empty until the body was read. */
  readonly bodySha256: string;
  /** Of the newest calls only; empty in older ones. */
  readonly headers: IncomingHttpHeaders;
  /** Empty also when it is a form. */
  readonly body: string;
}

export interface Abort {
  readonly at: number;
  /** Pieces of the answer that were written before. */
  readonly pieces: number;
}

export interface SeenCalls {
  readonly callCount: number;
  /** By "status" or "status code", such as "200" and "429 1302"; "0" is no answer at all. */
  readonly answers: Readonly<Record<string, number>>;
  /** Calls whose client left before the answer's end. */
  readonly abortCount: number;
  /** The newest of them, oldest first. */
  readonly aborts: readonly Abort[];
  /** The newest calls, oldest first. */
  readonly arrivals: readonly Arrival[];
  /** Most bytes that waited in one answer's socket for a slow reader. */
  readonly unsentBytesMax: number;
  /** Bytes of answers written, those of running calls included. */
  readonly bytesWritten: number;
}

export interface Observations {
  noteArrival(request: IncomingMessage): NotedArrival;
  noteAnswer(status: number, code: string | null): void;
  notePiece(bytes: number, unsentBytes: number): void;
  noteAbort(pieces: number): void;
  report(): SeenCalls;
  reset(): void;
}

export interface NotedArrival {
  noteKey(key: string): void;
  noteBody(body: Buffer): void;
  /** A body that was not kept. */
  noteUpload(byteCount: number, sha256: string): void;
  noteMeaning(model: string | null, isStream: boolean): void;
}

type Writable<Fields> = { -readonly [Name in keyof Fields]: Fields[Name] };

const arrivalsMax = 10_000;
const abortsMax = 10_000;
/** Arrivals that keep their headers and body. */
const detailedMax = 500;
const detailedBytesMax = 16 * 1024 * 1024;

const nothing: SeenCalls = {
  callCount: 0,
  answers: {},
  abortCount: 0,
  aborts: [],
  arrivals: [],
  unsentBytesMax: 0,
  bytesWritten: 0,
};

export function createObservations(clock: Clock): Observations {
  let seen: Writable<SeenCalls> = { ...nothing };
  let answers = new Map<string, number>();
  let aborts: Abort[] = [];
  let arrivals: Arrival[] = [];
  let detailed: Writable<Arrival>[] = [];
  let detailedBytes = 0;

  function noteArrival({ method = "", url = "", headers }: IncomingMessage): NotedArrival {
    seen.callCount++;
    const at = clock.now();
    const facts = { key: null, model: null, isStream: false, bodyBytes: 0, bodySha256: "", body: "" };
    const arrival: Writable<Arrival> = { at, method, path: url, headers: { ...headers }, ...facts };
    push(arrivals, arrival, arrivalsMax);
    detailed.push(arrival);
    forgetDetails();
    return {
      noteKey(key) {
        arrival.key = key;
      },
      noteBody(body) {
        arrival.bodyBytes = body.length;
        arrival.bodySha256 = hash("sha256", body);
        if (!detailed.includes(arrival)) return;
        arrival.body = body.toString("utf8");
        detailedBytes += body.length;
        forgetDetails();
      },
      noteUpload(byteCount, sha256) {
        arrival.bodyBytes = byteCount;
        arrival.bodySha256 = sha256;
      },
      noteMeaning(model, isStream) {
        arrival.model = model;
        arrival.isStream = isStream;
      },
    };
  }

  /** The newest one stays, however large it is. */
  function forgetDetails(): void {
    while (detailed.length > 1 && (detailed.length > detailedMax || detailedBytes > detailedBytesMax)) {
      const oldest = detailed.shift() as Writable<Arrival>;
      if (oldest.body !== "") detailedBytes -= oldest.bodyBytes;
      oldest.headers = {};
      oldest.body = "";
    }
  }

  return {
    noteArrival,
    noteAnswer(status, code) {
      const name = code === null ? String(status) : `${status} ${code}`;
      answers.set(name, (answers.get(name) ?? 0) + 1);
    },
    notePiece(bytes, unsentBytes) {
      seen.bytesWritten += bytes;
      seen.unsentBytesMax = Math.max(seen.unsentBytesMax, unsentBytes);
    },
    noteAbort(pieces) {
      seen.abortCount++;
      push(aborts, { at: clock.now(), pieces }, abortsMax);
    },
    report: () => ({ ...seen, answers: Object.fromEntries(answers), aborts: [...aborts], arrivals: [...arrivals] }),
    reset() {
      seen = { ...nothing };
      answers = new Map();
      aborts = [];
      arrivals = [];
      detailed = [];
      detailedBytes = 0;
    },
  };
}

function push<Item>(list: Item[], item: Item, max: number): void {
  list.push(item);
  if (list.length > max) list.shift();
}

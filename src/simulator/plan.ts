// The plan of one answer: what will be put on the wire, and how it ends. Faults change plans, play.ts carries them
// out. Nothing here reads or writes a socket.

export interface Plan {
  /** What happens instead of an answer, or not. stall: nothing ever comes. */
  readonly before: "answer" | "refuse" | "reset" | "stall";
  readonly status: number;
  /** GLM's business code of an error, for the report. */
  readonly code: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** The body: one piece, or a frame each. Read once. */
  readonly pieces: Iterable<Buffer>;
  /** Pieces come at the pace of a model that speaks. */
  readonly isStream: boolean;
  /** end: properly · cut: FIN without the body's end · reset: RST · stall: never */
  readonly ending: "end" | "cut" | "reset" | "stall";
  /** Pause before each piece but the first, overriding the usual pace. */
  readonly paceMs?: number;
  /** The pieces that have a pause before them; the others leave at once. Default: all. */
  readonly isPaced?: (piece: Buffer) => boolean;
  /** Each piece leaves as a write of its own; otherwise those without a pause between them may leave together. */
  readonly writesApart?: boolean;
  /** How long the head leaves before the first piece; 0: both in one write. Default: at once, in a write of its own. */
  readonly headAheadMs?: number;
  /** Informational responses (102) that precede the head. */
  readonly informationalCount?: number;
  /** Bytes sent on the connection when it is idle again. */
  readonly afterword?: string;
}

export const jsonHeaders = { "content-type": "application/json; charset=UTF-8" };
const streamHeaders = { "content-type": "text/event-stream;charset=UTF-8" };

export const doneFrame = Buffer.from("data: [DONE]\n\n");

export function toJsonPlan(body: object, status = 200, code: string | null = null): Plan {
  const pieces = [Buffer.from(JSON.stringify(body))];
  return { before: "answer", status, code, headers: jsonHeaders, pieces, isStream: false, ending: "end" };
}

export function toStreamPlan(frames: Iterable<object>): Plan {
  const pieces = writeFrames(frames);
  return { before: "answer", status: 200, code: null, headers: streamHeaders, pieces, isStream: true, ending: "end" };
}

/** A stream whose events are named by their type. Only what says something takes time. */
export function toEventPlan(events: Iterable<{ readonly type: string }>): Plan {
  const isPaced = (piece: Buffer) => piece.includes("_delta\n");
  return { ...toStreamPlan([]), pieces: writeEvents(events), isPaced };
}

function* writeEvents(events: Iterable<{ readonly type: string }>): Generator<Buffer> {
  for (const event of events) yield Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** Bytes that come in several pieces. */
export function toBinaryPlan(pieces: Iterable<Buffer>, contentType: string): Plan {
  return { ...toJsonPlan({}), headers: { "content-type": contentType }, pieces, isStream: true };
}

/** One by one, so that a thousand running streams need not lie in memory whole. */
function* writeFrames(frames: Iterable<object>): Generator<Buffer> {
  for (const frame of frames) yield Buffer.from(`data: ${JSON.stringify(frame)}\n\n`);
  yield doneFrame;
}

// Puts the plan of one answer on the wire: at its pace, with respect for a reader that is slow, until it has ended or
// the client has left. Knows no GLM.

import type { ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { Plan } from "./faults.ts";

export interface Pace {
  /** Before the head and the first piece. */
  readonly firstMs: number;
  /** Before each further piece of a stream. */
  readonly betweenMs: number;
}

/** Resolves when there is nothing more to write. `onPiece` is told each piece after it was written. */
export async function play(
  plan: Plan,
  pace: Pace,
  response: ServerResponse,
  clock: Clock,
  onPiece: (piece: Buffer) => void,
): Promise<void> {
  const socket = response.socket;
  if (plan.before === "refuse") socket?.destroy();
  if (plan.before === "reset") socket?.resetAndDestroy();
  if (plan.before !== "answer") return;
  await pause(pace.firstMs, response, clock);
  if (response.destroyed) return;

  const { "x-sim-informational": informational, ...headers } = plan.headers;
  for (let count = 0; count < Number(informational ?? 0); count++) response.writeProcessing();
  // Written as it is: lengths that don't match are the point of some faults.
  response.strictContentLength = false;
  response.writeHead(plan.status, headers);
  response.flushHeaders();
  await writePieces();
  if (response.destroyed) return;
  switch (plan.ending) {
    case "end":
      response.end();
      if (plan.afterword !== undefined)
        response.once("finish", () => setImmediate(() => socket?.write(plan.afterword ?? "")));
      break;
    case "cut":
      // What was written shall arrive before the end.
      await new Promise((resolve) => setImmediate(resolve));
      socket?.end();
      break;
    case "reset":
      await new Promise((resolve) => setImmediate(resolve));
      socket?.resetAndDestroy();
      break;
    case "stall":
      break;
  }

  async function writePieces(): Promise<void> {
    let isFirst = true;
    for (const piece of plan.pieces) {
      const waitMs = isFirst ? 0 : (plan.paceMs ?? (plan.isStream ? pace.betweenMs : 0));
      if (waitMs > 0) await pause(waitMs, response, clock);
      if (response.destroyed) return;
      isFirst = false;
      const isCaughtUp = response.write(piece);
      onPiece(piece);
      if (!isCaughtUp) await untilDrained(response);
    }
  }
}

/** Waits, but not for a client that has left. */
function pause(ms: number, response: ServerResponse, clock: Clock): Promise<void> {
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      response.off("close", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    response.once("close", done);
  });
}

function untilDrained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.once("drain", done).once("close", done);
  });
}

// Puts the plan of one answer on the wire: at its pace, with respect for a reader that is slow, until it has ended or
// the client has left. Knows no GLM.

import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Plan } from "./plan.ts";

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
  const { socket } = response;
  if (!socket) return;
  if (plan.before === "refuse") socket.destroy();
  if (plan.before === "reset") socket.resetAndDestroy();
  if (plan.before !== "answer") return;
  await pause(pace.firstMs, response, clock);
  if (response.destroyed) return;

  writeHead(plan, response);
  await pause(plan.headAheadMs ?? 0, response, clock);
  await writePieces(plan, pace, response, clock, onPiece);
  if (!response.destroyed) await end(plan, response, socket);
}

function writeHead(plan: Plan, response: ServerResponse): void {
  for (let count = 0; count < (plan.informationalCount ?? 0); count++) response.writeProcessing();
  // Written as it is: lengths that don't match are the point of some faults.
  response.strictContentLength = false;
  response.writeHead(plan.status, plan.headers);
  if (plan.headAheadMs !== 0) response.flushHeaders();
}

async function writePieces(
  plan: Plan,
  pace: Pace,
  response: ServerResponse,
  clock: Clock,
  onPiece: (piece: Buffer) => void,
): Promise<void> {
  const waitMs = plan.paceMs ?? (plan.isStream ? pace.betweenMs : 0);
  let isFirst = true;
  for (const piece of plan.pieces) {
    if (!isFirst && (plan.isPaced?.(piece) ?? true)) await pause(waitMs, response, clock);
    if (response.destroyed) return;
    isFirst = false;
    const isCaughtUp = response.write(piece);
    onPiece(piece);
    if (!isCaughtUp) await untilDrained(response);
    // Node joins what is written within one turn of its loop.
    if (plan.writesApart) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function end(plan: Plan, response: ServerResponse, socket: Socket): Promise<void> {
  switch (plan.ending) {
    case "end": {
      const { afterword } = plan;
      if (afterword !== undefined) response.once("finish", () => setImmediate(() => socket.write(afterword)));
      response.end();
      break;
    }
    case "cut":
      await untilFlushed(socket);
      socket.end();
      break;
    case "reset":
      await untilFlushed(socket);
      socket.resetAndDestroy();
      break;
    case "stall":
      break;
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

/** What was written shall have left before the connection breaks. */
function untilFlushed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.write("", () => setImmediate(resolve)));
}

// Reads request bodies within bounds. What is not read here is never in memory.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { startBodyPace } from "./body-pace.ts";

export interface BodyBounds {
  readonly bytesMax: number;
  /** The holder's part; what is taken from it is given back when the response has closed. */
  readonly budget: ByteBudget;
  readonly clock: Clock;
}

/** All of a body that is kept must be there in this time, however large it is. */
export const bodyMsMax = 30_000;

const jsonType = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/** Throws `unsupported_media_type` unless the headers say that the body is plain JSON. */
function requireJson({ headers }: IncomingMessage): void {
  if (!jsonType.test(headers["content-type"] ?? "")) throw new Refusal("unsupported_media_type");
  requireIdentity(headers["content-encoding"]);
}

/** HTTP/1.0 has no such thing (RFC 9110, 10.1.1). */
export function expectsContinue({ headers, httpVersionMinor }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersionMinor > 0;
}

export function requireIdentity(contentEncoding: string | undefined): void {
  if ((contentEncoding ?? "identity") !== "identity") throw new Refusal("unsupported_media_type");
}

/** `readBody` of what must be JSON. */
export async function readJsonBody(...args: Parameters<typeof readBody>): Promise<Buffer> {
  requireJson(args[0]);
  return readBody(...args);
}

/**
 * Resolves with the whole body. Rejects with `body_too_large`, `memory_full`, `request_timeout`, or what the signal was
 * aborted with. Answers "expect: 100-continue" just before it reads.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: BodyBounds,
  signal: AbortSignal,
): Promise<Buffer> {
  const { headers } = request;
  if (Number(headers["content-length"] ?? 0) > bounds.bytesMax) throw tooLarge(bounds);
  if (signal.aborted) throw refusalOf(signal);
  if (expectsContinue(request)) response.writeContinue();

  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let byteCount = 0;
  let takenBytes = 0;
  response.once("close", () => bounds.budget.give(takenBytes));
  const pace = startBodyPace({ totalMsMax: bodyMsMax, silenceMsMax: null }, bounds.clock, () =>
    reject(new Refusal("request_timeout")),
  );
  const onData = (chunk: Buffer) => {
    pace.note(chunk.length);
    byteCount += chunk.length;
    if (byteCount > bounds.bytesMax) return reject(tooLarge(bounds));
    if (!bounds.budget.take(chunk.length)) return reject(new Refusal("memory_full", { retryAfterMs: 1_000 }));
    takenBytes += chunk.length;
    chunks.push(chunk);
  };
  const onEnd = () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, byteCount));
  const onAbort = () => reject(refusalOf(signal));
  request.on("data", onData).once("end", onEnd).once("error", onAbort);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await promise;
  } finally {
    pace.stop();
    request.off("data", onData).off("end", onEnd).pause();
    signal.removeEventListener("abort", onAbort);
  }
}

function tooLarge({ bytesMax }: BodyBounds): Refusal {
  return new Refusal("body_too_large", { limit: bytesMax });
}

// Receives a form that may be too large to be kept: its beginning is read, so that it can be known what it is for; the
// rest stays with the client until the upstream takes it. All of it has to pass the reader of forms.

import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { Refusal, refusalOf, toRefusal } from "../base/refusal.ts";
import type { Incoming } from "../surfaces/endpoint.ts";
import type { FormReader } from "../surfaces/form-reader.ts";
import { type BodyBounds, expectsContinue } from "./body.ts";
import { startBodyPace } from "./body-pace.ts";

export interface UploadBounds extends BodyBounds {
  readonly uploadBytesMax: number;
}

/** Whose upload it is: told when it breaks. */
export interface Uploader {
  readonly signal: AbortSignal;
  abort(refusal: Refusal): void;
}

/** A form up to this size is kept: it can be sent again, as everything small can. */
export const keptBytesMax = 256 * 1024;
/** A client that sends nothing for so long, while the upstream would take it, is given up. */
export const silenceMsMax = 30_000;
const uploadPace = { totalMsMax: null, silenceMsMax } as const;

/**
 * Resolves with the beginning, and with the whole as a stream if there is more. Rejects with `body_too_large`,
 * `memory_full`, `request_timeout`, what the reader throws, or what the signal was aborted with. Later the same end the
 * call.
 */
export async function receiveUpload(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: UploadBounds,
  uploader: Uploader,
  form: FormReader,
): Promise<Pick<Incoming, "body" | "upload" | "form">> {
  const { headers } = request;
  const { uploadBytesMax, budget } = bounds;
  const byteCount = headers["content-length"] === undefined ? null : Number(headers["content-length"]);
  if ((byteCount ?? 0) > uploadBytesMax) throw new Refusal("body_too_large", { limit: uploadBytesMax });
  if (uploader.signal.aborted) throw refusalOf(uploader.signal);
  if (!budget.take(keptBytesMax)) throw new Refusal("memory_full", { retryAfterMs: 1_000 });
  response.once("close", () => budget.give(keptBytesMax));
  if (expectsContinue(request)) response.writeContinue();

  const { chunks, isWhole } = await readBeginning(request, bounds, uploader.signal);
  const body = Buffer.concat(chunks);
  form.push(body);
  if (isWhole) form.end();
  const fields = form.takeFields();
  if (isWhole) return { body, upload: null, form: fields };
  const stream = passOn(body, request, bounds, uploader, (chunk, isLast) => {
    form.push(chunk);
    if (isLast) form.end();
  });
  // Also when the call was refused and nobody has read it.
  response.once("close", () => stream.destroy());
  return { body, upload: { stream, byteCount }, form: fields };
}

async function readBeginning(
  request: IncomingMessage,
  { clock }: UploadBounds,
  signal: AbortSignal,
): Promise<{ chunks: Buffer[]; isWhole: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const chunks: Buffer[] = [];
  let byteCount = 0;
  const pace = startBodyPace(uploadPace, clock, () => reject(new Refusal("request_timeout")));
  const onData = (chunk: Buffer) => {
    pace.note(chunk.length);
    chunks.push(chunk);
    byteCount += chunk.length;
    if (byteCount >= keptBytesMax) resolve(false);
  };
  const onEnd = () => resolve(true);
  const onAbort = () => reject(refusalOf(signal));
  request.on("data", onData).once("end", onEnd).once("error", onAbort);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return { chunks, isWhole: await promise };
  } finally {
    pace.stop();
    request.pause();
    request.off("data", onData).off("end", onEnd).off("error", onAbort);
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * The beginning again, then what still comes: as fast as it is taken, and not more than may be. What `check` throws at
 * goes no further, the end included: it is known before the last byte is passed on, or before the end is.
 */
function passOn(
  beginning: Buffer,
  request: IncomingMessage,
  bounds: UploadBounds,
  uploader: Uploader,
  check: (chunk: Buffer, isLast: boolean) => void,
): Readable {
  const { uploadBytesMax, clock } = bounds;
  const body = new PassThrough();
  let byteCount = beginning.length;
  const statedCount = Number(request.headers["content-length"] ?? -1);
  const pace = startBodyPace(uploadPace, clock, () => breakOff(new Refusal("request_timeout")));
  pace.note(byteCount);
  // Whether the client is asked for more. If not, the upstream is slow, and the call's own deadlines rule.
  const notePause = () => pace.setPaused(body.writableNeedDrain);

  function breakOff(refusal: Refusal): void {
    uploader.abort(refusal);
    body.destroy();
  }

  function checkNext(chunk: Buffer, isLast: boolean): void {
    if (body.destroyed) return;
    try {
      check(chunk, isLast);
    } catch (error) {
      breakOff(toRefusal(error));
    }
  }

  request.on("data", (chunk: Buffer) => {
    byteCount += chunk.length;
    pace.note(chunk.length);
    if (byteCount > uploadBytesMax) breakOff(new Refusal("body_too_large", { limit: uploadBytesMax }));
    else checkNext(chunk, byteCount === statedCount);
  });
  // Before the pipe's own listener, which would end the body.
  request.once("end", () => checkNext(Buffer.alloc(0), true));
  request.pause();
  body.write(beginning);
  request.pipe(body);
  request.on("pause", notePause);
  body.on("drain", notePause);
  notePause();
  body.once("close", () => {
    pace.stop();
    request.off("pause", notePause).unpipe(body);
  });
  // What breaks the upload ends the call, which is told by its own signal.
  body.on("error", () => {});
  uploader.signal.addEventListener("abort", () => body.destroy(), { once: true });
  return body;
}

// Reads what came along with a request, within bounds: a body whole, or a form as it comes.

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Fields, parseObject } from "./chat-request.ts";
import { type Endpoint, type Reply, refuse } from "./endpoints/endpoint.ts";
import { receiveForm, type UploadedFile } from "./form.ts";
import type { NotedArrival } from "./observations.ts";

const bodyBytesMax = 32 * 1024 * 1024;
/** Forms are let pass in full, so that whoever sends one reads why it was refused. */
const drainedBytesMax = 1024 * 1024 * 1024;

export interface Received {
  readonly fields: Fields;
  readonly file: UploadedFile | null;
  /** It is not what the endpoint takes. */
  readonly refusal: Reply | null;
}

/** Rejects when the client leaves in its middle, or when it is larger than 32 MiB. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > bodyBytesMax) throw new Error(`the body is larger than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function receive(
  request: IncomingMessage,
  takes: Endpoint["takes"],
  arrival: NotedArrival,
): Promise<Received> {
  // What takes a form takes JSON as well: a file may be left out, or be told by its address.
  if (takes === "form" && isForm(request)) {
    const { problem, ...form } = await receiveForm(request, arrival.noteUpload);
    return { ...form, refusal: problem === null ? null : refuse(problem, "file") };
  }
  const body = await readBody(request);
  arrival.noteBody(body);
  const fields = takes === "nothing" ? {} : parseObject(body);
  return { fields: fields ?? {}, file: null, refusal: fields === null ? refuse("1210") : null };
}

/** For calls that are refused whatever they bring along. */
export async function drain(request: IncomingMessage, arrival: NotedArrival): Promise<void> {
  if (!isForm(request)) return arrival.noteBody(await readBody(request));
  const digest = createHash("sha256");
  let byteCount = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > drainedBytesMax) throw new Error(`the form is larger than ${drainedBytesMax} bytes`);
    digest.update(chunk);
  }
  arrival.noteUpload(byteCount, digest.digest("hex"));
}

function isForm({ headers }: IncomingMessage): boolean {
  return /^multipart\//i.test(headers["content-type"] ?? "");
}

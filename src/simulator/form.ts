// Reads a form with a file from a request: as it comes, within bounds, with the hash of all that came. A form that is
// refused is answered at once if the connection is to stay, and what still comes of it is let pass.

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createFormParser, type FormProblem, findBoundary, type UploadedFile } from "./form-parser.ts";

export type { UploadedFile } from "./form-parser.ts";

export const fileBytesMax = 100 * 1024 * 1024;
/** More than that is not even let pass. */
const bodyBytesMax = 1024 * 1024 * 1024;

export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly file: UploadedFile | null;
  readonly problem: FormProblem | null;
}

/** `onEnd` is told once, when the last byte has come. Rejects when the client leaves before that. */
export function receiveForm(
  request: IncomingMessage,
  onEnd: (byteCount: number, sha256: string) => void,
): Promise<Form> {
  const boundary = findBoundary(request.headers["content-type"] ?? "");
  const parser = boundary === null ? null : createFormParser(boundary, { fileBytesMax });
  const digest = createHash("sha256");
  const { promise, resolve, reject } = Promise.withResolvers<Form>();
  let byteCount = 0;
  // An answer would end the connection, and with it be lost to a client that still sends.
  const isLast = /close/i.test(request.headers.connection ?? "");

  const toForm = (problem: FormProblem | null): Form => ({
    fields: parser?.fields ?? {},
    file: parser?.file ?? null,
    problem,
  });

  request.on("data", (chunk: Buffer) => {
    byteCount += chunk.length;
    digest.update(chunk);
    const problem = parser === null ? "1210" : parser.push(chunk);
    if (problem !== null && !isLast) resolve(toForm(problem));
    if (byteCount > bodyBytesMax) request.destroy();
  });
  request.once("end", () => {
    onEnd(byteCount, digest.digest("hex"));
    resolve(toForm(parser === null ? "1210" : parser.end()));
  });
  request.once("error", reject);
  request.once("close", () => reject(new Error("the client left before the form's end")));
  return promise;
}

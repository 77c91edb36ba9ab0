// Takes a multipart/form-data body apart as it comes, in pieces of any size, and keeps no more of it than its bounds
// allow. Knows no sockets.
//
//   preamble ─▶ delimiter ─▶ head ─▶ content ─▶ delimiter ─▶ … ─▶ epilogue
//
// Source: RFC 7578, RFC 2046 5.1.

export interface UploadedFile {
  readonly name: string;
  readonly contentType: string;
  readonly byteCount: number;
  readonly chunks: readonly Buffer[];
}

export interface FormBounds {
  readonly fileBytesMax: number;
}

/** 435: a file is too large · 1210: this is no form, or none that anybody would send */
export type FormProblem = "435" | "1210";

export interface FormParser {
  /** After a problem nothing more is looked at. */
  push(chunk: Buffer): FormProblem | null;
  end(): FormProblem | null;
  readonly fields: Readonly<Record<string, string>>;
  /** The first of them. */
  readonly file: UploadedFile | null;
}

export const fieldBytesMax = 1024 * 1024;
export const partsMax = 100;
const headBytesMax = 16 * 1024;

interface Part {
  readonly name: string;
  /** Null: it is a text. */
  readonly fileName: string | null;
  readonly contentType: string;
  readonly chunks: Buffer[];
  byteCount: number;
}

/** The boundary that a content type names, or null. */
export function findBoundary(contentType: string): string | null {
  if (!/^multipart\/form-data\s*;/i.test(contentType)) return null;
  const [, quoted, bare] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? [];
  return quoted ?? bare ?? null;
}

export function createFormParser(boundary: string, { fileBytesMax }: FormBounds): FormParser {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const fields = new Map<string, string>();
  let state: "preamble" | "delimiter" | "head" | "content" | "epilogue" = "preamble";
  let problem: FormProblem | null = null;
  // The first delimiter may stand at the very beginning.
  let rest: Buffer = Buffer.from("\r\n");
  let part: Part | null = null;
  let partCount = 0;
  let fieldBytes = 0;
  let file: UploadedFile | null = null;

  function push(chunk: Buffer): FormProblem | null {
    if (problem === null && state !== "epilogue") {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (problem === null && step());
    }
    if (problem !== null) forget();
    return problem;
  }

  /** False: more bytes are needed. */
  function step(): boolean {
    switch (state) {
      case "preamble":
        return passDelimiter(() => {});
      case "delimiter":
        return readDelimiterEnd();
      case "head":
        return readHead();
      case "content":
        return passDelimiter(keep);
      case "epilogue":
        rest = Buffer.alloc(0);
        return false;
    }
  }

  /** What comes before the next delimiter is handed on, but for bytes that may be its beginning. */
  function passDelimiter(hand: (bytes: Buffer) => void): boolean {
    const at = rest.indexOf(delimiter);
    const end = at >= 0 ? at : Math.max(0, rest.length - delimiter.length + 1);
    if (end > 0) hand(rest.subarray(0, end));
    rest = rest.subarray(at >= 0 ? at + delimiter.length : end);
    if (at < 0) return false;
    if (problem === null) finishPart();
    state = "delimiter";
    return true;
  }

  function readDelimiterEnd(): boolean {
    if (rest.length < 2) return false;
    const mark = rest.toString("latin1", 0, 2);
    if (mark === "--") state = "epilogue";
    else if (mark === "\r\n") state = "head";
    else problem = "1210";
    // The line's end stays: a head without a line has an empty line alone.
    if (state === "epilogue") rest = rest.subarray(2);
    return true;
  }

  function readHead(): boolean {
    const at = rest.indexOf("\r\n\r\n");
    if (at > headBytesMax || (at < 0 && rest.length > headBytesMax) || partCount >= partsMax) problem = "1210";
    if (at < 0 || problem !== null) return false;
    part = toPart(rest.toString("utf8", 2, Math.max(2, at)));
    partCount++;
    rest = rest.subarray(at + 4);
    state = "content";
    return true;
  }

  function keep(bytes: Buffer): void {
    if (!part) return;
    part.byteCount += bytes.length;
    if (part.fileName === null) fieldBytes += bytes.length;
    if (fieldBytes > fieldBytesMax) problem = "1210";
    if (part.fileName !== null && part.byteCount > fileBytesMax) problem = "435";
    if (part.fileName === null || file === null) part.chunks.push(bytes);
  }

  function finishPart(): void {
    if (!part) return;
    const { name, fileName, contentType, byteCount, chunks } = part;
    part = null;
    if (fileName === null) fields.set(name, Buffer.concat(chunks).toString("utf8"));
    else file ??= { name: fileName, contentType, byteCount, chunks };
  }

  function forget(): void {
    rest = Buffer.alloc(0);
    part = null;
    file = null;
  }

  return {
    push,
    end() {
      if (problem === null && state !== "epilogue") problem = "1210";
      if (problem !== null) forget();
      return problem;
    },
    get fields() {
      return Object.fromEntries(fields);
    },
    get file() {
      return file;
    },
  };
}

function toPart(head: string): Part {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? "";
  return {
    name: readParameter(disposition, "name") ?? "",
    fileName: readParameter(disposition, "filename"),
    contentType: /^content-type:(.*)$/im.exec(head)?.[1]?.trim() ?? "application/octet-stream",
    chunks: [],
    byteCount: 0,
  };
}

function readParameter(disposition: string, name: string): string | null {
  const [, quoted, bare] =
    new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, "i").exec(disposition) ?? [];
  return quoted?.replace(/\\(.)/g, "$1") ?? bare ?? null;
}

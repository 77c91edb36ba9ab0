// Reads the texts of a multipart form (RFC 7578, RFC 2046 5.1) as it passes, and lets only such forms pass as every common
// parser takes apart in the same way: upstreams differ in what they make of spelling, quoting, repeated fields and
// stray delimiters, and what the gateway has checked must be what they read. Keeps no files, and touches no byte.
//
//   --BOUNDARY CRLF head CRLF CRLF content CRLF --BOUNDARY … CRLF --BOUNDARY-- [CRLF]

import { Refusal } from "../base/refusal.ts";
import { idFields } from "./named-ids.ts";
import { foldName } from "./names.ts";

export interface FormReader {
  /** Takes the next bytes. Throws `bad_request` or `invalid_field`; after that nothing more is looked at. */
  push(chunk: Buffer): void;
  /** All has come. Throws in the same way when the form is not over. */
  end(): void;
  /** From now on a guarded field is refused: what depends on them is decided. Returns those that are known. */
  takeFields(): ReadonlyMap<string, string>;
}

/** The fields that something depends on. */
const guards: ReadonlyMap<string, string> = new Map(
  ["model", "stream", ...idFields.keys()].map((name): [string, string] => [foldName(name), name]),
);
const partsMax = 100;
const headBytesMax = 4 * 1024;
const valueBytesMax = 256;
const headEnd = Buffer.from("\r\n\r\n");

/** Characters that need no quotes, and that no parser reads in another way when they have some. */
const contentTypePattern =
  /^multipart\/form-data(?:; ?charset=(?:utf|UTF)-8)?; ?boundary=(?:([A-Za-z0-9_.+-]{1,70})|"([A-Za-z0-9_.+-]{1,70})")$/;
const fileName = String.raw`[^"\\;\p{Cc}]*`;
const extendedName = String.raw`[Uu][Tt][Ff]-8''[A-Za-z0-9%!#$&+^_\{\}~.\-]*`;
const dispositionPattern = new RegExp(
  String.raw`^form-data; ?name=(?:"([A-Za-z0-9_.\[\]\-]{1,100})"|([A-Za-z0-9_.\-]{1,100}))` +
    String.raw`(?:; ?filename=(?:"(${fileName})"|([A-Za-z0-9_.\-]+))(?:; ?filename\*=${extendedName})?)?$`,
  "u",
);
const headerPattern = /^([A-Za-z-]{1,40}): ?(\P{Cc}*)$/u;
const textTypePattern = /^text\/plain(?:; ?charset="?utf-8"?)?$/i;
/** No forms within forms. */
const mediaTypePattern = /^(?!multipart\/|message\/)[\w.+-]+\/[\w.+-]+(?:; ?[\w-]+=(?:[\w.+:/-]+|"[\w .+:/-]*"))*$/i;
const encodingPattern = /^(?:binary|8bit|7bit)$/i;
const valuePattern = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

interface Part {
  /** Null: nothing depends on it. */
  readonly guarded: string | null;
  readonly byteCountStated: number | null;
  readonly chunks: Buffer[];
  byteCount: number;
  /** Once a delimiter stood where none counts: the last bytes, in which a field's name may begin. */
  afterStray: string | null;
}

/** Throws `bad_request` for a content type that is not plain. */
export function createFormReader(contentType: string): FormReader {
  const [, bare, quoted] = contentTypePattern.exec(contentType) ?? [];
  const boundary = bare ?? quoted;
  if (boundary === undefined) {
    throw new Refusal("bad_request", {
      detail:
        'its content-type must be multipart/form-data; boundary=…, with letters, digits and "_.+-" in the boundary',
    });
  }
  const dashes = Buffer.from(`--${boundary}`);
  const fields = new Map<string, string>();
  let state: "start" | "delimiter" | "head" | "content" | "over" = "start";
  let rest: Buffer = Buffer.alloc(0);
  let part: Part | null = null;
  let partCount = 0;
  let isTaken = false;

  function push(chunk: Buffer): void {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (step());
  }

  /** False: more bytes are needed. */
  function step(): boolean {
    switch (state) {
      case "start":
        return readStart();
      case "delimiter":
        return readDelimiterEnd();
      case "head":
        return readHead();
      case "content":
        return readContent();
      case "over":
        // One line's end may follow.
        if (!"\r\n".startsWith(rest.toString("latin1", 0, 3))) throw bad("something follows its last delimiter");
        return false;
    }
  }

  function readStart(): boolean {
    if (rest.length < dashes.length) return false;
    if (!rest.subarray(0, dashes.length).equals(dashes)) throw bad("it must begin with its boundary");
    return enter("delimiter", dashes.length);
  }

  function readDelimiterEnd(): boolean {
    if (rest.length < 2) return false;
    const mark = rest.toString("latin1", 0, 2);
    if (mark === "--") {
      if (partCount === 0) throw bad("it has no field");
      return enter("over", 2);
    }
    if (mark !== "\r\n") throw bad("its boundary stands where no field begins");
    return enter("head", 2);
  }

  function readHead(): boolean {
    const at = rest.indexOf(headEnd);
    if (at > headBytesMax || (at === -1 && rest.length > headBytesMax)) throw bad("a field's head is too long");
    if (at === -1) return false;
    if (rest.subarray(0, at).includes(dashes)) throw bad("its boundary stands in a field's head");
    if (++partCount > partsMax) throw bad(`it has more than ${partsMax} fields`);
    part = openPart(rest.toString("utf8", 0, at));
    return enter("content", at + headEnd.length);
  }

  function readContent(): boolean {
    const at = rest.indexOf(dashes);
    const after = at + dashes.length;
    if (at === -1 || rest.length < after + 2) {
      // The line's end before a delimiter, and its beginning, may be the last that has come.
      const open = at === -1 ? rest.length - dashes.length - 1 : at - 2;
      if (open > 0) keep(rest.subarray(0, open));
      rest = rest.subarray(Math.max(0, open));
      return false;
    }
    const isAtLine = at >= 2 && rest.toString("latin1", at - 2, at) === "\r\n";
    const mark = rest.toString("latin1", after, after + 2);
    if (isAtLine && (mark === "\r\n" || mark === "--")) {
      keep(rest.subarray(0, at - 2));
      closePart();
      return enter("delimiter", after);
    }
    passStray(mark);
    keep(rest.subarray(0, after));
    return enter("content", after);
  }

  /** By chance a file may have the boundary in it. Where some parser might see a field or the end there, it is refused. */
  function passStray(mark: string): void {
    if (part === null || part.guarded !== null || mark === "--") throw bad("its boundary stands within a field");
    part.afterStray ??= "";
  }

  function enter(next: typeof state, from: number): true {
    state = next;
    rest = rest.subarray(from);
    return true;
  }

  function openPart(head: string): Part {
    const headers = readHeaders(head);
    const [, inQuotes, withoutQuotes, quotedFile, bareFile] =
      dispositionPattern.exec(headers.get("content-disposition") ?? "") ?? [];
    const name = inQuotes ?? withoutQuotes;
    if (name === undefined) throw bad('a field must have content-disposition: form-data; name="…"');
    const type = headers.get("content-type");
    if (type !== undefined && !mediaTypePattern.test(type)) throw bad("a field's content-type is not plain");
    // Its value would say how the others' bytes are to be read (RFC 7578 4.6).
    if (foldName(name) === "charset") throw bad("it has a field _charset_");
    const encoding = headers.get("content-transfer-encoding");
    if (encoding !== undefined && !encodingPattern.test(encoding)) throw bad("a field's bytes are encoded");
    const length = headers.get("content-length");
    if (length !== undefined && !/^\d{1,15}$/.test(length)) throw bad("a field's content-length is no number");
    // "model[]" and "model[x]" are taken for the field itself by some.
    const guarded = guards.get(foldName(name.replace(/\[.*/, ""))) ?? null;
    if (guarded !== null) requirePlain(guarded, name, type, (quotedFile ?? bareFile) !== undefined);
    return {
      guarded,
      byteCountStated: length === undefined ? null : Number(length),
      chunks: [],
      byteCount: 0,
      afterStray: null,
    };
  }

  function requirePlain(guarded: string, name: string, type: string | undefined, isFile: boolean): void {
    if (name !== guarded) throw invalid(guarded, `it must be spelled "${guarded}"`);
    if (isFile) throw invalid(guarded, "it must be a text, not a file");
    if (type !== undefined && !textTypePattern.test(type)) throw invalid(guarded, "it must be plain text");
    if (fields.has(guarded)) throw invalid(guarded, "it comes more than once");
    if (isTaken) throw invalid(guarded, "it must stand at the beginning of the form, before files");
  }

  function keep(bytes: Buffer): void {
    if (part === null) return;
    part.byteCount += bytes.length;
    if (part.afterStray !== null) {
      const text = part.afterStray + bytes.toString("latin1");
      if (/name/i.test(text)) throw bad("its boundary stands within a field");
      part.afterStray = text.slice(-3);
    }
    if (part.guarded === null) return;
    if (part.byteCount > valueBytesMax) throw invalid(part.guarded, `it is longer than ${valueBytesMax} bytes`);
    // A copy: the chunk would be kept as a whole.
    part.chunks.push(Buffer.from(bytes));
  }

  function closePart(): void {
    if (part === null) return;
    const { guarded, byteCountStated, byteCount, chunks } = part;
    part = null;
    if (byteCountStated !== null && byteCountStated !== byteCount) throw bad("a field's content-length is wrong");
    if (guarded === null) return;
    // Also one whose head came before the fields were taken.
    if (isTaken) throw invalid(guarded, "it must stand at the beginning of the form, before files");
    const value = Buffer.concat(chunks).toString("latin1");
    if (!valuePattern.test(value)) throw invalid(guarded, "it must be one line of plain characters");
    fields.set(guarded, value);
  }

  return {
    push,
    end() {
      if (state !== "over" || rest.length === 1) throw bad("it ends before its last delimiter");
    },
    takeFields() {
      isTaken = true;
      return fields;
    },
  };
}

function readHeaders(head: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of head.split("\r\n")) {
    const [, written = "", value = ""] = headerPattern.exec(line) ?? [];
    const name = written.toLowerCase();
    if (!knownHeaders.has(name)) throw bad("a field has a header that is not known");
    if (headers.has(name)) throw bad("a field has a header twice");
    headers.set(name, value);
  }
  return headers;
}

const knownHeaders = new Set(["content-disposition", "content-type", "content-transfer-encoding", "content-length"]);

function bad(detail: string): Refusal {
  return new Refusal("bad_request", { detail: `the form could be read in more than one way: ${detail}` });
}

function invalid(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}

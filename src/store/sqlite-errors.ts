// What SQLite's result codes mean for an operator (sqlite.org/rescode.html).

import type { ThreadError } from "./sqlite-protocol.ts";
import { StoreError, type StoreErrorKind } from "./store.ts";

/** By primary result code. What is not here is the statement's own fault. */
const kinds: Readonly<Record<number, StoreErrorKind>> = {
  3: "unavailable", // PERM
  4: "unavailable", // ABORT
  5: "locked", // BUSY
  6: "locked", // LOCKED
  7: "unavailable", // NOMEM
  8: "unavailable", // READONLY
  10: "unavailable", // IOERR
  11: "broken", // CORRUPT
  13: "full", // FULL
  14: "unavailable", // CANTOPEN
  15: "unavailable", // PROTOCOL
  26: "broken", // NOTADB
};

/** A file system that is full tells Node so by these. */
const fullCodes = new Set(["ENOSPC", "EDQUOT"]);

/** A StoreError, or a plain Error for a statement that makes no sense. */
export function toStoreError({ message, errcode, code }: ThreadError, file: string): Error {
  const kind = errcode === 0 ? toKind(code) : kinds[errcode & 0xff];
  switch (kind) {
    case undefined:
      return new Error(message);
    case "locked":
      return new StoreError(kind, `${file} is in use by another process: stop the other glm-proxy first`);
    case "full":
      return new StoreError(kind, `no space left for ${file}`);
    case "broken":
      return new StoreError(kind, `${file} is damaged or no database (${message}): restore it from a backup`);
    default:
      return new StoreError(kind, `cannot use ${file}: ${message}`);
  }
}

/** Errors of the file system have names as EACCES; those of Node itself begin with ERR_. */
function toKind(code: string): StoreErrorKind | undefined {
  if (fullCodes.has(code)) return "full";
  return /^E(?!RR_)/.test(code) ? "unavailable" : undefined;
}

/** What of an error crosses to another thread. */
export function toThreadError(error: unknown): ThreadError {
  const { message, errcode = 0, code = "" } = error as Error & { errcode?: number; code?: string };
  return { message, errcode, code };
}

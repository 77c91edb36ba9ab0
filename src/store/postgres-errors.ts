// What PostgreSQL's error codes mean for an operator (its manual, appendix A).

import { DatabaseError } from "pg";
import { StoreError, type StoreErrorKind } from "./store.ts";

/** By the beginning of the code, the longest first. What is not here is the statement's own fault. */
const kinds: readonly (readonly [prefix: string, kind: StoreErrorKind])[] = [
  ["53100", "full"], // disk_full
  ["25006", "unavailable"], // read_only_sql_transaction: a standby, or after a failover
  ["3D000", "unavailable"], // no such database
  ["42501", "unavailable"], // insufficient_privilege
  ["57014", "unavailable"], // query_canceled: took too long
  ["57P", "unavailable"], // is shutting down, is starting, was ended
  ["08", "unavailable"], // connection
  ["28", "unavailable"], // user or password
  ["40", "unavailable"], // deadlock, serialization: may be asked again
  ["53", "unavailable"], // resources: too many clients, no memory
  ["58", "unavailable"], // the server's own files
  ["XX001", "broken"], // data_corrupted
  ["XX002", "broken"], // index_corrupted
];

/** A StoreError, or the error itself when the statement is to blame. Never with the URL, which may hold a password. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof StoreError) return error;
  const { code = "", message = "" } = error as { code?: string; message?: string };
  if (!(error instanceof DatabaseError)) {
    return new StoreError("unavailable", `cannot reach PostgreSQL: ${message || code || "no connection"}`, error);
  }
  const kind = kinds.find(([prefix]) => code.startsWith(prefix))?.[1];
  return kind === undefined ? error : new StoreError(kind, `PostgreSQL: ${message}`, error);
}

// What goes between the main thread and a SQLite thread.

import type { Statement } from "./store.ts";

export interface ThreadOptions {
  readonly file: string;
  /** The writer holds the lock; a reader sees what is committed, and only that. */
  readonly role: "writer" | "reader";
}

export type ThreadRequest = { readonly id: number } & ThreadTask;

export type ThreadTask =
  /** `isInside`: belongs to a transaction that was begun. Fails when that is gone, instead of being done without it. */
  | ({ readonly kind: "run"; readonly isInside?: boolean } & Statement)
  | { readonly kind: "rollback" }
  | { readonly kind: "batch"; readonly runs: readonly StatementRun[] }
  | { readonly kind: "backup"; readonly file: string }
  | { readonly kind: "close" };

/** One statement, done for each row of parameters: its text crosses to the thread once, not for each. */
export interface StatementRun {
  readonly sql: string;
  readonly rows: unknown[][];
}

/** Id 0 tells whether the database could be opened. */
export interface ThreadAnswer {
  readonly id: number;
  readonly rows?: unknown[];
  readonly changes?: number;
  readonly insertId?: number;
  readonly error?: ThreadError;
}

export interface ThreadError {
  readonly message: string;
  /** SQLite's extended result code, or 0. */
  readonly errcode: number;
  /** Node's, as ENOSPC, or "". */
  readonly code: string;
}

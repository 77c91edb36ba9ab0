// The store port: one database, SQLite or PostgreSQL, behind one query layer. Who asks what is in the folders that own
// the tables (people, ledger); here are only connection, lock, migrations and backup.

import type { Kysely } from "kysely";
import type { Tables } from "./schema.ts";

export type Db = Kysely<Tables>;

/**
 * Whoever asks gets StoreError when the database is to blame, and any other error when the statement is. U+0000 and half
 * characters in texts become U+FFFD.
 */
export interface Store {
  readonly kind: "sqlite" | "postgres";
  /** Reads and writes; on SQLite all of it runs on one thread of its own, one after the other. */
  readonly db: Db;
  /** Long reads, which keep no write waiting. They see what is committed. */
  readonly reads: Db;
  /**
   * Several statements as one transaction, in order: the way of the ledger. Durable when it resolves. When it rejects
   * with `unavailable`, nobody knows whether it was done (the answer to the commit may be what was lost): statements must
   * bear to be repeated.
   */
  writeBatch(statements: readonly Statement[]): Promise<void>;
  /** A consistent copy into a new file, while everything runs. Rejects with StoreError, on PostgreSQL always. */
  backup(file: string): Promise<void>;
  /** Refuses what comes later, waits for what was asked, but not for ever: a transaction that never ends is undone. */
  close(): Promise<void>;
}

/** SQL with `?` (SQLite) or `$1` (PostgreSQL) for parameters: what Kysely's `compile()` makes for this store. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type StoreTarget =
  /** `:memory:` keeps nothing. Otherwise an absolute path; its folder is made (0700). */
  { readonly kind: "sqlite"; readonly file: string } | { readonly kind: "postgres"; readonly url: string };

/** Why a store can't be used, in words for the operator: no secrets, and no password of a URL. */
export class StoreError extends Error {
  /**
   * locked: another process has it · unavailable: not reachable now · full: no space left · broken: unreadable or
   * damaged · newer: made by a later version · unmigrated: needs `glm-proxy migrate up` · unsupported: not here
   */
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StoreError";
    this.kind = kind;
  }
}

export type StoreErrorKind = "locked" | "unavailable" | "full" | "broken" | "newer" | "unmigrated" | "unsupported";

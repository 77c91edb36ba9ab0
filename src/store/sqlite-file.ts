// The database's file and what lies beside it: made for its owner alone, taken by one process, never begun anew over
// what was damaged. Runs on the SQLite threads.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ThreadError } from "./sqlite-protocol.ts";

/** As SQLite's SQLITE_NOTADB: no database, or not one any more. */
export const notADatabaseCode = 26;

/** Longest wait for another connection to the same file. */
const busyMsMax = 5_000;
/** What a burst has made of the log beside the file is given back to the disk. */
const logBytesMax = 64 * 1_024 * 1_024;

export class DatabaseFileError extends Error implements ThreadError {
  readonly errcode: number;
  readonly code = "";

  constructor(errcode: number, message: string) {
    super(message);
    this.errcode = errcode;
  }
}

/**
 * Takes the file for this process: a second one finds it taken until this one closes it or ends, however it ends. A
 * symbolic link to the file meets the same lock.
 */
export function takeFile(file: string): { readonly file: string; readonly lock: DatabaseSync } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const real = existsSync(file) ? realpathSync(file) : file;
  const lock = new DatabaseSync(`${real}.lock`);
  try {
    chmodSync(`${real}.lock`, 0o600);
    lock.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    throw error;
  }
  return { file: real, lock };
}

/** Opens what was taken, or creates it. `mayCreate`: false when it was there before, and can only have been lost. */
export function openForWriting(file: string, mayCreate: boolean): DatabaseSync {
  if (file === ":memory:") return new DatabaseSync(file);
  const isNew = !existsSync(file);
  if (isNew && !mayCreate) throw new DatabaseFileError(notADatabaseCode, "it is gone");
  if (isNew) requireNoLog(file);
  else requireContent(file);
  // Made here and not by SQLite: nobody else may read it even for a moment. What SQLite lays beside it takes its mode.
  if (isNew) closeSync(openSync(file, "wx", 0o600));
  else hideFromOthers(file);
  // SQLite opens one that may only be read without a word, and fails at the first write.
  accessSync(file, constants.W_OK);
  try {
    return openWritable(file);
  } catch (error) {
    if (isNew && statSync(file).size === 0) rmSync(file, { force: true });
    throw error;
  }
}

/** One that its owner may only read stays so. */
function hideFromOthers(file: string): void {
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0) chmodSync(file, mode & 0o700);
}

function openWritable(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: busyMsMax });
  try {
    // synchronous=FULL: a commit that was answered survives a power cut.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;
      PRAGMA journal_size_limit = ${logBytesMax}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export function openForReading(file: string): DatabaseSync {
  return new DatabaseSync(file, { readOnly: true, timeout: busyMsMax });
}

/** SQLite would take it for a new database, and all that was in it would be forgotten in silence. */
function requireContent(file: string): void {
  if (statSync(file).size === 0) throw new DatabaseFileError(notADatabaseCode, "it is empty");
}

/** The log of a database that is gone: SQLite would delete it. */
function requireNoLog(file: string): void {
  if (!existsSync(`${file}-wal`) || statSync(`${file}-wal`).size === 0) return;
  throw new DatabaseFileError(notADatabaseCode, `it is gone, while ${file}-wal is still there`);
}

/** A consistent copy, durable when it returns; nothing of it is to be seen under its name before. */
export function copyDatabase(source: DatabaseSync, file: string): void {
  if (existsSync(file)) throw Object.assign(new Error("there is a file of that name already"), { code: "EEXIST" });
  const part = `${file}.part`;
  try {
    rmSync(part, { force: true });
    closeSync(openSync(part, "wx", 0o600));
    source.prepare("VACUUM INTO ?").run(part);
    sync(part);
    renameSync(part, file);
    sync(dirname(file));
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

// The database's file and what lies next to it: made for its owner alone, used by one process, never begun anew over what
// was damaged, and never in the place of what is not plainly the gateway's own. Runs on the SQLite threads.

import { randomInt } from "node:crypto";
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import {
  ForeignFileError,
  followLink,
  hasCode,
  makeDraft,
  makeFolder,
  mayOthersReplace,
  nameDraft,
  requirePlainFile,
} from "../base/own-files.ts";
import { type DatabaseHeader, findDamage, isIndex, isJournal, isLog, readHeader } from "./sqlite-log.ts";
import type { ThreadError } from "./sqlite-protocol.ts";

/** As SQLite's SQLITE_NOTADB: no database, or not one any more. */
export const notADatabaseCode = 26;

/** Stands in the first page of each database that the gateway makes: "GLMP". */
const applicationId = 0x474c4d50;
/** How databases of earlier versions are known, which have no such mark: the tables of the database, and of the spool. */
const ownTables = [
  ["kysely_migration", "calls"],
  ["spool", "meta"],
];
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
 * symbolic link to the file meets the same lock. Throws, before anything is changed, when what is there is not plainly a
 * database of the gateway, or has lost what was written to it.
 */
export function takeFile(file: string): { readonly file: string; readonly lock: DatabaseSync } {
  const real = requireOwnPlace(file);
  const lockFile = `${real}.lock`;
  const isLockThere = existsSync(lockFile);
  // Under the lock, where there is one: reading a file that this process has open would drop SQLite's locks on it.
  if (!isLockThere) {
    requireOwnContent(real);
    makeFolder(dirname(real));
    makeLock(lockFile);
  }
  const lock = new DatabaseSync(lockFile);
  try {
    lock.exec(
      "PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE",
    );
    if (isLockThere) requireOwnContent(real);
    if (existsSync(real)) requireWhole(real);
    hideFromOthers(lockFile);
  } catch (error) {
    lock.close();
    throw error;
  }
  return { file: real, lock };
}

/**
 * The path of the file itself. Throws when something that is not a file of the gateway stands there or next to it. Looks,
 * but opens nothing: the database may be in use.
 */
function requireOwnPlace(file: string): string {
  const real = followLink(file);
  requirePlainFile(real);
  for (const suffix of ["-wal", "-shm", "-journal", ".lock-journal"]) requirePlainFile(real + suffix, real + suffix);
  requireEmpty(`${real}.lock`);
  return real;
}

function requireEmpty(file: string): void {
  if (requirePlainFile(file, file)?.size) throw new ForeignFileError(`${file} is not the gateway's: it is not empty`);
}

/**
 * Throws when the file, or its place, is plainly not the gateway's. For a look before anything at all is changed, by a
 * process that has not opened it.
 */
export function requireOwnDatabase(file: string): void {
  const real = requireOwnPlace(file);
  accessSync(findFolder(dirname(real)), constants.W_OK | constants.X_OK);
  if (!existsSync(`${real}.lock`)) requireOwnContent(real);
}

/** The nearest one that is there. */
function findFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : findFolder(dirname(folder));
}

function requireOwnContent(file: string): void {
  const log = `${file}-wal`;
  const hasLog = hasContent(log);
  requireOwnSide(`${file}-shm`, isIndex);
  requireOwnSide(`${file}-journal`, isJournal);
  if (!existsSync(file)) {
    // The log of a database that is gone: SQLite would delete it.
    if (hasLog) throw new DatabaseFileError(notADatabaseCode, `it is gone, while ${log} is still there`);
    return;
  }
  const header = requireHeader(file);
  if (hasLog && !isLog(log)) throw new DatabaseFileError(notADatabaseCode, `its log ${log} is damaged at its front`);
  if (header.applicationId === applicationId) return;
  if (header.applicationId !== 0) throw new ForeignFileError("it is a database of another program");
  requireOwnTables(file, hasLog);
}

function hasContent(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function requireOwnSide(file: string, isOwn: (file: string) => boolean): void {
  if (hasContent(file) && !isOwn(file))
    throw new ForeignFileError(`${file} is not the gateway's: it is something else`);
}

function requireHeader(file: string): DatabaseHeader {
  // SQLite would take it for a new database, and all that was in it would be forgotten in silence.
  if (statSync(file).size === 0) throw new DatabaseFileError(notADatabaseCode, "it is empty");
  const header = readHeader(file);
  if (header === null) throw new DatabaseFileError(notADatabaseCode, "it does not begin as one");
  return header;
}

/** Of a database that an earlier version made, which may have all of its tables in its log. */
function requireOwnTables(file: string, hasLog: boolean): void {
  const names = listTables(file, true);
  if (names.length === 0 && hasLog) names.push(...listTables(file, false));
  if (names.length === 0) throw new DatabaseFileError(notADatabaseCode, "its tables are gone");
  if (ownTables.some((own) => own.every((name) => names.includes(name)))) return;
  throw new ForeignFileError("it holds tables of another program: give glm-proxy a database of its own");
}

/** `isAlone`: of the file without its log, and without making anything next to it. */
function listTables(file: string, isAlone: boolean): string[] {
  const index = `${file}-shm`;
  const hadIndex = existsSync(index);
  const url = pathToFileURL(file);
  if (isAlone) url.searchParams.set("immutable", "1");
  const database = new DatabaseSync(url, { readOnly: true, timeout: busyMsMax });
  try {
    return database
      .prepare("select name from sqlite_master where type = 'table'")
      .all()
      .map(({ name }) => String(name));
  } finally {
    database.close();
    if (!hadIndex) rmSync(index, { force: true });
  }
}

/** SQLite takes a damaged log, or another one, for one that ends early, and begins anew without what was in it. */
function requireWhole(file: string): void {
  const damage = findDamage(file, requireHeader(file));
  if (damage !== null) throw new DatabaseFileError(notADatabaseCode, damage);
}

function makeLock(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    // Another process was faster: the lock itself decides.
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

/** Opens what was taken, or creates it. `mayCreate`: false when it was there before, and can only have been lost. */
export function openForWriting(file: string, mayCreate: boolean): DatabaseSync {
  if (file === ":memory:") return new DatabaseSync(file);
  const isNew = !existsSync(file);
  if (isNew && !mayCreate) throw new DatabaseFileError(notADatabaseCode, "it is gone");
  if (isNew) createDatabase(file);
  else if (statSync(file).size === 0) throw new DatabaseFileError(notADatabaseCode, "it is empty");
  else hideFromOthers(file);
  // SQLite opens one that may only be read without a word, and fails at the first write.
  accessSync(file, constants.W_OK);
  try {
    return openWritable(file);
  } catch (error) {
    if (isNew) rmSync(file, { force: true });
    throw error;
  }
}

/**
 * Made here and not by SQLite: nobody else may read it even for a moment (what SQLite lays next to it takes its mode), and
 * it is never there without its mark.
 */
function createDatabase(file: string): void {
  nameDraft(makeDraft(dirname(file), markFile), file);
}

function markFile(file: string): void {
  const database = new DatabaseSync(file);
  try {
    mark(database);
  } finally {
    database.close();
  }
}

/** Makes it known as the gateway's, and as another one than those of which it may be a copy. */
function mark(database: DatabaseSync): void {
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${randomInt(1, 2 ** 31)}`);
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
    // Made by an earlier version.
    if (database.prepare("PRAGMA application_id").get()?.application_id === 0) mark(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export function openForReading(file: string): DatabaseSync {
  return new DatabaseSync(file, { readOnly: true, timeout: busyMsMax });
}

/**
 * A consistent copy, durable when it returns; nothing of it is to be seen under its name before. In a folder in which
 * others could put another file in the place of the unfinished one, it is made next to the source first.
 */
export function copyDatabase(source: DatabaseSync, file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })) {
    throw Object.assign(new Error("there is a file of that name already"), { code: "EEXIST" });
  }
  const folder = dirname(file);
  const isExposed = mayOthersReplace(folder);
  const made = makeDraft(isExposed ? homeOf(source, folder) : folder, (draft) => {
    source.prepare("VACUUM INTO ?").run(draft);
    markFile(draft);
  });
  if (!isExposed) {
    nameDraft(made, file);
    return;
  }
  try {
    copyExposed(made, file);
  } finally {
    rmSync(made, { force: true });
  }
}

/** The folder of the database itself. */
function homeOf(source: DatabaseSync, exposed: string): string {
  const home = source.location();
  if (home === null)
    throw new ForeignFileError(`others may put files of their own into ${exposed}: choose another folder`);
  return dirname(home);
}

/** Writes through one descriptor from its making on, so that nothing gets into a file of somebody else. */
function copyExposed(made: string, file: string): void {
  let inode = 0;
  const draft = makeDraft(dirname(file), (_, descriptor) => {
    inode = fstatSync(descriptor).ino;
    copyBytes(made, descriptor);
  });
  nameDraft(draft, file);
  if (lstatSync(file).ino !== inode) {
    throw new ForeignFileError("another account has put a file of its own in the place of the copy");
  }
}

function copyBytes(from: string, to: number): void {
  const bytes = Buffer.allocUnsafe(1_024 * 1_024);
  const descriptor = openSync(from, "r");
  try {
    for (let length = -1; length !== 0; ) {
      length = readSync(descriptor, bytes);
      writeFileSync(to, bytes.subarray(0, length));
    }
  } finally {
    closeSync(descriptor);
  }
}

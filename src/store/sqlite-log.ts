// The log beside a SQLite file, read before SQLite does: SQLite takes a damaged one for the end of what was written, and
// forgets in silence what comes after. Reads only; format: https://sqlite.org/fileformat2.html#the_write_ahead_log
//
//   header 32 bytes: magic, version, page size, checkpoint, salt 1, salt 2, checksum
//   frame: page number, pages of the database after this commit (0: no commit), salt 1, salt 2, checksum; then the page
//
// Salt 1 counts up whenever the log is begun again from its front: frames of before stay behind until they are written over.

import { closeSync, openSync, readSync, statSync } from "node:fs";

/** What the first page says of the database. */
export interface DatabaseHeader {
  readonly pageSize: number;
  /** Null: it does not say, as after a change by a very old SQLite. */
  readonly pages: number | null;
  readonly applicationId: number;
  /** The number by which one database of ours is told from another; 0: made by an earlier version. */
  readonly userVersion: number;
}

const headerBytes = 100;
const logHeaderBytes = 32;
const frameHeaderBytes = 24;
const logVersion = 3_007_000;
const journalMagic = Buffer.from("d9d505f920a163d7", "hex");
const magicLittle = 0x377f0682;
const magicBig = 0x377f0683;
/** How far salt 1 can have counted since a frame was left behind. */
const staleMax = 1_000_000;

/** Null: it does not begin as a SQLite database. */
export function readHeader(file: string): DatabaseHeader | null {
  return withFile(file, (read) => parseHeader(read(0, headerBytes)));
}

function parseHeader(bytes: Buffer): DatabaseHeader | null {
  if (bytes.length < headerBytes || bytes.toString("latin1", 0, 16) !== "SQLite format 3\0") return null;
  const pageSize = bytes.readUInt16BE(16);
  return {
    // 65,536 does not fit into the field.
    pageSize: pageSize === 1 ? 65_536 : pageSize,
    pages: bytes.readUInt32BE(24) === bytes.readUInt32BE(92) ? bytes.readUInt32BE(28) : null,
    applicationId: bytes.readUInt32BE(68),
    userVersion: bytes.readUInt32BE(60),
  };
}

/** Whether a file begins as a log. */
export function isLog(file: string): boolean {
  return withFile(file, (read) => {
    const bytes = read(0, 4);
    return bytes.length === 4 && [magicLittle, magicBig].includes(bytes.readUInt32BE(0));
  });
}

/** Whether a file begins as the index of a log, which has the machine's own byte order, or as one that was never filled. */
export function isIndex(file: string): boolean {
  return withFile(file, (read) => {
    const bytes = read(0, 4);
    return isZero(bytes) || (bytes.length === 4 && [bytes.readUInt32LE(), bytes.readUInt32BE()].includes(logVersion));
  });
}

/** Whether a file begins as a rollback journal, or as one that has been used. */
export function isJournal(file: string): boolean {
  return withFile(file, (read) => {
    const bytes = read(0, journalMagic.length);
    return bytes.equals(journalMagic) || isZero(bytes);
  });
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** What is wrong with a database file and its log, in words; null: nothing that can be seen from outside. */
export function findDamage(file: string, header: DatabaseHeader): string | null {
  const log = `${file}-wal`;
  const logSize = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  const written = logSize === 0 ? nothing : withFile(log, (read) => readLog(read, logSize, header.pageSize));
  if (written.problem !== null) return `its log ${log} ${written.problem}`;
  return findMismatch(file, header, written);
}

interface Written {
  readonly problem: string | null;
  /** Pages that committed frames hold. */
  readonly pages: ReadonlySet<number>;
  /** Of the database after the last commit; 0: none. */
  readonly size: number;
  /** The first page as the log has it. */
  readonly first: DatabaseHeader | null;
}

const nothing: Written = { problem: null, pages: new Set(), size: 0, first: null };

function findMismatch(file: string, { pageSize, pages, userVersion }: DatabaseHeader, written: Written): string | null {
  const { size, first } = written;
  const isOther = first === null ? size !== pages && pages !== null : first.userVersion !== userVersion;
  if (size > 0 && userVersion !== 0 && isOther) return `its log ${file}-wal belongs to another database`;
  const expected = size > 0 ? size : (pages ?? 0);
  for (let page = Math.floor(statSync(file).size / pageSize) + 1; page <= expected; page++) {
    if (!written.pages.has(page)) return "it is cut off";
  }
  return null;
}

type Read = (from: number, length: number) => Buffer;

function readLog(read: Read, size: number, pageSize: number): Written {
  const header = read(0, logHeaderBytes);
  const frameBytes = frameHeaderBytes + pageSize;
  const damaged = { ...nothing, problem: "is damaged at its front" };
  if (header.length < logHeaderBytes) return damaged;
  const isBig = header.readUInt32BE(0) === magicBig;
  const sum = new Checksum(isBig);
  sum.add(header.subarray(0, 24));
  const isWhole =
    (isBig || header.readUInt32BE(0) === magicLittle) &&
    header.readUInt32BE(4) === logVersion &&
    header.readUInt32BE(8) === pageSize &&
    sum.equals(header.subarray(24, 32));
  if (!isWhole) return damaged;
  const salts = header.subarray(16, 24);
  const frames = Math.floor((size - logHeaderBytes) / frameBytes);
  const readFrame = (index: number, length: number) => read(logHeaderBytes + index * frameBytes, length);

  const pending = new Set<number>();
  const pages = new Set<number>();
  let commitSize = 0;
  let pendingFirst: DatabaseHeader | null = null;
  let first: DatabaseHeader | null = null;
  let index = 0;
  for (; index < frames; index++) {
    const frame = readFrame(index, frameBytes);
    sum.add(frame.subarray(0, 8));
    sum.add(frame.subarray(frameHeaderBytes));
    if (!frame.subarray(8, 16).equals(salts) || !sum.equals(frame.subarray(16, 24))) break;
    const page = frame.readUInt32BE(0);
    pending.add(page);
    if (page === 1) pendingFirst = parseHeader(frame.subarray(frameHeaderBytes));
    if (frame.readUInt32BE(4) === 0) continue;
    commitSize = frame.readUInt32BE(4);
    for (const one of pending) pages.add(one);
    pending.clear();
    first = pendingFirst ?? first;
  }
  const problem = judgeRest(index, frames, commitSize > 0, salts, (at) => readFrame(at, frameHeaderBytes));
  return { problem, pages, size: commitSize, first };
}

/**
 * What follows the last whole frame is what a crash has left, unless something that was answered is among it. A commit
 * was answered when more was written after it: the next transaction begins when it is synced.
 */
function judgeRest(
  from: number,
  frames: number,
  hasCommits: boolean,
  salts: Buffer,
  readFrameHeader: (index: number) => Buffer,
): string | null {
  let commitAt = -1;
  for (let index = from; index < frames; index++) {
    const frame = readFrameHeader(index);
    const isOfNow = frame.subarray(8, 16).equals(salts);
    if (isOfNow && commitAt >= 0) return hasCommits ? "is damaged in its middle" : "is damaged at its front";
    if (isOfNow && frame.readUInt32BE(4) !== 0) commitAt = index;
    else if (!isOfNow && index === from && !hasCommits && !isStale(frame, salts)) return "is damaged at its front";
  }
  if (commitAt < 0 || hasCommits) return null;
  // The only commit. A process that was killed may have got no further than its frame's header, over what an earlier round
  // left. Anything else may be a commit that a power cut tore, or one that was answered.
  const isCutShort = commitAt === from && from + 1 < frames && isStale(readFrameHeader(from + 1), salts);
  return isCutShort ? null : "holds no whole transaction";
}

/** Left behind by an earlier round of the log. */
function isStale(frame: Buffer, salts: Buffer): boolean {
  const rounds = (salts.readUInt32BE(0) - frame.readUInt32BE(8)) >>> 0;
  return rounds > 0 && rounds <= staleMax;
}

/** The log's running checksum, over pairs of 32-bit words. */
class Checksum {
  readonly #isBig: boolean;
  #first = 0;
  #second = 0;

  constructor(isBig: boolean) {
    this.#isBig = isBig;
  }

  /** A multiple of eight bytes. */
  add(bytes: Buffer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let [first, second] = [this.#first, this.#second];
    for (let at = 0; at < bytes.length; at += 8) {
      first = (first + view.getUint32(at, !this.#isBig) + second) >>> 0;
      second = (second + view.getUint32(at + 4, !this.#isBig) + first) >>> 0;
    }
    [this.#first, this.#second] = [first, second];
  }

  equals(bytes: Buffer): boolean {
    return bytes.readUInt32BE(0) === this.#first && bytes.readUInt32BE(4) === this.#second;
  }
}

function withFile<Result>(file: string, use: (read: Read) => Result): Result {
  const descriptor = openSync(file, "r");
  try {
    return use((from, length) => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, from));
    });
  } finally {
    closeSync(descriptor);
  }
}

// The few things that the configuration does with files, as a port, and the system's implementation of it.
// What the files mean is decided elsewhere.

import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { createFile, describeKind, ForeignFileError, hasCode, makeFolder, replaceFile } from "../base/own-files.ts";

export interface ConfigFiles {
  /** The text, or null when there is no such file. Throws when it is there but cannot be read, or is no regular file. */
  readText(path: string): string | null;
  /** Permission bits, or null when there is no such file or the system has none. */
  readMode(path: string): number | null;
  /**
   * Creates a file that only its owner can read (0600), with its folder (0700), and returns what it holds at the end:
   * the text of another process that was faster stays. An empty file is filled. Throws when the folder cannot be
   * written, and ForeignFileError when something else has that name.
   */
  createSecret(path: string, text: string, isUsable: (text: string) => boolean): string;
}

const fileBytesMax = 4_194_304;
const passedPattern = /^\/(dev\/stdin|(dev|proc\/self)\/fd\/\d+)$/;

export const systemFiles: ConfigFiles = { readText, readMode, createSecret };

function readText(path: string): string | null {
  try {
    const stats = statSync(path);
    const kind = describeKind(stats);
    // Reading a pipe or a device may never end. What the caller of the process has opened for it is meant.
    if (kind !== null && !passedPattern.test(path)) throw new ForeignFileError(`it is ${kind}`);
    if (stats.size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
    return decodeText(readFileSync(path));
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return null;
    throw error;
  }
}

/** UTF-8, with or without a byte order mark. Throws for anything else: a guess would change names and secrets. */
function decodeText(bytes: Buffer): string {
  const [first, second] = bytes;
  const isWide = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || bytes.includes(0);
  if (isWide) throw new ForeignFileError("it is not UTF-8 but UTF-16 or binary: save it as UTF-8");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ForeignFileError("it is not UTF-8: save it as UTF-8");
  }
}

function readMode(path: string): number | null {
  if (process.platform === "win32") return null;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? stats.mode & 0o777 : null;
}

function createSecret(path: string, text: string, isUsable: (text: string) => boolean): string {
  makeFolder(dirname(path));
  try {
    // Of several processes that start at once, the first one's secret stays.
    createFile(path, text);
    return text;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    const present = readText(path);
    if (present === null) throw new ForeignFileError("it is a symbolic link to nothing");
    if (isUsable(present)) return present;
    if (present.trim() !== "") throw new ForeignFileError("it holds something else");
    replaceFile(path, text);
    return readText(path) ?? text;
  }
}

/** Why a file operation failed, without the path and without any of the file's content. */
export function explainFileError(error: unknown): string {
  if (hasCode(error, "EACCES", "EPERM")) return "permission denied";
  if (error instanceof Error && "code" in error && !(error instanceof ForeignFileError)) return String(error.code);
  return error instanceof Error ? error.message : "unknown error";
}

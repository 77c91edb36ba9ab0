// The few things that the configuration does with files, as a port, and the system's implementation of it.
// What the files mean is decided elsewhere.

import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface ConfigFiles {
  /** The text, or null when there is no such file. Throws when it is there but cannot be read. */
  readText(path: string): string | null;
  /** Permission bits, or null when there is no such file or the system has none. */
  readMode(path: string): number | null;
  /**
   * Creates a file that only its owner can read (0600), with its folder (0700), and returns what it holds at the end:
   * the text of another process that was faster stays. A file for which `isUsable` is false is replaced. Throws when
   * the folder cannot be written.
   */
  createSecret(path: string, text: string, isUsable: (text: string) => boolean): string;
}

const fileBytesMax = 4_194_304;

export const systemFiles: ConfigFiles = { readText, readMode, createSecret };

function readText(path: string): string | null {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw new Error("it is a folder");
    if (stats.size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function readMode(path: string): number | null {
  if (process.platform === "win32") return null;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? stats.mode & 0o777 : null;
}

function createSecret(path: string, text: string, isUsable: (text: string) => boolean): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, text, { mode: 0o600, flag: "wx", flush: true });
  try {
    chmodSync(draft, 0o600);
    // Linking fails where the name is taken, so of several processes that start at once the first one's secret stays.
    linkSync(draft, path);
  } catch (error) {
    const present = readText(path);
    if (present !== null && isUsable(present)) return present;
    if (present === null && !isLinkRefused(error)) throw error;
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
  return readText(path) ?? text;
}

function isMissing(error: unknown): boolean {
  return hasCode(error, "ENOENT", "ENOTDIR");
}

/** Some file systems know no hard links. */
function isLinkRefused(error: unknown): boolean {
  return hasCode(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK");
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

/** Why a file operation failed, without the path and without any of the file's content. */
export function explainFileError(error: unknown): string {
  if (hasCode(error, "EACCES", "EPERM")) return "permission denied";
  if (hasCode(error, "EISDIR")) return "it is a folder";
  if (error instanceof Error && "code" in error) return String(error.code);
  return error instanceof Error ? error.message : "unknown error";
}

// Files that the gateway makes or changes: only regular files that are plainly its own, never through a link, never half
// written. What stands at a path is looked at before anything there is changed.

import { randomUUID } from "node:crypto";
import {
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Something that is not the gateway's stands where its file should be. Nothing was changed. */
export class ForeignFileError extends Error {
  readonly code = "EFOREIGN";
}

const ownerOnly = 0o600;
const writeByOthers = 0o022;
const stickyBit = 0o1000;

/** What it is in words; null: a regular file. */
export function describeKind(stats: Stats): string | null {
  if (stats.isFile()) return null;
  if (stats.isDirectory()) return "a directory";
  if (stats.isSymbolicLink()) return "a symbolic link";
  if (stats.isFIFO()) return "a named pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

/** Null: nothing is there. Throws ForeignFileError for everything but a regular file, links included. */
export function requirePlainFile(path: string, name = "it"): Stats | null {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats) return null;
  const kind = describeKind(stats);
  if (kind !== null) throw new ForeignFileError(`${name} is ${kind}`);
  return stats;
}

/** The path of the file itself, where a link leads to one. Throws ForeignFileError when it leads to nothing. */
export function followLink(path: string, name = "it"): string {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return path;
  if (!statSync(path, { throwIfNoEntry: false })) throw new ForeignFileError(`${name} is a symbolic link to nothing`);
  return realpathSync(path);
}

/**
 * A file of a random name in the folder, for its owner's eyes alone (0600), filled and synced. Removed again when filling
 * fails. Whoever gets the path gives the file its name, or removes it.
 */
export function makeDraft(folder: string, fill: (path: string, descriptor: number) => void): string {
  const path = join(folder, `.glm-proxy-${randomUUID()}`);
  const descriptor = openSync(path, "wx", ownerOnly);
  try {
    fill(path, descriptor);
    fsyncSync(descriptor);
    return path;
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Gives a draft its name, durably. Throws EEXIST when the name is taken, by whatever it is. */
export function nameDraft(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!hasCode(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    // A file system without hard links.
    if (lstatSync(path, { throwIfNoEntry: false })) {
      throw Object.assign(new Error("there is a file of that name already"), { code: "EEXIST" });
    }
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(dirname(path));
}

/** Makes a new file (0600), whole or not at all. Throws EEXIST when the name is taken. */
export function createFile(path: string, content: string | Buffer): void {
  nameDraft(
    makeDraft(dirname(path), (_, descriptor) => writeFileSync(descriptor, content)),
    path,
  );
}

/**
 * Puts new content in the place of a regular file, whole or not at all. It keeps mode and owner; without one there, it is
 * for its owner's eyes alone.
 */
export function replaceFile(path: string, content: string | Buffer): void {
  const old = requirePlainFile(path, path);
  const draft = makeDraft(dirname(path), (made, descriptor) => {
    if (old !== null) takeAfter(old, made, descriptor);
    writeFileSync(descriptor, content);
  });
  try {
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function takeAfter(old: Stats, draft: string, descriptor: number): void {
  const made = statSync(draft);
  if (made.uid !== old.uid || made.gid !== old.gid) chownSync(draft, old.uid, old.gid);
  fchmodSync(descriptor, old.mode & 0o777);
}

/** Makes the folder (0700) with those above it, where they are missing. */
export function makeFolder(folder: string): void {
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (first !== undefined) syncFolder(dirname(first));
}

/** After this, names that were given or taken in the folder outlive a power cut. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Some file systems can't sync folders.
    if (!hasCode(error, "EINVAL", "ENOTSUP", "EPERM", "EISDIR")) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Whether another account than this one and root can put other files in the place of those in the folder. */
export function mayOthersReplace(folder: string): boolean {
  const path = realpathSync(folder);
  const { uid, mode } = statSync(path);
  const isOthers = uid !== 0 && uid !== process.getuid?.();
  const isShared = (mode & writeByOthers) !== 0 && (mode & stickyBit) === 0;
  if (isOthers || isShared) return true;
  return dirname(path) !== path && mayOthersReplace(dirname(path));
}

/** Whether another account than this one and root can make files in the folder, or could if it were made now. */
export function mayOthersFill(folder: string): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  return (
    (stats !== undefined && (stats.mode & writeByOthers) !== 0) || mayOthersReplace(stats ? folder : dirname(folder))
  );
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

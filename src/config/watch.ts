// Tells when a file has changed, also when an editor puts a new file in its place or a link in its folder is turned.
// Watches the folder, not the file: a watch on a file follows the old one. Does not read the file.

import { type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Clock } from "../base/clock.ts";

export interface FileWatch {
  /** False when the system cannot watch, for example because it has no watches left: then nothing will be told. */
  readonly isActive: boolean;
  close(): void;
}

/** Editors write in several steps; a change is told when they have been quiet for so long. */
const quietMs = 100;

/**
 * Calls `onChange` after the file's time or size changed, not when the file merely went away. Never throws and never
 * keeps the process alive; an exception of `onChange` is its own.
 */
export function watchFile(path: string, clock: Clock, onChange: () => void): FileWatch {
  const file = resolve(path);
  let seen = fingerprintFile(file);
  let watcher: FSWatcher | null = null;
  let watched = "";
  let cancelCheck: (() => void) | null = null;
  let isClosed = false;

  watchNearestFolder();
  return {
    get isActive() {
      return watcher !== null;
    },
    close() {
      isClosed = true;
      cancelCheck?.();
      watcher?.close();
      watcher = null;
    },
  };

  /** The file's folder, or while that is missing the nearest one above it. */
  function watchNearestFolder(): void {
    let folder = dirname(file);
    while (fingerprintFolder(folder) === null && folder !== dirname(folder)) folder = dirname(folder);
    const identity = `${folder} ${fingerprintFolder(folder)}`;
    if (watcher && identity === watched) return;
    watcher?.close();
    watcher = openWatcher(folder);
    watched = identity;
  }

  function openWatcher(folder: string): FSWatcher | null {
    try {
      const opened = watch(folder, { persistent: false }, (_, name) => scheduleCheck(name === basename(file)));
      opened.on("error", () => scheduleCheck(false));
      return opened;
    } catch {
      return null;
    }
  }

  /** Another file's events must not put the check off for ever, so only the file's own start the wait again. */
  function scheduleCheck(isOwn: boolean): void {
    if (isClosed || (cancelCheck && !isOwn)) return;
    cancelCheck?.();
    cancelCheck = clock.after(quietMs, check);
  }

  function check(): void {
    cancelCheck = null;
    watchNearestFolder();
    const now = fingerprintFile(file);
    if (now === null || now === seen) return;
    seen = now;
    onChange();
  }
}

function fingerprintFile(path: string): string | null {
  try {
    const { mtimeNs, size } = statSync(path, { bigint: true });
    return `${mtimeNs} ${size}`;
  } catch {
    return null;
  }
}

function fingerprintFolder(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}

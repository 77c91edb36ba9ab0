// A tool's own file, changed so that it can be put back: its bytes as they were are kept beside it, and a write is whole
// or not at all.
//
//   settings.json                         what the tool reads
//   settings.json.before-glm-proxy        its bytes before the first change (0600)
//   settings.json.before-glm-proxy.none   instead of it: there was no such file

import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  createFile,
  ForeignFileError,
  followLink,
  makeFolder,
  replaceFile,
  requirePlainFile,
} from "../../base/own-files.ts";
import { CommandError } from "../command-error.ts";
import { exitCodes } from "../world.ts";
import { changeText, type FileFormat, FormatProblem, type Setting, type SettingPath } from "./file-format.ts";

export interface EditedFile {
  /** As messages name it. */
  readonly shownPath: string;
  /** The file itself, where the path is a link. */
  readonly path: string;
  readonly format: FileFormat;
}

export interface Change {
  readonly path: SettingPath;
  readonly isSecret: boolean;
  /** Undefined: not there. */
  readonly before: unknown;
  readonly after: unknown;
}

export interface Written {
  /** Empty: all was there already, and nothing was touched. */
  readonly changes: readonly Change[];
  /** Null: there was no file before. */
  readonly backup: string | null;
  /** Whether others than its owner may read it. */
  readonly isOpen: boolean;
}

/** Throws CommandError. */
export function findFile(path: string, shownPath: string, format: FileFormat): EditedFile {
  return { shownPath, path: doing(shownPath, () => followLink(path)), format };
}

/** Throws CommandError, and has changed nothing then. */
export function writeSettings(file: EditedFile, settings: readonly Setting[]): Written {
  const { path, shownPath, format } = file;
  return doing(shownPath, () => {
    const old = readFile(path);
    const text = old === null ? "" : decode(old, shownPath);
    const changed = onText(text, (body) => changeText(format, body, settings, shownPath));
    const before = format.parse(withoutMark(text));
    const changes = settings
      .map(({ path, value, isSecret = false }) => ({ path, isSecret, before: before.get(path), after: value }))
      .filter(({ before, after }) => !isDeepStrictEqual(before, after));
    if (old === null || changes.length > 0) {
      keepOriginal(path, old);
      replaceFile(path, Buffer.from(changed));
    }
    const backup = existsSync(backupOf(path)) ? backupOf(path) : null;
    return { changes, backup, isOpen: (statSync(path).mode & 0o077) !== 0 };
  });
}

/**
 * Puts back what was there before the first write. `owned`: the places that a write may have set. Returns what became
 * of the file. Throws CommandError when there is nothing to put back, or when more than these places changed since.
 */
export function restore(file: EditedFile, owned: readonly SettingPath[], isForced: boolean): "restored" | "removed" {
  const { path, shownPath, format } = file;
  return doing(shownPath, () => {
    const now = readFile(path);
    const hadNone = existsSync(absenceOf(path));
    if (!hadNone && !existsSync(backupOf(path))) {
      throw new CommandError(`Nothing to restore: there is no ${shownPath}.before-glm-proxy.`);
    }
    const original = hadNone ? null : readFileSync(backupOf(path));
    if (!isForced && hasOtherChanges()) {
      throw new CommandError(`Nothing was restored: ${shownPath} was changed since, beyond what connect wrote.`, {
        advice: hadNone
          ? "--force removes it with these changes."
          : `--force puts the file of before back without these changes; it is ${basename(backupOf(path))} beside it.`,
      });
    }
    if (original === null) rmSync(path, { force: true });
    else replaceFile(path, original);
    rmSync(original === null ? absenceOf(path) : backupOf(path));
    return original === null ? "removed" : "restored";

    function hasOtherChanges(): boolean {
      if (now === null) return original !== null;
      if (original?.equals(now)) return false;
      try {
        const rest = (bytes: Buffer) => format.parse(withoutMark(decode(bytes, shownPath))).without(owned);
        const before = original === null ? Buffer.from(format.emptyText) : original;
        return !isDeepStrictEqual(rest(now), rest(before));
      } catch (error) {
        if (error instanceof FormatProblem || error instanceof CommandError) return true;
        throw error;
      }
    }
  });
}

function backupOf(path: string): string {
  return `${path}.before-glm-proxy`;
}

function absenceOf(path: string): string {
  return `${backupOf(path)}.none`;
}

/** That of before the first write stays, however often it is written. */
function keepOriginal(path: string, bytes: Buffer | null): void {
  if (existsSync(backupOf(path)) || existsSync(absenceOf(path))) return;
  makeFolder(dirname(path));
  createFile(bytes === null ? absenceOf(path) : backupOf(path), bytes ?? "");
}

/** Null: there is none. Throws when it, or what was kept of it, is something else than a file. */
function readFile(path: string): Buffer | null {
  for (const kept of [backupOf(path), absenceOf(path)]) requirePlainFile(kept, kept);
  return requirePlainFile(path) ? readFileSync(path) : null;
}

function decode(bytes: Buffer, shownPath: string): string {
  const text = bytes.toString("utf8");
  if (Buffer.from(text).equals(bytes)) return text;
  throw new CommandError(`Cannot edit ${shownPath}: it is not UTF-8 text.`, { advice: "Nothing was changed." });
}

function withoutMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

/** A byte order mark at the beginning stays there. */
function onText(text: string, change: (body: string) => string): string {
  const body = withoutMark(text);
  return text.slice(0, text.length - body.length) + change(body);
}

/** What the system says against it, in words. */
function doing<Result>(shownPath: string, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof CommandError) throw error;
    const exitCode = error instanceof ForeignFileError ? exitCodes.unavailable : exitCodes.failure;
    throw new CommandError(`Cannot edit ${shownPath}: ${message}.`, { exitCode });
  }
}

// What `connect` needs to know of a kind of file to change some of its settings and nothing else.

import { isDeepStrictEqual } from "node:util";
import { CommandError } from "../command-error.ts";

/** Names from the outside in: ["env", "ANTHROPIC_BASE_URL"]. */
export type SettingPath = readonly string[];

export interface Setting {
  readonly path: SettingPath;
  readonly value: unknown;
  /** Whether it is shown masked. */
  readonly isSecret?: boolean;
}

export interface FileFormat {
  /** What a file that is not there begins as. */
  readonly emptyText: string;
  /** Throws FormatProblem when the text is not of this format. */
  parse(text: string): ParsedFile;
  /** The text with other values in these places, and everything else as it is. Throws FormatProblem where that can't be. */
  set(text: string, settings: readonly Setting[]): string;
}

export interface ParsedFile {
  /** Undefined: not there. */
  get(path: SettingPath): unknown;
  /** All but what is at or below these places, comments included, to compare. How it is laid out does not count. */
  without(paths: readonly SettingPath[]): unknown;
}

/** Why a text can't be read or changed: completes "Cannot edit the file: …". Never quotes the text, which may hold secrets. */
export class FormatProblem extends Error {}

export function isUnder(path: SettingPath, parents: readonly SettingPath[]): boolean {
  return parents.some((parent) => parent.every((name, index) => path[index] === name));
}

/** The changed text, after a look whether it says what it should and still says everything else. Throws CommandError. */
export function changeText(format: FileFormat, text: string, settings: readonly Setting[], shownPath: string): string {
  try {
    const before = format.parse(text);
    const changed = format.set(text, settings);
    const after = format.parse(changed);
    const places = settings.map(({ path }) => path);
    const isDone = settings.every(({ path, value }) => isDeepStrictEqual(after.get(path), value));
    if (isDone && isDeepStrictEqual(before.without(places), after.without(places))) return changed;
    throw new FormatProblem("it is written in a way that can't be changed safely");
  } catch (error) {
    if (!(error instanceof FormatProblem)) throw error;
    throw new CommandError(`Cannot edit ${shownPath}: ${error.message}.`, {
      advice: "Nothing was changed. Put it right, or set the lines by hand: without --write they are printed.",
    });
  }
}

/** As the text has them already. */
export function lineEndOf(text: string): string {
  return /\r?\n/.exec(text)?.[0] ?? "\n";
}

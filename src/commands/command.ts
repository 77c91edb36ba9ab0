// What a command of the command line is, as data: cli.ts makes the parser and the help of it, completions.ts the
// completion scripts. Knows no package and no command.

import { CommandError } from "./command-error.ts";
import { exitCodes, type World } from "./world.ts";

/** One word of the first level. What it does, or the verbs under it, is loaded only when it is asked for. */
export interface Entry {
  readonly name: string;
  readonly summary: string;
  /** Whether it is meant when no command is named. */
  readonly isDefault?: boolean;
  load(): Promise<Verb | readonly Verb[]>;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** What its help says beyond the summary. */
  readonly details?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** Whole command lines. */
  readonly examples?: readonly string[];
  /** Resolves with the exit code. Rejects with CommandError, ConfigError or StoreError for what may be expected. */
  run(input: Input, world: World): Promise<number>;
}

export interface ArgumentSpec {
  /** `<name>` must be there, `[name]` may be. */
  readonly name: string;
  readonly description: string;
  readonly fallback?: string;
}

export interface OptionSpec {
  /** "-c, --config <file>", "--yes", "--no-password". */
  readonly flags: string;
  readonly description: string;
  readonly fallback?: string;
  readonly choices?: readonly string[];
  /** Whether it may be given several times. */
  readonly isRepeated?: boolean;
}

/** What was typed after the verb. Options go by their long name without dashes: "queue-timeout". */
export class Input {
  readonly #arguments: readonly (string | undefined)[];
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(args: readonly (string | undefined)[], options: Readonly<Record<string, unknown>>) {
    this.#arguments = args;
    this.#options = options;
  }

  argument(index: number): string | undefined {
    return this.#arguments[index];
  }

  /** For arguments that the parser insists on. */
  required(index: number): string {
    return this.#arguments[index] ?? "";
  }

  text(name: string): string | undefined {
    const value = this.#options[name];
    return typeof value === "string" ? value : undefined;
  }

  isSet(name: string): boolean {
    return this.#options[name] === true;
  }

  list(name: string): readonly string[] {
    const value = this.#options[name];
    return Array.isArray(value) ? (value as string[]) : [];
  }

  /** Undefined when it was not given. */
  number(name: string, min: number, max: number): number | undefined {
    const typed = this.text(name);
    if (typed === undefined) return undefined;
    const value = typed.trim() === "" ? Number.NaN : Number(typed);
    if (value >= min && value <= max) return value;
    throw new CommandError(`Cannot use --${name} ${typed}: it must be a number from ${min} to ${max}.`, {
      exitCode: exitCodes.usage,
    });
  }

  wholeNumber(name: string, min: number, max: number): number | undefined {
    const value = this.number(name, min, max);
    if (value === undefined || Number.isInteger(value)) return value;
    throw new CommandError(`Cannot use --${name} ${value}: it must be a whole number from ${min} to ${max}.`, {
      exitCode: exitCodes.usage,
    });
  }
}

/** The key of an option in Input: "--no-password" is "no-password". */
export function longNameOf(flags: string): string {
  return /--([\w-]+)/.exec(flags)?.[1] ?? flags;
}

// What a command may touch of the process it runs in. Made in main.ts; tests bring their own.

import type { Clock } from "../base/clock.ts";

export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly version: string;
  /** Whether a person reads standard output. */
  readonly isTerminal: boolean;
  /** Writes one line to standard output, and to standard error. */
  print(line: string): void;
  printError(line: string): void;
  /** Writes text as it is, without a line's end. */
  write(text: string): void;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** Asks on the terminal without showing what is typed. Null when nobody can be asked. */
  readonly askSecret: ((question: string) => Promise<string>) | null;
  onSignal(signal: "SIGTERM" | "SIGINT" | "SIGHUP", handler: () => void): void;
  /** Errors that nobody caught: the process should come to an orderly end. */
  onUnexpected(handler: (error: unknown) => void): void;
}

/** Exit codes, after sysexits(3). */
export const exitCodes = { fine: 0, failure: 1, usage: 2, unavailable: 69, configuration: 78 } as const;

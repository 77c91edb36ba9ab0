// What a command may touch of the process it runs in. Made in main.ts; tests bring their own.

import type { Clock } from "../base/clock.ts";
import type { StandardOutput } from "./output/standard-output.ts";

export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly version: string;
  /** Whether a person reads standard output. */
  readonly isTerminal: boolean;
  /** Whether that person's terminal has been closed since the start. */
  isTerminalGone(): boolean;
  /** Size of that person's screen; 80 by 24 where it is not known. Changes with the window. */
  screenSize(): ScreenSize;
  /** Standard output, for what writes without end: it looks at how much waits for the reader. */
  readonly output: Pick<StandardOutput, "write" | "waitingBytes" | "isFile">;
  /** Writes a line to standard output, and to standard error. What could harm a terminal becomes a question mark. */
  print(line: string): void;
  printError(line: string): void;
  /** Writes text as it is, without a line's end. */
  write(text: string): void;
  /** Called once when nobody reads standard output any more, as after `| head`. */
  onOutputClosed(handler: () => void): void;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** Asks on the terminal, with or without showing what is typed. Null when nobody can be asked. */
  readonly ask: ((question: string) => Promise<string>) | null;
  readonly askSecret: ((question: string) => Promise<string>) | null;
  /**
   * Gives each key as it is pressed: no line is waited for, nothing is shown, and Ctrl-C is a key as well ("\u0003").
   * The returned function gives the terminal back. Null when there is no keyboard.
   */
  readonly readKeys: ((onKey: (key: string) => void) => () => void) | null;
  /** The process then ends when the command does, after a second at most, whatever its outputs do. */
  onSignal(signal: "SIGTERM" | "SIGINT" | "SIGHUP", handler: () => void): void;
  /** Errors that nobody caught: the process should come to an orderly end. */
  onUnexpected(handler: (error: unknown) => void): void;
}

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** Exit codes, after sysexits(3). */
export const exitCodes = { fine: 0, failure: 1, usage: 2, unavailable: 69, configuration: 78 } as const;

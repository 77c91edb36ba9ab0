// A command can't be done, for a reason that the user can do something about: printed as it is, without a stack.

import { exitCodes } from "./world.ts";

export interface CommandErrorOptions {
  /** Default: 1. */
  readonly exitCode?: number;
  /** What to do about it: a line of its own. */
  readonly advice?: string | undefined;
}

export class CommandError extends Error {
  readonly exitCode: number;
  readonly advice: string | undefined;

  constructor(message: string, { exitCode = exitCodes.failure, advice }: CommandErrorOptions = {}) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
    this.advice = advice;
  }
}

/** What was typed makes no sense. */
export function usageError(message: string, advice?: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, advice });
}

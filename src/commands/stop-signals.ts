// SIGINT and SIGTERM for commands that run until they are stopped: the first asks for an orderly end, a later one for the
// end at once. Every wait after a signal is bounded here.

import type { World } from "./world.ts";

export type StopSignal = "SIGINT" | "SIGTERM";

export interface StopSignals {
  /** Aborted by the first signal; its reason is the signal's name. */
  readonly stopped: AbortSignal;
  /** Aborted by a signal that comes later than the same key press could send it. */
  readonly forced: AbortSignal;
  /** The same as a first signal, for another reason; ignored after one. */
  stop(why: string): void;
  /** Resolves with the reason of the stop. */
  whenStopped(): Promise<string>;
  /**
   * Waits for the work: until a stop without bound, after it for `ms`, after a second signal for two seconds. Resolves with
   * whether the work has ended; rejects as it does.
   */
  settle(work: Promise<unknown>, ms: number): Promise<boolean>;
}

/** A terminal sends Ctrl-C to its whole foreground group, and npm sends its own copy on: both belong to one key press. */
export const samePressMs = 1_000;
/** What is left for records and files after a second signal. */
export const forcedMsMax = 2_000;

/** Both signals are handled when this returns: call it before anything is opened. */
export function listenForStop({ onSignal, clock }: Pick<World, "onSignal" | "clock">): StopSignals {
  const stopped = new AbortController();
  const forced = new AbortController();
  let firstAt = 0;

  function stop(why: string): void {
    if (stopped.signal.aborted) return;
    firstAt = clock.now();
    stopped.abort(why);
  }

  function receive(signal: StopSignal): void {
    if (!stopped.signal.aborted) stop(signal);
    else if (clock.now() - firstAt >= samePressMs) forced.abort(signal);
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const) onSignal(signal, () => receive(signal));

  function settle(work: Promise<unknown>, ms: number): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const cancels: (() => void)[] = [];
    const giveUpIn = (delayMs: number) => void cancels.push(clock.after(delayMs, () => resolve(false)));
    const offStopped = onAbort(stopped.signal, () => giveUpIn(ms));
    const offForced = onAbort(forced.signal, () => giveUpIn(forcedMsMax));
    work.then(() => resolve(true), reject);
    return promise.finally(() => {
      offStopped();
      offForced();
      for (const cancel of cancels) cancel();
    });
  }

  return {
    stopped: stopped.signal,
    forced: forced.signal,
    stop,
    whenStopped: () => new Promise((resolve) => onAbort(stopped.signal, () => resolve(String(stopped.signal.reason)))),
    settle,
  };
}

/** What the first line after a signal says of the next one. */
export function describeNextSignal(why: string): string {
  if (why === "SIGINT") return "press Ctrl-C again to stop now";
  return "a second signal stops it now";
}

/** Also for a signal that is aborted already. Returns what takes the handler away. */
function onAbort(signal: AbortSignal, handler: () => void): () => void {
  if (signal.aborted) handler();
  else signal.addEventListener("abort", handler, { once: true });
  return () => signal.removeEventListener("abort", handler);
}

// Runs code that knows only the global timers and clocks (npm libraries) in virtual time: the globals are the virtual
// clock's while `work` runs and themselves again afterwards.

import type { VirtualClock } from "./virtual-clock.ts";

/** Longest delay of a Node timer; a longer one fires at once. */
const timerDelayMsMax = 2_147_483_647;

interface VirtualTimer {
  cancel(): void;
  ref(): VirtualTimer;
  unref(): VirtualTimer;
  hasRef(): boolean;
}

/** `drain` lets every promise reaction that is due run; hand it to the clock's `run`. */
export async function withVirtualGlobals<Result>(
  clock: VirtualClock,
  work: (drain: () => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const { setImmediate } = globalThis;
  const drain = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const replaced = [
    replace(globalThis, "setTimeout", (callback: () => void, ms?: number) => createTimer(clock, callback, ms, false)),
    replace(globalThis, "setInterval", (callback: () => void, ms?: number) => createTimer(clock, callback, ms, true)),
    replace(globalThis, "clearTimeout", cancelTimer),
    replace(globalThis, "clearInterval", cancelTimer),
    replace(Date, "now", () => clock.wallNow()),
    replace(performance, "now", () => clock.now()),
  ];
  try {
    return await work(drain);
  } finally {
    for (const restore of replaced) restore();
  }
}

function replace(owner: object, name: string, value: unknown): () => void {
  const original = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (original) Object.defineProperty(owner, name, original);
    else Reflect.deleteProperty(owner, name);
  };
}

function createTimer(
  clock: VirtualClock,
  callback: () => void,
  ms: number | undefined,
  repeats: boolean,
): VirtualTimer {
  // As Node does: whole milliseconds, at least one.
  const wholeMs = Math.trunc(Number(ms) || 0);
  const delayMs = wholeMs >= 1 && wholeMs <= timerDelayMsMax ? wholeMs : 1;
  const arm = () => clock.after(delayMs, fire);
  let disarm = arm();
  function fire(): void {
    if (repeats) disarm = arm();
    callback();
  }
  const timer: VirtualTimer = {
    cancel: () => disarm(),
    ref: () => timer,
    unref: () => timer,
    hasRef: () => true,
  };
  return timer;
}

function cancelTimer(timer: unknown): void {
  if (typeof timer === "object" && timer !== null && "cancel" in timer) (timer as VirtualTimer).cancel();
}

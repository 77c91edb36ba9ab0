// Time and chance as a port: the only place where the program reads a clock, arms a timer or rolls a die
// (secrets excepted: those come from node:crypto). Tests and simulations bring their own.

export interface Clock {
  /**
   * Monotonic milliseconds with fractions, of the machine: the same for each process until it boots again. Only
   * differences mean something.
   */
  now(): number;
  /** Milliseconds since the Unix epoch. For tokens and records, never for waiting. */
  wallNow(): number;
  /** Calls back once after `ms`. The returned function cancels and may be called at any time, repeatedly. */
  after(ms: number, callback: () => void): () => void;
  /** Uniform in [0, 1), for jitter only. */
  random(): number;
}

/** Longest delay a Node timer takes (2^31 - 1 ms, 24.8 days); a longer one would fire at once. */
const timerDelayMsMax = 2_147_483_647;

const startedAtMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  now: () => startedAtMs + performance.now(),
  wallNow: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(Math.ceil(ms), 0), timerDelayMsMax));
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

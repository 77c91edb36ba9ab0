// What a client is told of the queue and of its limits: plain values, made by admission, written out by the HTTP side
// and the surfaces.

/** Where a call stands while it waits. */
export interface QueueStanding {
  /** 1 is the next to start. */
  readonly position: number;
  /** About how long it still has to wait. */
  readonly etaMs: number;
}

/** How a call came through the queue. */
export interface QueuePassage {
  /** Where it stood when it arrived; 0: it did not have to wait behind any. */
  readonly position: number;
  /** The wait that was foreseen then. */
  readonly etaMs: number;
  readonly waitedMs: number;
}

/** A limit and what is left of it. */
export interface RemainingLimit {
  /** upstream: all calls together · user: this user's · …-streams: calls running at once · …-tokens: LLM tokens */
  readonly name: "upstream" | "user" | "upstream-streams" | "user-streams" | "upstream-tokens" | "user-tokens";
  readonly limit: number;
  readonly remaining: number;
  /** The window that the limit is for; null for calls running at once. */
  readonly windowMs: number | null;
  /** When all of it is there again; null when that depends on running calls. */
  readonly resetMs: number | null;
}

// The upstream's limits as the control plane tells them, and what they mean in words: for `top` and `doctor`.

import { formatSpan } from "../output/times.ts";

export interface UpstreamJson {
  readonly name: string;
  readonly requests_per_second: number | null;
  readonly max_concurrency: number | null;
  readonly tokens_per_minute: number | null;
  readonly lanes: readonly LaneJson[];
}

export interface LaneJson {
  readonly model: string | null;
  readonly running: number;
  readonly max_concurrency: number | null;
  readonly learned_concurrency: number | null;
  readonly slowdown: number;
  readonly guard_ms: number;
  readonly blocked_ms: number;
  readonly blocked_because: string | null;
  readonly is_disabled: boolean;
}

/** What is not as configured; empty: all is. */
export function describeLane(lane: LaneJson): string {
  return [
    lane.is_disabled ? "not for this key" : null,
    lane.blocked_ms > 0
      ? `blocked for ${formatSpan(lane.blocked_ms)}${lane.blocked_because === null ? "" : ` (${lane.blocked_because})`}`
      : null,
    lane.learned_concurrency === null ? null : `learned: ${lane.learned_concurrency} at once`,
    lane.slowdown > 1 ? `starts ${lane.slowdown.toFixed(1)} times slower` : null,
  ]
    .filter((part) => part !== null)
    .join(", ");
}

// One call as a line: in `calls`, and in `tail` as it ends.

import type { CallJson } from "./client/wire.ts";
import type { StyleName } from "./output/style.ts";
import type { Column } from "./output/table.ts";
import { formatSecond, formatSpan } from "./output/times.ts";
import { formatCost } from "./usage-command.ts";

export const callColumns: readonly Column<CallJson>[] = [
  { title: "arrived", text: (call) => formatSecond(call.arrived_at) },
  { title: "outcome", text: (call) => describeOutcome(call), style: styleOf },
  { title: "user", text: (call) => call.user, canShrink: true },
  { title: "model", text: (call) => call.model, canShrink: true },
  { title: "waited", align: "right", text: (call) => between(call.arrived_at, call.granted_at) },
  { title: "took", align: "right", text: (call) => between(call.arrived_at, call.ended_at) },
  { title: "tokens", align: "right", text: describeTokens },
  { title: "cost", align: "right", text: (call) => (call.cost === 0 ? null : formatCost(call.cost)) },
  { title: "request id", text: (call) => call.request_id, canShrink: true },
];

/** "served", "refused 429 queue_full", "cut upstream_reset". */
export function describeOutcome({ state, status, reason }: CallJson): string {
  if (state === "served" || state === "open") return state;
  return [state, state === "refused" ? status : null, reason].filter((part) => part !== null).join(" ");
}

export function styleOf({ state }: CallJson): StyleName | null {
  if (state === "served") return "green";
  return state === "open" || state === "cancelled" ? "yellow" : "red";
}

/** "~": estimated, since the upstream did not say. */
export function describeTokens(call: CallJson): string | null {
  if (call.tokens_source === "none") return null;
  const about = call.tokens_source === "estimated" ? "~" : "";
  return `${about}${call.prompt_tokens}+${call.completion_tokens}`;
}

export function between(from: string | null, to: string | null): string | null {
  return from === null || to === null ? null : formatSpan(Math.max(0, Date.parse(to) - Date.parse(from)));
}

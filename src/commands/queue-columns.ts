// Calls that wait and run, as lines: in `ps`, and in `top`.

import type { RunningJson, WaitingJson } from "./client/wire.ts";
import type { Column } from "./output/table.ts";
import { formatSpan } from "./output/times.ts";

export const waitingColumns: readonly Column<WaitingJson>[] = [
  { title: "pos", align: "right", text: (call) => String(call.position) },
  { title: "user", text: (call) => call.user, canShrink: true },
  { title: "model", text: (call) => call.model, canShrink: true },
  { title: "class", text: (call) => call.class },
  { title: "waited", align: "right", text: (call) => formatSpan(call.waited_ms) },
  { title: "starts in", align: "right", text: (call) => formatSpan(call.eta_ms) },
  {
    title: "90% within",
    align: "right",
    text: (call) => (call.eta_p90_ms > call.eta_ms ? formatSpan(call.eta_p90_ms) : null),
  },
  { title: "because of", text: (call) => call.blocked_by.replaceAll("_", " ") },
  { title: "tries", align: "right", text: (call) => (call.tries === 0 ? null : String(call.tries)) },
  { title: "request id", text: (call) => call.request_id, canShrink: true },
];

export const runningColumns: readonly Column<RunningJson>[] = [
  { title: "user", text: (call) => call.user, canShrink: true },
  { title: "model", text: (call) => call.model, canShrink: true },
  { title: "class", text: (call) => call.class },
  { title: "upstream key", text: (call) => call.upstream_key, canShrink: true },
  { title: "running", align: "right", text: (call) => formatSpan(call.running_ms) },
  { title: "sent", text: (call) => (call.is_sent ? "yes" : "not yet"), style: (call) => (call.is_sent ? null : "dim") },
  { title: "request id", text: (call) => call.request_id, canShrink: true },
];

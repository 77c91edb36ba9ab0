// Limits as configured against limits as the upstream's refusals have taught them. Only a running server knows.

import type { AdminClient } from "../client/admin-client.ts";
import { ask } from "../client/ask.ts";
import type { LaneJson, UpstreamJson } from "../client/upstreams.ts";
import { formatSpan } from "../output/times.ts";
import { plural } from "../output/words.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** Configured starts are this much too fast before it is worth a word: a refusal now and then teaches a little. */
const slowdownTold = 1.5;

export async function checkLimits(client: AdminClient): Promise<Finding[]> {
  const { data } = await ask<{ data: readonly UpstreamJson[] }>(
    client,
    "look at the limits",
    "GET",
    "/admin/upstreams",
  );
  return data.flatMap((upstream) => judgeUpstream(upstream));
}

export function judgeUpstream(upstream: UpstreamJson): Finding[] {
  const findings = upstream.lanes.flatMap((lane) => judgeLane(upstream, lane));
  return findings.length > 0
    ? findings
    : [ok("limits", `the upstream has not refused what is configured for the key ${upstream.name}`)];
}

function judgeLane(upstream: UpstreamJson, lane: LaneJson): Finding[] {
  const where = lane.model === null ? `the key ${upstream.name}` : lane.model;
  const section = lane.model === null ? "[rate_limit]" : `[glm.models.${JSON.stringify(lane.model)}]`;
  const findings: Finding[] = [];
  if (lane.is_disabled) {
    const fix = "take the model out of your tools, or use a key that is for it";
    findings.push(warn("limits", `the upstream says that the key is not for ${where}`, fix));
  }
  if (lane.blocked_ms > 0) {
    const why = lane.blocked_because ?? "the upstream said so";
    const text = `no call starts on ${where} for ${formatSpan(lane.blocked_ms)}: ${why}`;
    findings.push(
      fail("limits", text, "see the upstream's console: key, balance and quota; it is tried again by itself"),
    );
  }
  if (lane.learned_concurrency !== null) {
    const set = upstream.max_concurrency === null || lane.model !== null ? "not set" : `${upstream.max_concurrency}`;
    const calls = plural(lane.learned_concurrency, "call", "calls");
    const text = `the upstream bears about ${calls} at once on ${where}; configured: ${set}`;
    findings.push(
      warn("limits", text, `set max_concurrency = ${lane.learned_concurrency} in ${section}, which saves refusals`),
    );
  }
  if (lane.slowdown >= slowdownTold) {
    const text = `the upstream bears ${lane.slowdown.toFixed(1)} times fewer starts on ${where} than are configured`;
    findings.push(warn("limits", text, `lower requests_per_second in ${section}`));
  }
  return findings;
}

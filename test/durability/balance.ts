// Holds the ledger against what the upstream saw and what the clients got. Finds nothing when the books are right.

import { composeAnswer } from "../../src/simulator/chat-answer.ts";
import { parseChatRequest } from "../../src/simulator/chat-request.ts";
import type { Arrival } from "../../src/simulator/observations.ts";
import type { Standing } from "./gateway-process.ts";
import type { LoadCall } from "./load.ts";

export interface StoredCall {
  readonly id: string;
  readonly request_id: string;
  readonly state: string;
  readonly user_name: string;
  readonly group_name: string | null;
  readonly key_id: string | null;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly tokens_source: string;
  readonly cost_micros: number;
  readonly sent_at: number | null;
  readonly ended_at: number | null;
}

export interface Balance {
  readonly problems: readonly string[];
  /** Calls that the upstream saw. */
  readonly seen: number;
  readonly records: number;
  readonly byState: Readonly<Record<string, number>>;
  /** Requests and tokens of served calls. */
  readonly servedTokens: number;
}

/** What a client's experience may look like in the records. A client that got everything may know it before we do. */
const allowedStates: Readonly<Record<LoadCall["outcome"], readonly string[]>> = {
  sent: [],
  whole: ["served", "unknown"],
  left: ["served", "cancelled", "cut", "unknown"],
  refused: ["refused"],
  broken: ["served", "cut", "cancelled", "refused", "unknown"],
};
const problemsMax = 20;

export function balance(
  records: readonly StoredCall[],
  calls: readonly LoadCall[],
  arrivals: readonly Arrival[],
  simulatorSeed: number,
): Balance {
  const problems: string[] = [];
  const callBySha = new Map(calls.map((call) => [call.bodySha256, call]));
  const callByMark = new Map(calls.map((call) => [call.mark, call]));
  const recordsByMark = Map.groupBy(records, ({ request_id }) => request_id);
  const seenMarks = new Set<string>();
  /** The gateway was killed while it sent a body, of which the upstream can't say whose it was. */
  const sawPart = arrivals.some(({ bodySha256 }) => bodySha256 === "");

  for (const { bodySha256 } of arrivals) {
    if (bodySha256 === "") continue;
    const call = callBySha.get(bodySha256);
    if (call) seenMarks.add(call.mark);
    else problems.push("the upstream saw a call that no client made");
  }
  for (const mark of seenMarks) {
    const count = recordsByMark.get(mark)?.length ?? 0;
    if (count !== 1) problems.push(`${mark}: the upstream saw it, and it has ${count} records`);
  }

  let expectedTokens = 0;
  let servedTokens = 0;
  for (const record of records) {
    const { request_id: mark, state, user_name, tokens_source } = record;
    const call = callByMark.get(mark);
    if (!call) {
      problems.push(`${mark}: a record of a call that no client made`);
      continue;
    }
    if (user_name !== call.user) problems.push(`${mark}: charged to ${user_name}, made by ${call.user}`);
    if (state === "open") problems.push(`${mark}: still open`);
    if (record.ended_at === null) problems.push(`${mark}: it has no end`);
    if (!allowedStates[call.outcome].includes(state))
      problems.push(`${mark}: ${state}, but for its client ${call.outcome}`);
    if (state === "unknown" && !isChargedBySend(record)) {
      problems.push(`${mark}: unknown, sent ${record.sent_at}, charged ${record.requests} and ${tokens_source}`);
    }
    if (state === "unknown" && record.sent_at !== null && !seenMarks.has(mark) && !sawPart) {
      problems.push(`${mark}: said to be sent, but the upstream never saw it`);
    }
    if (state !== "served") continue;
    if (!seenMarks.has(mark)) problems.push(`${mark}: served, but the upstream never saw it`);
    const [prompt, completion] = reckon(call.body, simulatorSeed);
    expectedTokens += prompt + completion;
    servedTokens += record.prompt_tokens + record.completion_tokens;
    if (record.requests !== 1 || record.prompt_tokens !== prompt || record.completion_tokens !== completion) {
      problems.push(
        `${mark}: ${record.prompt_tokens} + ${record.completion_tokens} tokens, not ${prompt} + ${completion}`,
      );
    }
  }
  if (servedTokens !== expectedTokens)
    problems.push(`${servedTokens} tokens served, ${expectedTokens} reported upstream`);
  for (const { mark, outcome } of calls) {
    if (outcome === "whole" && !recordsByMark.has(mark)) problems.push(`${mark}: answered whole, and not in the books`);
  }

  const byState: Record<string, number> = {};
  for (const { state } of records) byState[state] = (byState[state] ?? 0) + 1;
  return {
    problems: problems.slice(0, problemsMax),
    seen: seenMarks.size,
    records: records.length,
    byState,
    servedTokens,
  };
}

/** What the upstream reports for this request: the simulator says the same to the same. */
function reckon(body: Buffer, seed: number): [number, number] {
  const request = parseChatRequest(body);
  if ("code" in request) throw new Error(`the simulator objects: ${request.code}`);
  const { usage } = composeAnswer(request, seed, "", 0);
  return [usage.prompt_tokens, usage.completion_tokens];
}

/** By its estimate if it was sent, else nothing. */
function isChargedBySend({ sent_at, requests, prompt_tokens, tokens_source, cost_micros }: StoredCall): boolean {
  if (sent_at === null) return requests + prompt_tokens + cost_micros === 0 && tokens_source === "none";
  return requests === 1 && prompt_tokens > 0 && cost_micros > 0 && tokens_source === "estimated";
}

const scopeColumns = { user: "user_name", group: "group_name", key: "key_id" } as const;

/** What quotas have counted, against the records one by one. */
export function compareStandings(standings: readonly Standing[], records: readonly StoredCall[]): string[] {
  const problems: string[] = [];
  if (standings.length === 0) problems.push("no quota has counted anything");
  for (const { scope, id, name, used } of standings) {
    let sum = 0;
    for (const record of records) {
      if (record[scopeColumns[scope]] !== id) continue;
      if (name === "requests/total") sum += record.requests;
      else if (name === "tokens/total") sum += record.prompt_tokens + record.completion_tokens;
      else sum += record.cost_micros / 1_000_000;
    }
    if (Math.abs(sum - used) > 1e-6)
      problems.push(`${scope} ${id}: ${name} begins with ${used}, the records have ${sum}`);
  }
  return problems.slice(0, problemsMax);
}

// Brings an answer to the client: bytes unchanged and in order, whole events only. Reads the upstream as fast as a
// bounded buffer allows, so that a slow client does not hold the scarce upstream, and pauses the upstream beyond it.
//
//   upstream ──▶ scanner ──▶ client's buffer (≤ unsentBytesMax, all together ≤ budget) ──▶ client
//      ◀── pause ── beyond the bound            resume, when all of it is sent ──▶

import type { Answer, StreamedAnswer, Usage, WholeAnswer } from "../base/answer.ts";
import type { ByteBudget } from "../base/byte-budget.ts";
import type { Client } from "../base/client.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { createSseScanner } from "../base/sse-scanner.ts";
import type { Translation } from "../base/translation.ts";
import { findUsage } from "../base/usage.ts";
import { createByteScanner } from "./byte-scanner.ts";

/** What the answer said of itself. Filled while it is relayed, so that a cut one leaves what it had. */
export interface Relayed {
  hasBegun: boolean;
  usage: Usage | null;
  finishReason: string | null;
  /** Events of a stream; 0 for a whole answer. */
  eventCount: number;
  bytesOut: number;
}

export interface RelayBounds {
  /** Bytes that one stream may have unsent before its upstream is paused. */
  readonly unsentBytesMax: number;
  /** What the call's user may have unsent, of all that is. */
  readonly unsentBudget: ByteBudget;
}

const jsonType = "application/json; charset=utf-8";
const translatedEventBytesMax = 16 * 1024 * 1024;

/**
 * Resolves when the client has everything. Rejects with a Refusal when the stream breaks (`upstream_truncated`, an
 * upstream error, the deadline) or the client does; the upstream is closed then.
 */
export async function relay(
  answer: Answer,
  client: Client,
  relayed: Relayed,
  bounds: RelayBounds,
  signal: AbortSignal,
): Promise<void> {
  relayed.hasBegun = true;
  if (answer.kind === "stream") return relayStream(answer, client, relayed, bounds, signal);
  relayed.usage = findUsage(answer.parsed, answer.format);
  relayed.finishReason = findFinishReason(answer.parsed);
  const whole = answer.translation === null ? answer : translate(answer, answer.translation);
  if (!bounds.unsentBudget.take(whole.body.length)) throw new Refusal("memory_full", { retryAfterMs: 1_000 });
  relayed.bytesOut = whole.body.length;
  try {
    await client.sendWhole(whole);
  } finally {
    bounds.unsentBudget.give(relayed.bytesOut);
  }
}

function translate(answer: WholeAnswer, translation: Translation): WholeAnswer {
  const parsed = translation.translateWhole(answer.parsed);
  return { ...answer, contentType: jsonType, parsed, body: Buffer.from(JSON.stringify(parsed)) };
}

/** Of chat completions and of Anthropic's messages; null: it does not say. */
function findFinishReason(parsed: unknown): string | null {
  const { choices, stop_reason } = (parsed ?? {}) as { choices?: { finish_reason?: unknown }[]; stop_reason?: unknown };
  const reason = Array.isArray(choices) ? choices[0]?.finish_reason : stop_reason;
  return typeof reason === "string" ? reason : null;
}

async function relayStream(
  answer: StreamedAnswer,
  client: Client,
  relayed: Relayed,
  { unsentBytesMax, unsentBudget }: RelayBounds,
  signal: AbortSignal,
): Promise<void> {
  const { isEvents, format, dropsUsageChunk } = answer;
  // What is translated has to be there whole; what is passed on may flow.
  const wholeEvents = answer.translation === null ? {} : { eventBytesMax: translatedEventBytesMax };
  const scanner = isEvents ? createSseScanner({ format, dropsUsageChunk, ...wholeEvents }) : createByteScanner();
  const translator = answer.translation?.openStream() ?? null;
  const { promise: allWasSaid, resolve, reject } = Promise.withResolvers<void>();
  let isPaused = false;
  let countedBytes = 0;

  function send(scanned: Buffer): void {
    const bytes = translator === null ? scanned : translateOrReject(() => translator.push(scanned));
    if (bytes !== null) write(bytes);
  }

  /** A translator throws where its client would take a broken answer for a whole one. */
  function translateOrReject(step: () => Buffer | null): Buffer | null {
    try {
      return step();
    } catch (error) {
      reject(error);
      return null;
    }
  }

  function write(bytes: Buffer): void {
    relayed.bytesOut += bytes.length;
    relayed.eventCount = scanner.eventCount;
    const isCaughtUp = client.write(bytes);
    countUnsent();
    if (isCaughtUp || isPaused) return;
    if (client.unsentBytes <= unsentBytesMax && !unsentBudget.isFull) return;
    isPaused = true;
    answer.pause();
  }

  /** Keeps the shared budget in step with what this stream has unsent. */
  function countUnsent(unsentBytes = client.unsentBytes): void {
    unsentBudget.force(unsentBytes - countedBytes);
    countedBytes = unsentBytes;
  }

  /** All was said. Whatever the upstream still sends is of no use; it may end by itself, for a moment. */
  let upstreamIsOver: Promise<void> | undefined;
  function conclude(): void {
    const rest = translator === null ? null : translateOrReject(() => translator.end());
    if (rest !== null) write(rest);
    upstreamIsOver = answer.discard();
    resolve();
  }

  client.onDrained(() => {
    countUnsent();
    if (!isPaused) return;
    isPaused = false;
    answer.resume();
  });
  const onAbort = () => reject(refusalOf(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    client.openStream(answer);
    answer.consume({
      onData(chunk) {
        const bytes = scanner.push(chunk);
        if (bytes) send(bytes);
        if (scanner.error) reject(answer.judge(scanner.error));
        else if (scanner.isTruncated) reject(new Refusal("upstream_truncated"));
        else if (scanner.isDone) conclude();
      },
      onEnd() {
        const rest = scanner.flush();
        if (rest) send(rest);
        if (scanner.error) reject(answer.judge(scanner.error));
        else if (scanner.isComplete) conclude();
        else reject(new Refusal("upstream_truncated"));
      },
      onError(refusal) {
        // The upstream's connection may break after all was said.
        const wasAllSaid = scanner.isComplete && format !== "plain";
        if (wasAllSaid && refusal.reason === "upstream_truncated") conclude();
        else reject(refusal);
      },
    });
    await allWasSaid;
    await client.endStream();
    await upstreamIsOver;
  } finally {
    signal.removeEventListener("abort", onAbort);
    relayed.usage = scanner.usage;
    relayed.finishReason = scanner.finishReason;
    relayed.eventCount = scanner.eventCount;
    countUnsent(0);
    answer.abort();
  }
}

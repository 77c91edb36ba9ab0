// One request and its answer on the wire, from undici's events to an Answer or a Refusal.
//
//   dispatched ─▶ sent ─▶ head ─┬─ event stream ─▶ StreamedAnswer ─▶ sink
//        │          │           └─ anything else ─▶ collected, bounded ─▶ WholeAnswer | Refusal
//        └──────────┴── abort, failure ─▶ Refusal          every way out ends in flight.onEnd, once

import type { Transform } from "node:stream";
import type { Dispatcher } from "undici";
import type { Answer, AnswerSink, StreamedAnswer } from "../base/answer.ts";
import type { SharedByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import type { Verdict } from "../base/verdict.ts";
import { type AnswerJudge, type Head, isGoodStatus, jsonPattern } from "./answer-judge.ts";
import type { SocketHandler } from "./connections.ts";
import { createStreamDecoder, decodeBody } from "./content-coding.ts";
import { HeldOpening } from "./held-opening.ts";
import { RequestBytes } from "./request-bytes.ts";
import type { AnswerWay } from "./target.ts";
import { judgeTransportError, toVerdict } from "./transport-error.ts";
import type { Flight } from "./upstream.ts";

const goodVerdict: Verdict = { kind: "good", code: null, waitMs: null };

export interface ExchangeContext {
  readonly judge: AnswerJudge;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** How long an event stream is held back for its first event. */
  readonly firstEventMs: number;
  /** Bytes of answers that are being collected, all exchanges together. */
  readonly collectBudget: SharedByteBudget;
}

/** A whole answer larger than this is refused; an error's or an unexpected one's body is read up to the second. */
const answerBytesMax = 16 * 1024 * 1024;
const errorBytesMax = 64 * 1024;
/** How long and how much an upstream may go on after all was said. */
const discardMsMax = 1_000;
const discardBytesMax = 64 * 1024;
/** Informational heads before the real one. None is kept; more than these are no sign of life, but a loop. */
const informationalMax = 1_000;
const eventStreamPattern = /^text\/event-stream\b/i;

export function createExchange(way: AnswerWay, flight: Flight, context: ExchangeContext) {
  const { connectTimeoutMs } = context;
  const collectBudget = context.collectBudget.of(flight.userId);
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  let controller: Dispatcher.DispatchController | null = null;
  const requestBytes = new RequestBytes();
  let informationalCount = 0;
  let head: Head | null = null;
  let isStreaming = false;
  /** While a stream is held back for its first event: nothing of it was handed over, and an error is still a status. */
  let opening: HeldOpening | null = null;
  const keySearch = context.judge.openKeySearch();
  /** Only for a stream that came compressed. */
  let decoder: Transform | null = null;
  let isOver = false;
  let sink: AnswerSink | null = null;
  let streamed: StreamedAnswer | null = null;
  let chunks: Buffer[] = [];
  let collectedBytes = 0;
  /** What is collected contains the upstream's key: it may be an error, of which only masked words are kept. */
  let hasKey = false;
  /** How a stream ended before somebody read it: undefined while it has not. */
  let earlyEnd: Refusal | null | undefined;
  let discarded: Promise<void> | undefined;

  flight.signal.addEventListener("abort", onAbort, { once: true });

  /** The one way out. `refusal` null: the upstream sent all it had. */
  function finish(refusal: Refusal | null, how: "ended" | "aborted"): void {
    if (isOver) return;
    close();
    if (how === "aborted") controller?.abort(refusal ?? new Error("no longer needed"));
    decoder?.destroy();
    flight.onEnd(how);
    if (!isStreaming || opening !== null) {
      if (refusal) reject(refusal);
    } else if (!sink) earlyEnd = refusal;
    else if (refusal) sink.onError(refusal);
    else sink.onEnd();
  }

  function close(): void {
    isOver = true;
    opening?.stop();
    flight.signal.removeEventListener("abort", onAbort);
    collectBudget.give(collectedBytes);
    requestBytes.release();
  }

  function onAbort(): void {
    finish(refusalOf(flight.signal), "aborted");
  }

  /** Puts a decoder between the wire and the reader; the wire is paused while the decoder is behind. */
  function decode(coding: string): boolean {
    decoder = createStreamDecoder(coding);
    decoder
      ?.on("data", deliver)
      .on("drain", () => controller?.resume())
      .on("end", endStream)
      .on("error", (error) => finish(new Refusal("upstream_truncated", {}, error), "aborted"));
    return decoder !== null;
  }

  function deliver(chunk: Buffer): void {
    const found = opening?.push(chunk) ?? "begun";
    if (typeof found === "object") finish(refuse(found.error, ""), "aborted");
    else if (keySearch.finds(chunk)) finish(exposeKey(), "aborted");
    else if (sink) sink.onData(chunk);
    else {
      chunks.push(chunk);
      if (opening !== null && found === "begun") handOver();
    }
  }

  /** The first event is there, or was waited for long enough. */
  function handOver(): void {
    opening?.stop();
    opening = null;
    flight.onVerdict(goodVerdict);
    resolve(streamed as StreamedAnswer);
  }

  function endStream(): void {
    const found = opening?.flush() ?? "begun";
    if (found === "begun" && opening !== null) handOver();
    if (found === "begun") finish(null, "ended");
    else finish(typeof found === "object" ? refuse(found.error, "") : refuseEmpty(), "ended");
  }

  /** Of a stream without an event. It may be an error as plain JSON. */
  function refuseEmpty(): Refusal {
    const parsed = context.judge.parse(head as Head, Buffer.concat(chunks));
    if (context.judge.isError(parsed)) return refuse(parsed, "");
    noteVerdict(toVerdict("failed", requestBytes.state));
    return new Refusal("upstream_truncated");
  }

  function exposeKey(): Refusal {
    if (!isStreaming || opening !== null) noteVerdict(toVerdict("failed", requestBytes.state));
    return new Refusal("upstream_exposed_key");
  }

  function startStream({ status, contentType, upstreamRequestId, described }: Head, isEvents: boolean): void {
    isStreaming = true;
    streamed = {
      kind: "stream",
      isEvents,
      status,
      contentType,
      upstreamRequestId,
      headers: described,
      format: way.format,
      translation: way.translation,
      dropsUsageChunk: way.dropsUsageChunk,
      consume(reader) {
        sink = reader;
        const early = chunks;
        chunks = [];
        for (const chunk of early) reader.onData(chunk);
        if (earlyEnd) reader.onError(earlyEnd);
        else if (earlyEnd === null) reader.onEnd();
      },
      pause() {
        (decoder ?? controller)?.pause();
        flight.onPause(true);
      },
      resume() {
        flight.onPause(false);
        (decoder ?? controller)?.resume();
      },
      discard,
      abort: () => finish(null, "aborted"),
      judge: (error) => refuse(error, "an error among its events"),
    };
    if (isEvents) opening = new HeldOpening(way.format, context.firstEventMs, context.clock, handOver);
    else handOver();
  }

  function discard(): Promise<void> {
    discarded ??= startDiscarding();
    return discarded;
  }

  function startDiscarding(): Promise<void> {
    if (isOver) return Promise.resolve();
    flight.onConcluded();
    (decoder ?? controller)?.resume();
    const { promise, resolve: resolveEnd } = Promise.withResolvers<void>();
    const cancel = context.clock.after(discardMsMax, () => finish(null, "aborted"));
    const end = () => {
      cancel();
      resolveEnd();
    };
    let bytes = 0;
    sink = {
      onData(chunk) {
        bytes += chunk.length;
        if (bytes > discardBytesMax) finish(null, "aborted");
      },
      onEnd: end,
      onError: end,
    };
    return promise;
  }

  function collect(chunk: Buffer): void {
    if (!collectBudget.take(chunk.length)) {
      finish(new Refusal("memory_full", { retryAfterMs: 1_000 }), "aborted");
      return;
    }
    collectedBytes += chunk.length;
    const isSuccess = isGoodStatus(head) && !way.isStream;
    const bytesMax = isSuccess ? answerBytesMax : errorBytesMax;
    // As they come: a whole answer at once might take long.
    if (head?.contentCoding === "identity" && keySearch.finds(chunk)) hasKey = true;
    if (collectedBytes <= bytesMax) chunks.push(chunk);
    else if (isSuccess) finish(new Refusal("upstream_too_large", { limit: bytesMax }), "aborted");
    else finish(refuse(null, "too long an error"), "aborted");
  }

  async function concludeWhole(): Promise<void> {
    const { contentCoding } = head as Head;
    close();
    // Nothing more is awaited. Its place is kept until the answer is read, whatever its status: what that says of the
    // limits counts before another call takes the place.
    flight.onConcluded();
    try {
      const body = await decodeBody(Buffer.concat(chunks), contentCoding, answerBytesMax);
      const parsed = context.judge.parse(head as Head, body);
      if (context.judge.isGood(head as Head, parsed, way)) {
        if (hasKey || (contentCoding !== "identity" && keySearch.finds(body))) throw exposeKey();
        flight.onVerdict(goodVerdict);
        const { format, translation } = way;
        resolve({ ...(head as Head), kind: "whole", body, parsed, format, translation });
      } else throw refuse(parsed, context.judge.explain(head as Head, way));
    } catch (error) {
      reject(error);
    } finally {
      flight.onEnd("ended");
    }
  }

  function noteVerdict(verdict: Verdict): void {
    flight.onVerdict(way.isRepeatable ? { ...verdict, mayHaveRun: false } : verdict);
  }

  /** The refusal for an answer that says no; the limits hear of it. */
  function refuse(parsed: unknown, otherwise: string): Refusal {
    const { refusal, verdict } = context.judge.judge(head as Head, parsed, otherwise);
    if (verdict) noteVerdict(verdict);
    return refusal;
  }

  /** What is no JSON that could hold an error, or is not to be looked at. */
  function isStreamedAsBytes({ contentType }: Head): boolean {
    return way.answers === "bytes" || (way.answers === "any" && !jsonPattern.test(contentType));
  }

  const handler: SocketHandler = {
    findSocket: null,
    onRequestStart(started) {
      controller = started;
      // Given up while it waited for a connection: nothing of it is written then.
      if (isOver) return started.abort(new Error("given up before it was sent"));
      requestBytes.start(handler.findSocket?.() ?? null);
      flight.onSent();
    },
    onRequestSent: () => requestBytes.end(),
    onResponseStart(_controller, status, headers) {
      if (isOver) return;
      if (status < 200) {
        if (++informationalCount <= informationalMax) return;
        noteVerdict(toVerdict("failed", requestBytes.state));
        return finish(new Refusal("upstream_protocol"), "aborted");
      }
      head = context.judge.readHead(status, headers);
      flight.onHead(status, head.upstreamRequestId);
      if (!isGoodStatus(head)) return;
      const isEvents = eventStreamPattern.test(head.contentType);
      if (!(isEvents ? way.isStream || way.answers !== "json" : isStreamedAsBytes(head))) return;
      if (head.contentCoding === "identity" || decode(head.contentCoding)) startStream(head, isEvents);
    },
    onResponseData(_controller, chunk) {
      if (isOver) return;
      flight.onBytes(chunk.length);
      if (!isStreaming) collect(chunk);
      else if (!decoder) deliver(chunk);
      else if (!decoder.write(chunk)) controller?.pause();
    },
    onResponseEnd() {
      if (isOver) return;
      if (!isStreaming) void concludeWhole();
      else if (decoder) decoder.end();
      else endStream();
    },
    onResponseError(_controller, error) {
      if (isOver) return;
      const progress = { sent: requestBytes.state, hasAnswered: head !== null, connectTimeoutMs };
      const { refusal, verdict } = judgeTransportError(error, progress);
      if (isStreaming && opening === null) return finish(new Refusal("upstream_truncated", {}, refusal.cause), "ended");
      if (verdict) noteVerdict(verdict);
      finish(refusal, "ended");
    },
  };

  return { handler, answer };
}

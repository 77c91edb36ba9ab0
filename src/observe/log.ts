// The log: one structured line per call, JSON in a pipe and short text on a terminal. Never blocks the process: when
// the reader of standard output stalls, lines are dropped and counted.

import { write, writeSync } from "node:fs";
import { type Logger, pino } from "pino";
import type { Decision } from "../admission/scheduler.ts";
import { toHarmlessJson, toOneLine } from "../base/clean-text.ts";
import type { Clock } from "../base/clock.ts";
import type { CallRecord } from "../ledger/record.ts";
import { createLineBuffer } from "./line-buffer.ts";

export type { Logger } from "pino";

export type LogLevel = "debug" | "info" | "warn";

/** Bytes of lines that may wait for a stalled reader. */
const waitingBytesMax = 8 * 1024 * 1024;

/** Standard output, as far as the log is concerned. */
export interface LogOutput {
  write(text: string): void;
  /** What its reader has not taken yet. */
  readonly waitingBytes: number;
  /** Whether it is a regular file: then lines are written on other threads, since disks stall. */
  readonly isFile: boolean;
}

export function createLog(level: LogLevel, isTerminal: boolean, output: LogOutput, clock: Clock): Logger {
  const sink = limitWaiting(output.isFile ? openFileSink() : toSink(output));
  // A terminal gets its lines at once, in order with what else is printed there.
  const stream = isTerminal
    ? { write: (line: string) => sink.write(formatForTerminal(line)), flush: sink.flush }
    : openLineBuffer({ ...sink, write: (line) => sink.write(toHarmlessJson(line)) }, clock);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
}

/** Resolves when everything is written that the reader takes; without end when it takes nothing. */
export function flushLog(log: Logger): Promise<void> {
  return new Promise((resolve) => log.flush(() => resolve()));
}

interface Sink {
  write(lines: string): void;
  waitingBytes(): number;
  /** As pino calls it. */
  flush(done?: (error?: Error) => void): void;
}

function toSink(output: LogOutput): Sink {
  return { write: output.write, waitingBytes: () => output.waitingBytes, flush: (done = () => {}) => done() };
}

/** One write at a time, in order. A full disk loses lines; the next ones are tried again. */
function openFileSink(): Sink {
  let waiting = "";
  let isWriting = false;
  const whenDone: (() => void)[] = [];

  function writeNext(): void {
    if (waiting === "") {
      isWriting = false;
      for (const done of whenDone.splice(0)) done();
      return;
    }
    isWriting = true;
    const bytes = Buffer.from(waiting, "utf8");
    waiting = "";
    writeAll(bytes);
  }

  function writeAll(bytes: Buffer): void {
    write(1, bytes, (error, count) => {
      if (error === null && count < bytes.length) writeAll(bytes.subarray(count));
      else writeNext();
    });
  }

  return {
    waitingBytes: () => waiting.length,
    write(lines) {
      waiting += lines;
      if (!isWriting) writeNext();
    },
    flush(done = () => {}) {
      whenDone.push(done);
      if (!isWriting) writeNext();
    },
  };
}

/** What its reader does not take in time is dropped, and counted in a line of its own once it reads again. */
function limitWaiting(sink: Sink): Sink {
  let droppedCount = 0;
  return {
    ...sink,
    write(lines) {
      if (sink.waitingBytes() > waitingBytesMax) {
        droppedCount += lines.split("\n").length - 1;
        return;
      }
      if (droppedCount > 0) {
        sink.write(`{"level":"warn","dropped_lines":${droppedCount},"msg":"the reader of the log was too slow"}\n`);
        droppedCount = 0;
      }
      sink.write(lines);
    },
  };
}

function openLineBuffer(sink: Sink, clock: Clock): Sink {
  const buffer = createLineBuffer(sink.write, clock);
  // Nothing asynchronous is done any more then.
  process.once("exit", () => {
    try {
      writeSync(1, buffer.takeRest());
    } catch {
      // The reader is gone, or behind: there is nobody left to tell.
    }
  });
  return {
    write: buffer.write,
    waitingBytes: sink.waitingBytes,
    flush(done) {
      sink.write(buffer.takeRest());
      sink.flush(done);
    },
  };
}

const textCharactersMax = 256;

/** What the log says of one call. Prompts, answers, tokens and addresses are not in it. */
export function describeCall(record: CallRecord): Record<string, unknown> {
  const { refusal, usage } = record;
  return {
    request_id: record.callId,
    surface: record.surface,
    user: record.userId,
    ...(record.keyId !== null && { key_id: record.keyId }),
    model: record.model,
    stream: record.isStream,
    outcome: record.outcome,
    ...(refusal && { reason: refusal.reason, status: refusal.status }),
    ...(refusal?.facts.upstreamCode && { upstream_code: refusal.facts.upstreamCode }),
    ...(typeof refusal?.cause === "string" && { cause: refusal.cause.slice(0, textCharactersMax) }),
    ...(refusal?.cause instanceof Error && { cause: describeError(refusal.cause) }),
    key: record.upstreamKey,
    upstream_status: record.upstreamStatus,
    upstream_request_id: record.upstreamRequestId,
    queue_position: record.queuePosition,
    queue_eta_ms: record.queueEtaMs === null ? null : Math.round(record.queueEtaMs),
    queue_wait_ms: span(record.arrivedAt, record.grantedAt),
    ...(record.tryCount > 0 && { tries_before: record.tryCount }),
    first_byte_ms: span(record.sentAt, record.firstByteAt),
    upstream_ms: span(record.sentAt, record.sentAt === null ? null : record.endedAt),
    duration_ms: span(record.arrivedAt, record.endedAt),
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    events: record.eventCount,
    finish_reason: record.finishReason,
    ...(usage && { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens }),
    ...(record.charge.costMicros > 0 && { cost: record.charge.costMicros / 1e6 }),
  };
}

/** Every decision of the scheduler when the level is debug; those that somebody must act on always, as errors. */
export function logDecision(log: Logger, decision: Decision): void {
  if (decision.isAlert) log.error(describeDecision(decision), `queue: ${decision.what}`);
  else if (log.isLevelEnabled("debug")) log.debug(describeDecision(decision), `queue: ${decision.what}`);
}

function describeDecision(decision: Decision): Record<string, unknown> {
  const { callId, userId, model, family, upstreamKey, position, etaMs, waitedMs, limit, forMs, why } = decision;
  const fields = {
    request_id: callId,
    user: userId,
    model,
    family,
    key: upstreamKey,
    position,
    eta_ms: round(etaMs),
    waited_ms: round(waitedMs),
    limit,
    for_ms: round(forMs),
    why,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

function round(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 10) / 10;
}

function span(from: number | null, to: number | null): number | null {
  return from === null || to === null ? null : Math.round((to - from) * 10) / 10;
}

function describeError(error: Error & { code?: unknown }): string {
  return `${error.name}${error.code === undefined ? "" : ` ${String(error.code)}`}: ${error.message}`.slice(
    0,
    textCharactersMax,
  );
}

/** `12:30:05 info  call served user=ada model=glm-4.5-flash …`. Values are escaped by JSON already. */
function formatForTerminal(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const text = Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "string" && /^[\w.:/-]+$/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join(" ");
  const shown = `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg)} ${text}`;
  return `${toOneLine(shown)}\n`;
}

// What the scanner promises for any stream in any format: bytes unchanged, whole events only, and the same facts however
// the network cuts them. The judge is another parser, which is given everything at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import type { AnswerFormat } from "./answer-format.ts";
import { createSseScanner, type SseScannerOptions } from "./sse-scanner.ts";

type Json = Readonly<Record<string, unknown>>;

/** An event by its lines, without their ends. */
type Lines = readonly string[];

const texts = [
  "",
  "héllo 你好 🙂",
  'finish_reason":"stop" [DONE]',
  '{"error":{}} "usage"',
  "a\u2028b\u0085c",
  "x".repeat(300),
];
const anyText = fc.constantFrom(...texts);
const anyCount = fc.nat(99);
/** What upstreams say before the end, in each format. */
const anyData: Readonly<Record<AnswerFormat, fc.Arbitrary<Json>>> = {
  chat: fc.oneof(
    anyText.map((content) => ({ choices: [{ index: 0, delta: { content } }], usage: null })),
    anyText.map((content) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }], error: null })),
    fc.constant({ choices: null, usage: null }),
    fc.record({ prompt_tokens: anyCount, completion_tokens: anyCount }).map((usage) => ({ choices: [], usage })),
  ),
  plain: fc.oneof(
    anyText.map((text) => ({ text })),
    anyCount.map((prompt_tokens) => ({ usage: { prompt_tokens } })),
  ),
  messages: fc.oneof(
    fc.record({ input_tokens: anyCount, output_tokens: anyCount }).map((usage) => ({
      type: "message_start",
      message: { usage },
    })),
    anyText.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    fc.constant({ type: "ping" }),
    fc
      .record({ output_tokens: anyCount, input_tokens: anyCount, cache_read_input_tokens: fc.constant(null) })
      .map((usage) => ({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage })),
  ),
  responses: fc.oneof(
    anyText.map((delta) => ({ type: "response.output_text.delta", delta })),
    fc.constant({ type: "response.created", response: { status: "in_progress", usage: null, error: null } }),
  ),
};
const lastData: Readonly<Record<AnswerFormat, Json>> = {
  chat: { choices: [{ index: 0, finish_reason: "stop", delta: {} }] },
  plain: { choices: [{ index: 0, finish_reason: "stop", delta: {} }] },
  messages: { type: "message_stop" },
  responses: { type: "response.completed", response: { status: "completed", usage: null } },
};
const errorData: Readonly<Record<AnswerFormat, Json>> = {
  chat: { error: { code: "1302", message: "m" } },
  plain: { error: { code: "1302", message: "m" } },
  messages: { type: "error", error: { type: "overloaded_error", message: "m" } },
  responses: { type: "error", code: "server_error", message: "m" },
};

/** JSON may stand on several data lines; its strings hold no line ends. */
function toLines(data: Json, isNamed: boolean, isSpread: boolean, space: string): Lines {
  const json = isSpread ? JSON.stringify(data, null, 1) : JSON.stringify(data);
  const name = isNamed && typeof data.type === "string" ? [`event:${space}${data.type}`] : [];
  return [...name, ...json.split("\n").map((line) => `data:${space}${line}`)];
}

function anyEvent(format: AnswerFormat): fc.Arbitrary<Lines> {
  const toEvent = (data: fc.Arbitrary<Json>) =>
    fc.tuple(data, fc.boolean(), fc.boolean(), fc.constantFrom("", " ")).map((parts) => toLines(...parts));
  return fc.oneof(
    { weight: 8, arbitrary: toEvent(anyData[format]) },
    { weight: 2, arbitrary: toEvent(fc.constant(lastData[format])) },
    { weight: 1, arbitrary: toEvent(fc.constant(errorData[format])) },
    { weight: 1, arbitrary: fc.constant(["data: [DONE]"]) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        [": comment"],
        [":"],
        [],
        ["id: 7", "retry: 10"],
        ["data: {not json"],
        ["data"],
        ["event: x"],
      ),
    },
  );
}

interface Stream {
  readonly bytes: Buffer;
  /** Where the network cuts. */
  readonly cuts: readonly number[];
}

/** Each line has an end of its own; the last blank line may be missing. */
function anyStream(format: AnswerFormat): fc.Arbitrary<Stream> {
  const lineEnds = fc.oneof(
    ...["\n", "\r\n", "\r"].map((end) => fc.constant([end])),
    fc.array(fc.constantFrom("\n", "\r\n", "\r"), { minLength: 2, maxLength: 7 }),
  );
  return fc
    .record({
      events: fc.array(anyEvent(format), { maxLength: 9, size: "max" }),
      lineEnds,
      hasBom: fc.boolean(),
      lacks: fc.nat(30),
      cuts: fc.array(fc.nat(), { maxLength: 12, size: "max" }),
    })
    .map(({ events, lineEnds, hasBom, lacks, cuts }) => {
      const lines = events.flatMap((event) => [...event, ""]);
      const text = lines.map((line, at) => line + lineEnds[at % lineEnds.length]).join("");
      const whole = Buffer.from(hasBom ? `\uFEFF${text}` : text);
      // Most streams end with an event; some were cut within the last.
      const bytes = lacks > 15 ? whole : whole.subarray(0, Math.max(0, whole.length - lacks));
      const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other);
      return { bytes, cuts: places };
    });
}

interface Scanned {
  readonly passed: Buffer;
  readonly isDone: boolean;
  readonly isComplete: boolean;
  readonly facts: object;
}

function scan({ bytes, cuts }: Stream, options: SseScannerOptions): Scanned {
  const scanner = createSseScanner(options);
  const passed: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy: nothing may lean on what stands behind a chunk in memory.
    passed.push(scanner.push(Buffer.from(bytes.subarray(from, cut))) ?? Buffer.alloc(0));
    from = cut;
  }
  const { eventCount } = scanner;
  passed.push(scanner.flush() ?? Buffer.alloc(0));
  const { isDone, isComplete, finishReason, usage, error, isTruncated } = scanner;
  return {
    passed: Buffer.concat(passed),
    isDone,
    isComplete,
    facts: { isDone, isComplete, finishReason, usage, error, isTruncated, eventCount },
  };
}

const errorMark = "event named error: ";

/** The data of all events, as another parser reads them. Unfinished ones are not among them. */
function readEvents(bytes: Buffer): string[] {
  const events: string[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push(event === "error" ? errorMark + data : data),
  });
  parser.feed(bytes.toString());
  return events;
}

/** Behind the last CR of what was passed on, an LF may belong to the same line end; whether it had come yet is chance. */
function withoutHalfLineEnd(bytes: Buffer): string {
  return bytes.toString().replace(/\r\n?$/, "\r");
}

/** Everywhere else than at the places where the stream may be cut off or go on. */
function isEventEnd(bytes: Buffer, at: number): boolean {
  return at === 0 || /(?:^\uFEFF?|\r\n|\r|\n)(?:\r\n|\r|\n)$/.test(bytes.toString("utf8", 0, at));
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

function isErrorOf(format: AnswerFormat, data: string): boolean {
  if (data.startsWith(errorMark)) return !isEndOf(format, data);
  return isJson(data) && JSON.stringify(JSON.parse(data)) === JSON.stringify(errorData[format]);
}

function isEndOf(format: AnswerFormat, data: string): boolean {
  if (data.replace(errorMark, "").startsWith("[DONE]")) return true;
  return (
    (format === "messages" || format === "responses") &&
    isJson(data) &&
    (JSON.parse(data) as Json).type === lastData[format].type
  );
}

/** What of the events should come through. */
function expectEvents(format: AnswerFormat, events: readonly string[]): string[] {
  const error = events.findIndex((data) => isErrorOf(format, data));
  const end = events.findIndex((data) => isEndOf(format, data));
  // A chat that ends without a reason is broken off there: its end is not passed on.
  const isTruncated = format === "chat" && end !== -1 && !events.slice(0, end).some(hasReason);
  if (isTruncated && (error === -1 || end < error)) return events.slice(0, end);
  if (error !== -1 && (end === -1 || error < end)) return events.slice(0, error);
  return end === -1 ? [...events] : events.slice(0, end + 1);
}

function hasReason(data: string): boolean {
  return isJson(data) && typeof (JSON.parse(data) as { choices?: Json[] }).choices?.[0]?.finish_reason === "string";
}

function isUsageAlone(data: string): boolean {
  if (!isJson(data)) return false;
  const { choices, usage } = JSON.parse(data) as Json;
  return Array.isArray(choices) && choices.length === 0 && usage !== null;
}

for (const format of ["chat", "messages", "responses", "plain"] as const) {
  describe(`createSseScanner(): ${format}, any stream`, () => {
    it("passes on the bytes that came, up to an event's end", () => {
      fc.assert(
        fc.property(anyStream(format), (stream) => {
          const { bytes } = stream;
          const { passed } = scan(stream, { format });
          assert.ok(passed.equals(bytes.subarray(0, passed.length)));
          // Only a stream's very end may lack its blank line.
          assert.ok(
            passed.length === bytes.length || isEventEnd(bytes, passed.length),
            JSON.stringify(passed.toString()),
          );
        }),
        { numRuns: 1_000 },
      );
    });

    it("passes on the events that another parser reads, to the last or to an error", () => {
      fc.assert(
        fc.property(anyStream(format), (stream) => {
          const { passed, facts } = scan(stream, { format });
          const expected = expectEvents(format, readEvents(stream.bytes));
          assert.deepEqual(readEvents(passed), expected);
          const { isDone, error, isTruncated } = facts as {
            isDone: boolean;
            error: object | null;
            isTruncated: boolean;
          };
          if (expected.some((data) => isEndOf(format, data))) assert.ok(isDone && error === null);
          const hasError = readEvents(stream.bytes).length > expected.length && !isDone && !isTruncated;
          if (hasError) assert.notEqual(error, null);
        }),
        { numRuns: 1_000 },
      );
    });

    it("sees and passes on the same however it is cut", () => {
      fc.assert(
        fc.property(anyStream(format), fc.boolean(), (stream, dropsUsageChunk) => {
          const options = { format, dropsUsageChunk };
          const { bytes } = stream;
          const whole = scan({ bytes, cuts: [] }, options);
          const crumbs = [...bytes.keys()];
          for (const cuts of [stream.cuts, crumbs]) {
            const pieced = scan({ bytes, cuts }, options);
            assert.deepEqual(pieced.facts, whole.facts);
            assert.equal(withoutHalfLineEnd(pieced.passed), withoutHalfLineEnd(whole.passed));
          }
        }),
        { numRuns: 600 },
      );
    });

    it("leaves out nothing but usage that stands alone, when its reader did not ask for it", () => {
      fc.assert(
        fc.property(anyStream(format), (stream) => {
          const all = scan(stream, { format });
          const without = scan(stream, { format, dropsUsageChunk: true });
          const expected = readEvents(all.passed).filter((data) => format !== "chat" || !isUsageAlone(data));
          assert.deepEqual(readEvents(without.passed), expected);
          assert.deepEqual({ ...without.facts, eventCount: 0 }, { ...all.facts, eventCount: 0 });
        }),
        { numRuns: 600 },
      );
    });

    it("lets long events flow, and sees the same of the others", () => {
      const eventBytesMax = 200;
      fc.assert(
        fc.property(anyStream(format), (stream) => {
          const whole = scan({ bytes: stream.bytes, cuts: [] }, { format, eventBytesMax });
          const pieced = scan(stream, { format, eventBytesMax });
          assert.ok(pieced.passed.equals(stream.bytes.subarray(0, pieced.passed.length)));
          assert.deepEqual(pieced.facts, whole.facts);
        }),
        { numRuns: 600 },
      );
    });
  });
}

describe("createSseScanner(): the longest event", () => {
  const failure = (bytes: number) => {
    const empty = 'data: {"error":{"message":""}}\n\n';
    return Buffer.from(empty.replace('""', `"${"x".repeat(bytes - empty.length)}"`));
  };
  const halves = (bytes: Buffer) => ({ bytes, cuts: [Math.floor(bytes.length / 2)] });

  it("is looked into up to 1 MiB, however it comes, and flows on beyond", () => {
    const atMost = failure(1024 * 1024);
    const tooLong = failure(1024 * 1024 + 1);
    for (const cuts of [[], halves(atMost).cuts, [atMost.length - 1]]) {
      const held = scan({ bytes: atMost, cuts }, {});
      assert.equal(held.passed.length, 0);
      assert.notEqual((held.facts as { error: object | null }).error, null);
      const flown = scan({ bytes: tooLong, cuts }, {});
      assert.ok(flown.passed.equals(tooLong));
      assert.equal((flown.facts as { error: object | null }).error, null);
    }
  });

  it("may be another", () => {
    const bytes = failure(2 * 1024 * 1024);
    assert.equal(scan(halves(bytes), { eventBytesMax: 2 * 1024 * 1024 }).passed.length, 0);
    assert.ok(scan(halves(bytes), { eventBytesMax: 2 * 1024 * 1024 - 1 }).passed.equals(bytes));
  });
});

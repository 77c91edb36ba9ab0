import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { createOpeningScanner, createSseScanner } from "./sse-scanner.ts";

const frame = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: string) => frame({ choices: [{ index: 0, delta: { content } }] });
const last = frame({
  choices: [{ index: 0, finish_reason: "stop", delta: { role: "assistant", content: "" } }],
  usage: { prompt_tokens: 7, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 2 } },
});
const done = "data: [DONE]\n\n";

/** Everything that comes through when `text` arrives in the given pieces. */
function scan(...pieces: (string | Buffer)[]) {
  const scanner = createSseScanner();
  const passed: Buffer[] = [];
  for (const piece of pieces) {
    const bytes = scanner.push(Buffer.from(piece as string));
    if (bytes) passed.push(bytes);
  }
  const rest = scanner.flush();
  if (rest) passed.push(rest);
  return { scanner, text: Buffer.concat(passed).toString("utf8") };
}

/** The same bytes, one at a time. */
const crumbs = (text: string) => [...Buffer.from(text)].map((byte) => Buffer.from([byte]));

describe("createSseScanner()", () => {
  it("passes whole events on unchanged and holds an unfinished one back", () => {
    const scanner = createSseScanner();
    const events = delta("你好");
    const cut = Buffer.from(events).subarray(0, 40);
    assert.equal(scanner.push(Buffer.concat([Buffer.from(events), cut]))?.toString(), events);
    assert.equal(scanner.heldBytes, 40);
    assert.equal(scanner.push(Buffer.from(events).subarray(40))?.toString(), events);
  });

  it("knows a stream to be complete by its finish_reason, with usage", () => {
    const { scanner, text } = scan(delta("a"), last);
    assert.equal(text, delta("a") + last);
    assert.equal(scanner.isComplete, true);
    assert.equal(scanner.isDone, false);
    assert.equal(scanner.finishReason, "stop");
    assert.deepEqual(scanner.usage, { promptTokens: 7, completionTokens: 3, cachedTokens: 2, reasoningTokens: 0 });
  });

  it("does not take a stream for complete because its text speaks of finish_reason", () => {
    const { scanner } = scan(delta('{"finish_reason":"stop"} data: [DONE]'));
    assert.equal(scanner.isComplete, false);
  });

  it("skips a null finish_reason, however it is spaced", () => {
    const { scanner } = scan('data: {"choices":[{"finish_reason" : null}]}\n\n');
    assert.equal(scanner.isComplete, false);
  });

  it("passes nothing on after [DONE], not even a second one", () => {
    const { scanner, text } = scan(delta("a") + last + done + done + delta("b"), delta("c"));
    assert.equal(text, delta("a") + last + done);
    assert.equal(scanner.isDone, true);
  });

  it("takes [DONE] without a finish reason for a broken answer, and keeps it to itself", () => {
    for (const pieces of [[done], [delta("a") + done], [delta("a"), done], [delta("a"), done.trimEnd()]]) {
      const { scanner, text } = scan(...pieces);
      assert.equal(text, pieces.join("").replace(/data: \[DONE\]\s*$/, ""));
      assert.deepEqual([scanner.isTruncated, scanner.isDone, scanner.isComplete], [true, false, false]);
    }
    const long = `data: "${"x".repeat(1024 * 1024)}"\n\n`;
    assert.equal(scan(long + done).scanner.isDone, true, "an event that was not read may have held the reason");
    assert.equal(scan(delta("a").repeat(3) + done).scanner.isTruncated, true);
  });

  it("finds errors in every shape that servers write, named or not", () => {
    const failures = [
      { object: "error", message: "CUDA oom", type: "InternalServerError", code: 500 },
      { error: "model not loaded" },
      { message: "context too long", code: 400 },
      { detail: "model not loaded" },
      { detail: [{ loc: ["body"], msg: "field required" }] },
      { code: "1302", msg: "busy" },
    ];
    for (const failure of failures)
      for (const name of ["", "event: error\n"]) {
        const { scanner, text } = scan(delta("a") + name + frame(failure) + done);
        assert.equal(text, delta("a"));
        assert.ok(JSON.stringify(scanner.error).includes(JSON.stringify(failure)));
      }
  });

  it("keeps an upstream's error event to itself, and everything after it", () => {
    const failure = frame({ error: { code: "1211", message: "no such model" } });
    const { scanner, text } = scan(delta("a") + failure + delta("b"));
    assert.equal(text, delta("a"));
    assert.deepEqual(scanner.error, { error: { code: "1211", message: "no such model" } });
  });

  it("drops an event that was cut, and passes on a last one that only lacks its blank line", () => {
    assert.equal(scan(delta("a"), 'data: {"choices":[{"del').text, delta("a"));
    assert.equal(scan(last, done.trimEnd()).text, last + done.trimEnd());
    const usage = frame({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } });
    for (const [tail, passed] of [
      [usage.trimEnd(), usage.trimEnd()],
      [usage.slice(0, 20), ""],
      ["data: [DO", ""],
      [": keep-alive\n", ": keep-alive\n"],
      [": keep-al", ""],
    ] as const) {
      assert.equal(scan(last, tail).text, last + passed, "although the answer is whole without it");
    }
  });

  it("passes comments, ids, retry fields and malformed events on as they are", () => {
    const odd = ": hello\n\nid: 7\nretry: 10\nevent: x\ndata: {not json\n\ndata\n\n\n";
    assert.equal(scan(odd, last, done).text, odd + last + done);
  });

  it("lets an event of more than 1 MiB flow instead of holding it", () => {
    const scanner = createSseScanner();
    const huge = Buffer.alloc(400_000, "x");
    scanner.push(Buffer.from("data: "));
    for (let count = 0; count < 10; count++) scanner.push(huge);
    assert.ok(scanner.heldBytes <= 1024 * 1024);
    scanner.push(Buffer.from("\n\n"));
    assert.equal(scanner.push(Buffer.from(last))?.toString(), last);
    assert.equal(scanner.isComplete, true);
  });

  it("gives the same bytes and facts however the stream is cut into pieces, with any line end", () => {
    const lineEnd = fc.constantFrom("\n", "\r\n", "\r");
    const events = fc.array(fc.constantFrom(delta("héllo 你好 🙂"), delta(""), ": c\n\n", last), { maxLength: 6 });
    fc.assert(
      fc.property(events, lineEnd, fc.boolean(), fc.nat(), (list, end, hasDone, at) => {
        const text = (list.join("") + (hasDone ? done : "")).replaceAll("\n", end);
        const whole = scan(text);
        const bytes = Buffer.from(text);
        const cut = at % (bytes.length + 1);
        for (const pieces of [crumbs(text), [bytes.subarray(0, cut), bytes.subarray(cut)]]) {
          const pieced = scan(...pieces);
          // A lone CR may be half a CRLF, so the very last one can be told only when more comes.
          assert.equal(pieced.text.trimEnd(), whole.text.trimEnd());
          assert.equal(pieced.scanner.isComplete, whole.scanner.isComplete);
          assert.deepEqual(pieced.scanner.usage, whole.scanner.usage);
        }
        const isTruncated = hasDone && !list.includes(last);
        assert.equal(whole.scanner.isTruncated, isTruncated);
        assert.deepEqual(readEvents(whole.text), readEvents(isTruncated ? list.join("") : text));
      }),
    );
  });
});

/** What an independent parser reads. */
function readEvents(text: string): string[] {
  const events: string[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event.data) });
  parser.feed(text);
  return events;
}

describe("createOpeningScanner()", () => {
  const failure = frame({ error: { code: "1302", message: "m" } });
  const found = { error: { error: { code: "1302", message: "m" } } };
  /** What it says when these come, one after the other; the last: at the end. */
  const open = (...pieces: string[]) => {
    const scanner = createOpeningScanner("chat");
    return [...pieces.map((piece) => scanner.push(Buffer.from(piece))), scanner.flush()];
  };

  it("finds an error that is the first event, and only that", () => {
    assert.deepEqual(open(failure)[0], found);
    assert.equal(open(delta("a"))[0], "begun");
    assert.equal(open(delta("a") + failure)[0], "begun");
    assert.equal(open(done)[0], "begun");
  });

  it("does not take signs of life for an event", () => {
    const signs = [
      ": wait\n\n",
      "\n\n",
      "retry: 1000\n\n",
      'event: ping\ndata: {"type": "ping"}\n\n',
      "\uFEFF: x\r\n\r\n",
    ];
    for (const sign of signs) {
      assert.equal(open(sign)[0], "unknown", sign);
      assert.deepEqual(open(sign + failure)[0], found, sign);
      assert.deepEqual(open(sign, failure).slice(0, 2), ["unknown", found], sign);
      assert.equal(open(sign + delta("a"))[0], "begun", sign);
    }
  });

  it("says the same however the bytes are cut", () => {
    const cut = fc.tuple(fc.constantFrom("", ": x\n\n"), fc.boolean(), fc.nat(60), fc.nat(60));
    fc.assert(
      fc.property(cut, ([before, isFailure, one, other]) => {
        const text = before + (isFailure ? failure : delta("a"));
        const [first, second] = [Math.min(one, other), Math.max(one, other)];
        const said = open(text.slice(0, first), text.slice(first, second), text.slice(second)).slice(0, 3);
        assert.deepEqual(
          said.find((opening) => opening !== "unknown"),
          isFailure ? found : "begun",
        );
      }),
    );
  });

  it("finds an error in a last event that no blank line ends", () => {
    assert.deepEqual(open(failure.trimEnd()), ["unknown", found]);
    assert.deepEqual(open('data: {"choices"'), ["unknown", "unknown"]);
  });

  it("takes an event that is named so for an error, whatever its words' shape", () => {
    assert.deepEqual(open('event: error\ndata: {"message":"m","type":"x"}\n\n')[0], {
      error: { error: { message: "m", type: "x" } },
    });
    assert.deepEqual(open("event:error\r\ndata: gone\r\n\r\n")[0], { error: { error: "gone" } });
    assert.equal(open(`event: errors\n${delta("a")}`)[0], "begun");
    assert.equal(open(delta("event: error"))[0], "begun");
  });
});

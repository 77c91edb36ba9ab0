import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { StreamEvent } from "./admin-client.ts";
import { createEventParser } from "./event-parser.ts";

function parse(pieces: readonly string[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = createEventParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return events;
}

const stream =
  ': hello\n\nevent: call\ndata: {"id":\ndata: 1}\n\nevent: queue\r\ndata: {"waiting":"两"}\r\n\r\ndata: no json\n\n';
const expected = [
  { name: "call", json: { id: 1 } },
  { name: "queue", json: { waiting: "两" } },
];

describe("createEventParser()", () => {
  it("reads names and JSON, and passes over comments and what is no JSON", () => {
    assert.deepEqual(parse([stream]), expected);
  });

  it("reads the same however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: stream.length }), { maxLength: 10 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        assert.deepEqual(parse(places.slice(1).map((end, index) => stream.slice(places[index], end))), expected);
      }),
    );
  });

  it("waits for the end of an event", () => {
    assert.deepEqual(parse(['event: call\ndata: {"id":1}\n']), []);
  });

  it("drops an event beyond 16 MiB, and goes on", () => {
    const line = `data: "${"x".repeat(4 * 1024 * 1024)}"\n`;
    assert.deepEqual(parse([line, line, line, line, line, "\n", 'data: "next"\n\n']), [
      { name: "message", json: "next" },
    ]);
  });
});

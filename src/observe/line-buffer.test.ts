import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { createLineBuffer } from "./line-buffer.ts";

function open() {
  const clock = createManualClock();
  const written: string[] = [];
  return { clock, written, buffer: createLineBuffer((lines) => written.push(lines), clock) };
}

describe("a line buffer", () => {
  it("writes the lines of 20 ms at once, in order", async () => {
    const { clock, written, buffer } = open();
    buffer.write("a\n");
    await clock.advance(19);
    buffer.write("b\n");
    assert.deepEqual(written, []);
    await clock.advance(1);
    assert.deepEqual(written, ["a\nb\n"]);
    await clock.advance(1_000);
    assert.deepEqual(written, ["a\nb\n"]);
  });

  it("writes again for the lines that come later", async () => {
    const { clock, written, buffer } = open();
    buffer.write("a\n");
    await clock.advance(20);
    buffer.write("b\n");
    await clock.advance(20);
    assert.deepEqual(written, ["a\n", "b\n"]);
  });

  it("keeps less than 32,768 characters waiting", async () => {
    const { written, buffer } = open();
    buffer.write("x".repeat(32_767));
    assert.deepEqual(written, []);
    buffer.write("\n");
    assert.equal(written.join("").length, 32_768);
  });

  it("gives the rest to a process that ends, once", async () => {
    const { clock, written, buffer } = open();
    buffer.write("a\n");
    assert.equal(buffer.takeRest(), "a\n");
    assert.equal(buffer.takeRest(), "");
    await clock.advance(20);
    assert.deepEqual(written, []);
  });
});

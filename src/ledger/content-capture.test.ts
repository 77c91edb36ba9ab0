import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { arrive } from "../../test/support/call-records.ts";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { contentBytesMax, createContentCapture } from "./content-capture.ts";

const clock = createManualClock();
const keeping = { keepsContent: true };

function capture(prompt: Buffer, ...answer: Buffer[]) {
  const contents = createContentCapture(() => true, clock);
  const record = arrive(clock);
  const note = contents.open(record, keeping, prompt);
  for (const bytes of answer) note?.(bytes);
  return contents.take(record);
}

describe("createContentCapture()", () => {
  it("hears nothing unless the configuration and the key both say so", () => {
    const record = arrive(clock);
    const isOff = createContentCapture(() => false, clock);
    assert.equal(isOff.open(record, keeping, Buffer.from("secret")), null);
    const isOn = createContentCapture(() => true, clock);
    assert.equal(isOn.open(record, { keepsContent: false }, Buffer.from("secret")), null);
    assert.deepEqual([isOff.take(record), isOn.take(record)], [null, null]);
  });

  it("keeps prompt and answer as texts, characters whole however the bytes came", () => {
    const answer = Buffer.from("中文");
    const content = capture(Buffer.from("frage"), answer.subarray(0, 2), answer.subarray(2));
    assert.deepEqual(content, { prompt: "frage", answer: "中文", storedAt: clock.wallNow() });
  });

  it("keeps 256 KiB of each, and marks what is cut", () => {
    const whole = Buffer.alloc(contentBytesMax, "x");
    const kept = capture(whole, whole);
    assert.deepEqual([kept?.prompt.length, kept?.answer.length], [262_144, 262_144]);
    const longer = Buffer.alloc(contentBytesMax + 1, "x");
    const cut = capture(longer, whole, Buffer.from("y"));
    assert.match(cut?.prompt ?? "", /^x{262144} \[cut: 262145 bytes in all\]$/);
    assert.match(cut?.answer ?? "", /^x{262144} \[cut: 262145 bytes in all\]$/);
  });

  it("gives it once", () => {
    const contents = createContentCapture(() => true, clock);
    const record = arrive(clock);
    contents.open(record, keeping, Buffer.from("a"));
    assert.notEqual(contents.take(record), null);
    assert.equal(contents.take(record), null);
  });
});

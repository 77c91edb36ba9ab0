import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createFaultScript, parseFaults } from "./fault-script.ts";

const whole = { model: "glm-4.5-flash", isStream: false };
const streamed = { model: "glm-4.5-flash", isStream: true };

describe("a fault script", () => {
  it("disturbs the next calls in its order, each once, and then no more", () => {
    const script = createFaultScript();
    script.add([{ fault: "html" }, { fault: "refuse" }]);
    assert.equal(script.pendingCount, 2);
    assert.deepEqual(script.take(whole), { fault: "html" });
    assert.deepEqual(script.take(streamed), { fault: "refuse" });
    assert.equal(script.take(whole), null);
    assert.equal(script.pendingCount, 0);
  });

  it("repeats a fault as often as it says", () => {
    const script = createFaultScript();
    script.add([{ fault: "html", times: 2 }]);
    assert.deepEqual(
      [script.take(whole)?.fault, script.take(whole)?.fault, script.take(whole)],
      ["html", "html", null],
    );
  });

  it("keeps a fault for the call that it waits for, and lets later ones pass it by", () => {
    const script = createFaultScript();
    script.add([
      { fault: "cutMidStream", when: { isStream: true } },
      { fault: "html", when: { model: "glm-4.7" } },
      { fault: "refuse" },
    ]);
    assert.equal(script.take(whole)?.fault, "refuse");
    assert.equal(script.take(whole), null);
    assert.equal(script.take({ ...streamed, model: "glm-4.7" })?.fault, "cutMidStream");
    assert.equal(script.take({ ...streamed, model: "glm-4.7" })?.fault, "html");
  });

  it("has the faults that strike before the body strike only when they come next", () => {
    const script = createFaultScript();
    script.add([{ fault: "html" }, { fault: "early400" }]);
    assert.equal(script.takeEarly(), null);
    assert.equal(script.take(whole)?.fault, "html");
    assert.equal(script.take(whole), null);
    assert.equal(script.takeEarly()?.fault, "early400");
    assert.equal(script.takeEarly(), null);
  });

  it("can be forgotten", () => {
    const script = createFaultScript();
    script.add([{ fault: "html", times: 5 }]);
    script.clear();
    assert.deepEqual([script.pendingCount, script.take(whole)], [0, null]);
  });

  it("holds 10,000 faults and no more", () => {
    const script = createFaultScript();
    script.add(Array.from({ length: 10_000 }, () => ({ fault: "html" }) as const));
    assert.throws(() => script.add([{ fault: "html" }]), /a script holds 10000 faults/);
    assert.equal(script.pendingCount, 10_000);
  });
});

describe("faults that come as JSON", () => {
  it("are one or a list", () => {
    assert.deepEqual(parseFaults({ fault: "html" }), [{ fault: "html" }]);
    const list = [
      { fault: "error", code: "1302", retryAfter: 2 },
      { fault: "usage", raw: null, times: 2 },
    ];
    assert.deepEqual(parseFaults(list), list);
  });

  const wrong: readonly (readonly [value: unknown, words: RegExp])[] = [
    [{ fault: "cutMidstream" }, /unknown fault "cutMidstream"; known: error, refuse, /],
    [{ fault: "toString" }, /unknown fault "toString"/],
    [null, /unknown fault undefined/],
    [{ fault: "html", after: 2 }, /fault html takes no "after"; it takes: status, times, when/],
    [{ fault: "html", status: "502" }, /fault html: status must be a number, got "502"/],
    [{ fault: "html", times: -1 }, /times must be a number, got -1/],
    [{ fault: "html", when: null }, /when must be an object, got null/],
    [{ fault: "html", when: { modle: "glm-4.7" } }, /takes no "modle"; it takes: model, isStream/],
    [{ fault: "html", when: { isStream: "yes" } }, /isStream must be a boolean, got "yes"/],
    [{ fault: "error", code: 1302 }, /code must be a string, got 1302/],
  ];
  for (const [value, words] of wrong) {
    it(`are refused with a reason: ${JSON.stringify(value)}`, () => {
      assert.throws(() => parseFaults([{ fault: "html" }, value]), words);
    });
  }
});

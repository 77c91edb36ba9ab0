import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { glmDialect } from "./dialect.ts";
import { applyFault } from "./fault-effects.ts";
import { errorForms, type FaultName, faultDetails, type ScriptedFault } from "./faults.ts";
import { type Plan, toJsonPlan, toStreamPlan } from "./plan.ts";

const context = { authorization: "Bearer sim.secret", language: "en", wallNowMs: 0, dialect: glmDialect } as const;
const frames = ["a", "b", "c", "d"].map((content, index) => ({
  model: "glm-4.5-flash",
  choices: [{ index: 0, delta: { content }, ...(index === 3 && { finish_reason: "stop" }) }],
  ...(index === 3 && { usage: { prompt_tokens: 1, prompt_tokens_details: { cached_tokens: 0 } } }),
}));

const streamed = (): Plan => toStreamPlan(frames);
const whole = (): Plan => toJsonPlan(frames[3] as object);
const apply = (fault: ScriptedFault, plan = streamed()) => applyFault(plan, fault, context);
const list = ({ pieces }: Plan) => Array.from(pieces, (piece) => piece.toString());
const textOf = (plan: Plan) => list(plan).join("");

describe("a fault", () => {
  it("changes a copy: the plan that it was given stays as it was", () => {
    for (const name of Object.keys(faultDetails) as FaultName[]) {
      if (name === "gzipBomb") continue;
      const plan: Plan = { ...whole(), pieces: [Buffer.from('{"model":"a","finish_reason":"stop"}')] };
      const before = structuredClone(plan);
      Array.from(apply({ fault: name } as ScriptedFault, plan).pieces);
      assert.deepEqual(structuredClone(plan), before, name);
    }
  });

  it("comes after two frames unless it says otherwise", () => {
    assert.equal(list(apply({ fault: "cutMidStream" })).length, 2);
    assert.equal(list(apply({ fault: "cutMidStream", after: 0 })).length, 0);
    assert.equal(list(apply({ fault: "resetMidStream", after: 4 })).length, 4);
    assert.equal(list(apply({ fault: "stallMidStream", after: 99 })).length, 5, "the frames and [DONE]");
  });

  it("breaks an answer that is one piece in its middle", () => {
    const full = textOf(whole());
    for (const fault of ["cutMidStream", "resetMidStream", "stallMidStream", "endEarly"] as const) {
      assert.equal(textOf(apply({ fault }, whole())), full.slice(0, full.length >> 1), fault);
    }
  });

  it("within a frame leaves half of it", () => {
    const [, , third = ""] = list(streamed());
    const cut = list(apply({ fault: "cutMidFrame" }));
    assert.equal(cut.length, 3);
    assert.equal(cut[2], third.slice(0, third.length >> 1));
  });

  it("of an error has the status that its code has, or its own", () => {
    const read = (fault: Omit<Extract<ScriptedFault, { fault: "error" }>, "fault">) => {
      const { status, headers, ...plan } = apply({ fault: "error", ...fault });
      return [status, headers["retry-after"], JSON.parse(textOf({ status, headers, ...plan })).error.code];
    };
    assert.deepEqual(read({}), [500, undefined, "500"]);
    assert.deepEqual(read({ code: "1302", retryAfter: 2 }), [429, "2", "1302"]);
    assert.deepEqual(read({ code: "1305", status: 529 }), [529, undefined, "1305"]);
    assert.deepEqual(read({ code: "1305", status: 200 }), [200, undefined, "1305"]);
  });

  it("of an error has the form that it says; a whole answer has no events", () => {
    const read = (form: (typeof errorForms)[number], plan: Plan) => {
      const { status, code, headAheadMs, ...rest } = apply({ fault: "error", code: "1302", form }, plan);
      return [status, code, headAheadMs, textOf({ status, code, ...rest }).startsWith("data: ")];
    };
    assert.deepEqual(
      errorForms.map((form) => read(form, streamed())),
      [
        [429, "1302", undefined, false],
        [200, "1302", undefined, false],
        [200, "1302", 0, true],
        [200, "1302", 20, true],
      ],
    );
    assert.deepEqual(read("event", whole()), [200, "1302", undefined, false]);
  });

  it("in the usage replaces it by anything", () => {
    const usage = (raw: unknown) => JSON.parse(textOf(apply({ fault: "usage", raw }, whole()))).usage;
    for (const raw of [null, "many", { prompt_tokens: -1 }, [1]]) assert.deepEqual(usage(raw), raw);
  });

  it("in the end's reason leaves the rest", () => {
    const changed = list(apply({ fault: "finish", reason: "sensitive" }));
    assert.match(changed[3] as string, /"finish_reason":"sensitive"/);
    assert.deepEqual(changed.slice(0, 3), list(streamed()).slice(0, 3));
  });

  it("in the pace cuts into bytes or joins them all, and changes none", () => {
    const bytes = Buffer.byteLength(textOf(streamed()));
    assert.equal(list(apply({ fault: "drip", ms: 7 })).length, bytes);
    assert.equal(apply({ fault: "drip", ms: 7 }).paceMs, 7);
    assert.equal(list(apply({ fault: "slice" })).length, bytes);
    assert.equal(list(apply({ fault: "burst" })).length, 1);
    for (const fault of ["drip", "slice", "burst"] as const) assert.equal(textOf(apply({ fault })), textOf(streamed()));
  });

  it("in the frames puts something between them and keeps them", () => {
    const plain = list(streamed());
    for (const fault of [
      "malformedFrame",
      "emptyFrame",
      "hugeLine",
      "manyFrames",
      "afterDone",
      "doubleDone",
    ] as const) {
      const disturbed = list(apply({ fault, ...(fault === "hugeLine" && { bytes: 10 }) } as ScriptedFault));
      assert.equal(disturbed.length, plain.length + 1, fault);
      assert.ok(
        plain.every((frame) => disturbed.includes(frame)),
        fault,
      );
    }
    assert.deepEqual(list(apply({ fault: "noDone" })), plain.slice(0, -1));
    assert.equal(list(apply({ fault: "comments" })).length, plain.length * 2);
    assert.deepEqual(list(apply({ fault: "duplicateToolFrame" })), plain, "there is no tool");
  });

  it("may bring another one along, applied after it", () => {
    const split = list(apply({ fault: "crlf", and: { fault: "slice" } }));
    assert.deepEqual(split.slice(-4), ["\r", "\n", "\r", "\n"]);
  });

  it("in the length misstates it", () => {
    const length = Buffer.byteLength(textOf(whole()));
    assert.equal(apply({ fault: "longContentLength" }, whole()).headers["content-length"], String(length + 100));
    assert.equal(apply({ fault: "shortContentLength" }, whole()).headers["content-length"], String(length - 10));
  });
});

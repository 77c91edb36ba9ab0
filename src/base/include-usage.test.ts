import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addIncludeUsage } from "./include-usage.ts";

const add = (text: string) => addIncludeUsage(Buffer.from(text))?.toString() ?? null;

describe("addIncludeUsage()", () => {
  it("puts the wish in front of everything else, and touches no other byte", () => {
    assert.equal(
      add('{ "stream" : true,\r\n"seed":12345678901234567890 }'),
      '{"stream_options":{"include_usage":true}, "stream" : true,\r\n"seed":12345678901234567890 }',
    );
  });

  it("adds it to options that are there, or puts it in the place of a no", () => {
    assert.equal(
      add('{"stream":true,"stream_options":{"x":1}}'),
      '{"stream":true,"stream_options":{"include_usage":true,"x":1}}',
    );
    assert.equal(
      add('{"stream":true,"stream_options":{ }}'),
      '{"stream":true,"stream_options":{"include_usage":true }}',
    );
    const wide = `{"stream":true,"stream_options":{${" ".repeat(5_000)}}}`;
    assert.deepEqual(JSON.parse(add(wide) ?? ""), { stream: true, stream_options: { include_usage: true } });
    for (const no of ["false", "null", '"yes"']) {
      assert.equal(
        add(`{"stream":true,"stream_options":{"include_usage": ${no}}}`),
        '{"stream":true,"stream_options":{"include_usage": true}}',
      );
    }
    assert.equal(
      add('{"stream":true,"stream_options":null}'),
      '{"stream":true,"stream_options":{"include_usage":true}}',
    );
  });

  it("leaves alone what asks already", () => {
    assert.equal(add('{"stream":true,"stream_options":{"include_usage":true}}'), null);
  });

  it("changes nothing else of any request", () => {
    const options = fc.option(
      fc.oneof(fc.record({ include_usage: fc.jsonValue(), x: fc.jsonValue() }, { requiredKeys: [] }), fc.jsonValue()),
      { nil: undefined },
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        options,
        fc.boolean(),
        (rest, stream_options, isFirst) => {
          Reflect.deleteProperty(rest, "__proto__");
          const own = { stream: true, ...(stream_options !== undefined && { stream_options }) };
          const text = JSON.stringify(isFirst ? { ...own, ...rest, ...own } : { ...rest, ...own });
          const asked = JSON.parse(add(text) ?? text) as { stream_options: { include_usage: boolean } };
          assert.equal(asked.stream_options.include_usage, true);
          const { stream_options: before = {}, ...others } = JSON.parse(text) as Record<string, unknown>;
          const { stream_options: now, ...same } = asked;
          assert.deepEqual(same, others);
          const isObject = typeof before === "object" && before !== null && !Array.isArray(before);
          assert.deepEqual({ ...now }, { ...(isObject ? before : {}), include_usage: true });
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

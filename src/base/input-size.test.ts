import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measureInput } from "./input-size.ts";

const data = "A".repeat(700_000);
const url = `data:image/png;base64,${data}`;
const measure = (fields: object) => {
  const bytes = Buffer.byteLength(JSON.stringify(fields));
  return { bytes, ...measureInput(fields as Record<string, unknown>, bytes) };
};
const chat = (...content: readonly object[]) => ({ messages: [{ role: "user", content }] });
const input = (...content: readonly object[]) => ({ input: [{ role: "user", content }] });
const result = (content: object) => chat({ type: "tool_result", tool_use_id: "t", content: [content] });
const base64 = { type: "base64", media_type: "image/png", data };

describe("measureInput()", () => {
  it("counts encoded data by its kind, in every place where a dialect has it", () => {
    const cases: Readonly<Record<string, [object, number]>> = {
      "a chat's picture": [chat({ type: "image_url", image_url: { url } }), 1_200],
      "a picture as GLM takes it": [chat({ type: "image_url", image_url: { url: data } }), 1_200],
      "a chat's film": [chat({ type: "video_url", video_url: { url: data } }), 6_000],
      "a chat's sound": [chat({ type: "input_audio", input_audio: { data, format: "wav" } }), 1_500],
      "a chat's file": [chat({ type: "file", file: { filename: "a.pdf", file_data: data } }), 3_000],
      "a picture in a tool's message": [
        { messages: [{ role: "tool", content: [{ type: "image_url", image_url: { url } }] }] },
        1_200,
      ],
      "a message's picture": [chat({ type: "image", source: base64 }), 1_200],
      "a message's document": [chat({ type: "document", source: { ...base64, media_type: "application/pdf" } }), 3_000],
      "a picture in a tool's result": [result({ type: "image", source: base64 }), 1_200],
      "a picture in a document": [
        chat({ type: "document", source: { type: "content", content: [{ type: "image", source: base64 }] } }),
        1_200,
      ],
      "a response's picture": [input({ type: "input_image", image_url: url }), 1_200],
      "a response's file": [input({ type: "input_file", filename: "a.pdf", file_data: data }), 3_000],
      "a picture in a function's output": [
        { input: [{ type: "function_call_output", output: [{ type: "input_image", image_url: url }] }] },
        1_200,
      ],
      "a screenshot": [
        { input: [{ type: "computer_call_output", output: { type: "computer_screenshot", image_url: url } }] },
        1_200,
      ],
    };
    for (const [name, [fields, tokens]] of Object.entries(cases)) {
      const { bytes, textBytes, binaryTokens } = measure(fields);
      assert.equal(binaryTokens, tokens, name);
      assert.ok(textBytes < 400 && bytes > 700_000, name);
    }
  });

  it("counts a picture behind an address too", () => {
    const { bytes, textBytes, binaryTokens } = measure(
      chat({ type: "image_url", image_url: { url: "https://x/y.png" } }),
    );
    assert.deepEqual([textBytes, binaryTokens], [bytes, 1_200]);
  });

  it("takes text for text, whatever it looks like", () => {
    for (const fields of [
      chat({ type: "text", text: url }),
      { messages: [{ role: "user", content: url }] },
      { input: url },
      chat({ type: "document", source: { type: "text", media_type: "text/plain", data } }),
      result({ type: "text", text: url }),
    ]) {
      const { bytes, textBytes, binaryTokens } = measure(fields);
      assert.deepEqual([textBytes, binaryTokens], [bytes, 0]);
    }
  });

  it("finds nothing in what is no request", () => {
    for (const messages of [undefined, null, 7, "x", [null, 7, "x", [[]]], [{ content: { content: { content: [] } } }]])
      assert.equal(measureInput({ messages }, 10).binaryTokens, 0);
  });
});

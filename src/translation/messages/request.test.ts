import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Refusal } from "../../base/refusal.ts";
import type { UpstreamKind } from "../../base/translation.ts";
import { toChat } from "./request.ts";

const chat = (body: object, kind: UpstreamKind = "glm") =>
  toChat({ messages: [{ role: "user", content: "hi" }], ...body }, "glm-4.7", kind);

describe("a message's request as a chat's", () => {
  it("has the system's words first, and each kind of content where a chat has it", () => {
    const messages = [
      {
        role: "user",
        content: [
          { type: "text", text: "look", cache_control: { type: "ephemeral" } },
          { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "text", text: "I ask." },
          { type: "tool_use", id: "t1", name: "f", input: { x: 1 } },
          { type: "tool_use", id: "t2", name: "g", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "42" }] },
          { type: "tool_result", tool_use_id: "t2", content: "no", is_error: true },
          { type: "text", text: "go on" },
        ],
      },
    ];
    assert.deepEqual(
      chat({
        messages,
        system: [
          { type: "text", text: "be" },
          { type: "text", text: "brief" },
        ],
      }),
      {
        model: "glm-4.7",
        messages: [
          { role: "system", content: "be\nbrief" },
          {
            role: "user",
            content: [
              { type: "text", text: "look" },
              { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            ],
          },
          {
            role: "assistant",
            content: "I ask.",
            reasoning_content: "hm",
            tool_calls: [
              { id: "t1", type: "function", function: { name: "f", arguments: '{"x":1}' } },
              { id: "t2", type: "function", function: { name: "g", arguments: "{}" } },
            ],
          },
          { role: "tool", tool_call_id: "t1", content: "42" },
          { role: "tool", tool_call_id: "t2", content: "Error: no" },
          { role: "user", content: "go on" },
        ],
      },
    );
  });

  it("shows the pictures of a tool's result as if the user did: a chat's tools have text only", () => {
    const image = { type: "image", source: { type: "url", url: "https://x/y.png" } };
    const content = [{ type: "tool_result", tool_use_id: "t1", content: [image] }];
    const call = { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "f", input: {} }] };
    const [, ...after] = chat({ messages: [call, { role: "user", content }] }).messages as object[];
    assert.deepEqual(after, [
      { role: "tool", tool_call_id: "t1", content: "" },
      { role: "user", content: [{ type: "image_url", image_url: { url: "https://x/y.png" } }] },
    ]);
  });

  it("says how, as far as a chat can", () => {
    const asked = chat({
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 3,
      stop_sequences: ["x"],
      stream: true,
      thinking: { type: "adaptive", budget_tokens: 5 },
      metadata: { user_id: "user-7" },
      tools: [{ name: "f", input_schema: { type: "object" } }],
      tool_choice: { type: "tool", name: "f" },
      service_tier: "auto",
    });
    assert.deepEqual(asked, {
      model: "glm-4.7",
      messages: [{ role: "user", content: "hi" }],
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      stop: ["x"],
      stream: true,
      thinking: { type: "enabled" },
      user_id: "user-7",
      tools: [{ type: "function", function: { name: "f", description: "", parameters: { type: "object" } } }],
      tool_choice: { type: "function", function: { name: "f" } },
    });
    assert.deepEqual(chat({ thinking: { type: "disabled" } }).thinking, { type: "disabled" });
    assert.equal(chat({ metadata: { user_id: "short" } }).user_id, undefined);
    assert.equal(chat({ tools: [{ name: "f" }], tool_choice: { type: "none" } }).tools, undefined);
  });

  it("refuses what a chat can't say, by the place where it stands", () => {
    const cases: [object, string][] = [
      [{ tools: [{ type: "web_search_20250305", name: "web_search" }] }, "tools[0].type"],
      [{ mcp_servers: [{ type: "url", url: "https://x/" }] }, "mcp_servers"],
      [{ messages: [{ role: 7, content: "x" }] }, "messages[0].role"],
      [{ messages: [{ role: "user", content: [{ type: "text" }] }] }, "messages[0].content[0].text"],
      [{ messages: "x" }, "messages"],
      [{ max_tokens: "9" }, "max_tokens"],
    ];
    for (const [body, param] of cases) {
      assert.throws(
        () => chat(body),
        (error) => (error as Refusal).facts.param === param,
        param,
      );
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Refusal } from "../../base/refusal.ts";
import type { UpstreamKind } from "../../base/translation.ts";
import type { Fields } from "../fields.ts";
import { ToolNames } from "../tool-names.ts";
import { toChat } from "./request.ts";

const chat = (body: object, kind: UpstreamKind = "glm") =>
  toChat({ input: "hi", ...body }, "glm-4.7", kind, new ToolNames());
const messagesOf = (...input: readonly object[]) => chat({ input }).messages;
const call = (call_id: string, args: string) => ({ type: "function_call", call_id, name: "f", arguments: args });
const chatCall = (id: string, args: string) => ({ id, type: "function", function: { name: "f", arguments: args } });
const output = (call_id: string, said: unknown) => ({ type: "function_call_output", call_id, output: said });

describe("a response's request as a chat's", () => {
  it("takes plain text for the user's words, after the instructions", () => {
    assert.deepEqual(chat({ instructions: "be brief" }), {
      model: "glm-4.7",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "hi" },
      ],
    });
  });

  it("has each item where a chat has it", () => {
    const image = { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" };
    assert.deepEqual(
      messagesOf(
        { type: "message", role: "developer", content: "be exact" },
        { role: "system", content: [{ type: "input_text", text: "be kind" }] },
        { role: "user", content: [{ type: "input_text", text: "look" }, image] },
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: null },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I ask.", annotations: [] }] },
        call("c1", "{}"),
        output("c1", "42"),
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] },
      ),
      [
        { role: "system", content: "be exact" },
        { role: "system", content: "be kind" },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
          ],
        },
        { role: "assistant", content: "I ask.", reasoning_content: "hm", tool_calls: [chatCall("c1", "{}")] },
        { role: "tool", tool_call_id: "c1", content: "42" },
        { role: "assistant", content: "No." },
      ],
    );
  });

  it("puts the calls of one turn into one message, and those of the next into another", () => {
    assert.deepEqual(
      messagesOf(call("a", "1"), call("b", "2"), output("a", "x"), output("b", "y"), call("c", "3"), output("c", "z")),
      [
        { role: "assistant", content: null, tool_calls: [chatCall("a", "1"), chatCall("b", "2")] },
        { role: "tool", tool_call_id: "a", content: "x" },
        { role: "tool", tool_call_id: "b", content: "y" },
        { role: "assistant", content: null, tool_calls: [chatCall("c", "3")] },
        { role: "tool", tool_call_id: "c", content: "z" },
      ],
    );
  });

  it("gives a thought to the calls that came of it", () => {
    const reasoning = { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "I need f" }] };
    assert.deepEqual(messagesOf(reasoning, call("a", "1")), [
      { role: "assistant", content: null, tool_calls: [chatCall("a", "1")], reasoning_content: "I need f" },
      { role: "tool", tool_call_id: "a", content: "[no result]" },
    ]);
  });

  it("gives thoughts to what came of them, and to nothing else", () => {
    const think = (text: string) => ({ type: "reasoning", summary: [{ type: "summary_text", text }] });
    const say = (content: string) => ({ role: "assistant", content });
    assert.deepEqual(messagesOf(think("1"), say("A"), think("2"), call("a", "{}"), output("a", "x"), say("B")), [
      { role: "assistant", content: "A", tool_calls: [chatCall("a", "{}")], reasoning_content: "1\n2" },
      { role: "tool", tool_call_id: "a", content: "x" },
      { role: "assistant", content: "B" },
    ]);
    assert.deepEqual(messagesOf(think("1"), think("2"), say("A")), [{ ...say("A"), reasoning_content: "1\n2" }]);
    const user = { role: "user", content: "stop" };
    assert.deepEqual(messagesOf(think("1"), user, say("A")), [user, say("A")]);
  });

  it("leaves a tool's arguments as they are, to the character", () => {
    const odd = `{ "n":123456789012345678901234567890,\r\n"t":"\\u4f60\\ud83d 你 \ud83d\ude00","cut":`;
    const [message] = messagesOf(call("a", odd)) as { tool_calls: { function: { arguments: string } }[] }[];
    assert.equal(message?.tool_calls[0]?.function.arguments, odd);
  });

  it("shows the pictures of a tool's output as if the user did: a chat's tools have text only", () => {
    const parts = [
      { type: "input_text", text: "see" },
      { type: "input_image", image_url: "https://x/y.png" },
    ];
    assert.deepEqual((messagesOf(call("a", "1"), output("a", parts)) as object[]).slice(1), [
      { role: "tool", tool_call_id: "a", content: "see" },
      { role: "user", content: [{ type: "image_url", image_url: { url: "https://x/y.png" } }] },
    ]);
  });

  it("says how, as far as a chat can", () => {
    const parameters = { type: "object", properties: { x: { type: "integer" } } };
    const asked = chat({
      max_output_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      stream: true,
      parallel_tool_calls: false,
      reasoning: { effort: "high", summary: "auto" },
      text: { format: { type: "json_schema", name: "n", schema: parameters }, verbosity: "low" },
      tools: [{ type: "function", name: "f", parameters, strict: true }],
      tool_choice: { type: "function", name: "f" },
      include: ["reasoning.encrypted_content"],
      metadata: { a: "b" },
      prompt_cache_key: "k",
      store: true,
      truncation: "auto",
      unheard_of: { x: 1 },
    });
    assert.deepEqual(asked, {
      model: "glm-4.7",
      messages: [
        {
          role: "system",
          content:
            "Answer with one JSON value and nothing else. It must be valid against this JSON Schema " +
            `("n"): ${JSON.stringify(parameters)}`,
        },
        { role: "user", content: "hi" },
      ],
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      stream: true,
      response_format: { type: "json_object" },
      thinking: { type: "enabled" },
      tools: [{ type: "function", function: { name: "f", description: "", parameters } }],
      tool_choice: { type: "function", function: { name: "f" } },
    });
  });

  it("asks for tools, thoughts and JSON only where they are wanted", () => {
    const tools = [{ type: "function", name: "f", description: "d", parameters: null }];
    const tool = {
      type: "function",
      function: { name: "f", description: "d", parameters: { type: "object", properties: {} } },
    };
    const how = (body: object) => {
      const { model, messages, ...rest } = chat(body);
      return rest;
    };
    const cases: [object, Fields][] = [
      [{ tools: [] }, {}],
      [{ tools: null, tool_choice: null, reasoning: null, text: null, instructions: null, stream: null }, {}],
      [{ tools, tool_choice: "none" }, {}],
      [{ tools, tool_choice: "auto" }, { tools: [tool] }],
      [
        { tools, tool_choice: "required" },
        { tools: [tool], tool_choice: "required" },
      ],
      [{ reasoning: { effort: "none" } }, { thinking: { type: "disabled" } }],
      [{ reasoning: { effort: "minimal" } }, { thinking: { type: "enabled" } }],
      [{ reasoning: { effort: null } }, {}],
      [{ text: { format: { type: "text" } } }, {}],
      [{ text: { format: { type: "json_object" } } }, { response_format: { type: "json_object" } }],
      [{ background: false, stream: false, previous_response_id: null, conversation: null }, {}],
    ];
    for (const [body, expected] of cases) assert.deepEqual(how(body), expected, JSON.stringify(body));
  });

  it("leaves out tools that only OpenAI's own servers and models use, and keeps the functions beside them", () => {
    const tools = [{ type: "web_search" }, { type: "function", name: "f" }, { type: "custom", name: "apply_patch" }];
    const asked = chat({ tools }) as { tools?: { function: { name: string } }[] };
    assert.deepEqual(
      asked.tools?.map((tool) => tool.function.name),
      ["f"],
    );
    assert.equal(chat({ tools: [{ type: "web_search" }] }).tools, undefined);
  });

  it("refuses what a chat can't say, by the place where it stands", () => {
    const user = (part: object) => ({ input: [{ role: "user", content: [part] }] });
    const cases: [object, string][] = [
      [{ previous_response_id: "resp_1" }, "previous_response_id"],
      [{ conversation: { id: "conv_1" } }, "conversation"],
      [{ background: true }, "background"],
      [{ prompt: { id: "p" } }, "prompt"],
      [{ instructions: 7 }, "instructions"],
      [{ input: undefined }, "input"],
      [{ input: [] }, "input"],
      [{ input: [{ type: "reasoning", summary: [] }] }, "input"],
      [{ input: ["hi"] }, "input[0]"],
      [{ input: [{ role: 7, content: "x" }] }, "input[0].role"],
      [{ input: [{ role: "user" }] }, "input[0].content"],
      [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input"],
      [{ input: [{ type: "function_call", call_id: "c", name: "f" }] }, "input[0].arguments"],
      [{ input: [{ type: "function_call_output", call_id: "c" }] }, "input[0].output"],
      [user({ type: "input_text" }), "input[0].content[0].text"],
      [{ tools: [{ type: "function" }] }, "tools[0].name"],
      [{ max_output_tokens: "9" }, "max_output_tokens"],
      [{ temperature: {} }, "temperature"],
    ];
    for (const [body, param] of cases) {
      assert.throws(
        () => chat(body),
        (error) => error instanceof Refusal && error.reason === "invalid_field" && error.facts.param === param,
        param,
      );
    }
  });
});

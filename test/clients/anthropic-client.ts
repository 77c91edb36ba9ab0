// Anthropic's own client, which is what Claude Code is built on.

import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { type Access, type ClientUnderTest, weather } from "./client.ts";

const open = ({ url, key }: Access) => new Anthropic({ baseURL: url, authToken: key, apiKey: null });
const ask = ({ model }: Access, prompt: string) => ({
  model,
  max_tokens: 1_000,
  messages: [{ role: "user" as const, content: prompt }],
});

export const anthropic: ClientUnderTest = {
  name: "@anthropic-ai/sdk",
  api: "Anthropic",
  basePath: "",
  retries: true,
  findStatus: (error) => (error instanceof APIError ? (error.status ?? null) : null),
  async whole(access, prompt) {
    const { content } = await open(access).messages.create(ask(access, prompt));
    return content.map((block) => (block.type === "text" ? block.text : "")).join("");
  },
  async stream(access, prompt) {
    const pieces: string[] = [];
    const stream = open(access).messages.stream(ask(access, prompt));
    stream.on("text", (piece) => pieces.push(piece));
    const { content } = await stream.finalMessage();
    const text = content.map((block) => (block.type === "text" ? block.text : "")).join("");
    if (text !== pieces.join("")) throw new Error("its pieces are not its text");
    return pieces;
  },
  async tools(access, prompt) {
    const { name, description, schema } = weather;
    const tools = [{ name, description, input_schema: { ...schema, required: [...schema.required] } }];
    const { content } = await open(access)
      .messages.stream({ ...ask(access, prompt), tools })
      .finalMessage();
    const use = content.find((block) => block.type === "tool_use");
    if (use?.type !== "tool_use") throw new Error("no tool was used");
    return { name: use.name, input: use.input };
  },
  async abort(access, prompt) {
    const stream = open(access).messages.stream(ask(access, prompt));
    for await (const event of stream) if (event.type === "content_block_delta") break;
    stream.abort();
  },
};

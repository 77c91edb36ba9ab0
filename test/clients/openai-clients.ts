// The npm package `openai`: chat completions, and the newer Responses.

import OpenAI, { APIError } from "openai";
import { type Access, type ClientUnderTest, weather } from "./client.ts";

const open = ({ url, key }: Access) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
const ask = ({ model }: Access, prompt: string) => ({ model, messages: [{ role: "user" as const, content: prompt }] });
const findStatus = (error: unknown) => (error instanceof APIError ? (error.status ?? null) : null);

export const openAi: ClientUnderTest = {
  name: "openai (npm)",
  api: "OpenAI",
  basePath: "/v1",
  retries: true,
  findStatus,
  async whole(access, prompt) {
    const { choices } = await open(access).chat.completions.create(ask(access, prompt));
    return choices[0]?.message.content ?? "";
  },
  async stream(access, prompt) {
    const pieces: string[] = [];
    const stream = await open(access).chat.completions.create({ ...ask(access, prompt), stream: true });
    for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? "");
    return pieces;
  },
  async tools(access, prompt) {
    const { name, description, schema } = weather;
    const tools = [{ type: "function" as const, function: { name, description, parameters: schema } }];
    const runner = open(access).chat.completions.stream({ ...ask(access, prompt), tools });
    const call = (await runner.finalChatCompletion()).choices[0]?.message.tool_calls?.[0];
    if (call?.type !== "function") throw new Error("no tool was called");
    return { name: call.function.name, input: JSON.parse(call.function.arguments) };
  },
  async abort(access, prompt) {
    const stream = await open(access).chat.completions.create({ ...ask(access, prompt), stream: true });
    for await (const _ of stream) break;
  },
};

export const openAiResponses: ClientUnderTest = {
  name: "openai (npm), responses",
  api: "Responses",
  basePath: "/v1",
  retries: true,
  findStatus,
  async whole(access, prompt) {
    return (await open(access).responses.create({ model: access.model, input: prompt })).output_text;
  },
  async stream(access, prompt) {
    const pieces: string[] = [];
    const stream = open(access).responses.stream({ model: access.model, input: prompt });
    for await (const event of stream) if (event.type === "response.output_text.delta") pieces.push(event.delta);
    const { output_text } = await stream.finalResponse();
    if (output_text !== pieces.join("")) throw new Error("its pieces are not its text");
    return pieces;
  },
  async tools(access, prompt) {
    const { name, description, schema: parameters } = weather;
    const tool = { type: "function" as const, name, description, parameters: { ...parameters }, strict: false };
    const stream = open(access).responses.stream({ model: access.model, input: prompt, tools: [tool] });
    const call = (await stream.finalResponse()).output.find((item) => item.type === "function_call");
    if (call?.type !== "function_call") throw new Error("no tool was called");
    return { name: call.name, input: JSON.parse(call.arguments) };
  },
  async abort(access, prompt) {
    const stream = await open(access).responses.create({ model: access.model, input: prompt, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
  },
};

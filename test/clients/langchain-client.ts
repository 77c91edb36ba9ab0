// LangChain's client for OpenAI's API.

import { ChatOpenAI } from "@langchain/openai";
import { type Access, type ClientUnderTest, weather } from "./client.ts";

const open = ({ url, key, model }: Access) =>
  new ChatOpenAI({ model, apiKey: key, configuration: { baseURL: `${url}/v1` } });

export const langChain: ClientUnderTest = {
  name: "@langchain/openai",
  api: "OpenAI",
  basePath: "/v1",
  retries: true,
  findStatus: (error) => (error as { status?: number }).status ?? null,
  async whole(access, prompt) {
    return (await open(access).invoke(prompt)).text;
  },
  async stream(access, prompt) {
    const pieces: string[] = [];
    for await (const { text } of await open(access).stream(prompt)) pieces.push(text);
    return pieces;
  },
  async tools(access, prompt) {
    const { name, description, schema: parameters } = weather;
    const bound = open(access).bindTools([{ type: "function", function: { name, description, parameters } }]);
    const call = (await bound.invoke(prompt)).tool_calls?.[0];
    if (!call) throw new Error("no tool was called");
    return { name: call.name, input: call.args };
  },
  async abort(access, prompt) {
    const controller = new AbortController();
    const stream = await open(access).stream(prompt, { signal: controller.signal });
    for await (const _ of stream) break;
    controller.abort();
  },
};

// The npm packages for Zhipu's own API, which sign a token of their own with each key.

import { ZhipuAI } from "zhipuai";
import { ZhipuAI as ZhipuAIv4 } from "zhipuai-sdk-nodejs-v4";
import { type Access, type ClientUnderTest, weather } from "./client.ts";

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string; readonly tool_calls?: ToolCall[] } }[];
}

interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string; readonly tool_calls?: ToolCall[] } }[];
}

interface ToolCall {
  readonly function: { readonly name: string; readonly arguments: string };
}

const open = ({ url, key }: Access) => new ZhipuAI({ baseURL: `${url}/api/paas/v4`, apiKey: key });
const ask = ({ model }: Access, prompt: string) => ({ model, messages: [{ role: "user", content: prompt }] });
const { name, description, schema: parameters } = weather;
const tools = [{ type: "function", function: { name, description, parameters } }];

function readTool({ choices }: Completion) {
  const call = choices[0]?.message.tool_calls?.[0];
  if (!call) throw new Error("no tool was called");
  return { name: call.function.name, input: JSON.parse(call.function.arguments) as unknown };
}

export const zhipuAi: ClientUnderTest = {
  name: "zhipuai (npm)",
  api: "GLM",
  basePath: "/api/paas/v4",
  retries: true,
  signsJwt: true,
  findStatus: (error) => (error as { status?: number }).status ?? null,
  async whole(access, prompt) {
    const answer = (await open(access).chat.completions.create(ask(access, prompt) as never)) as unknown as Completion;
    return answer.choices[0]?.message.content ?? "";
  },
  async stream(access, prompt) {
    const asked = { ...ask(access, prompt), stream: true };
    const stream = (await open(access).chat.completions.create(asked as never)) as unknown as AsyncIterable<Chunk>;
    const pieces: string[] = [];
    for await (const { choices } of stream) pieces.push(choices[0]?.delta.content ?? "");
    return pieces;
  },
  async tools(access, prompt) {
    const asked = { ...ask(access, prompt), tools };
    return readTool((await open(access).chat.completions.create(asked as never)) as unknown as Completion);
  },
  async abort(access, prompt) {
    const asked = { ...ask(access, prompt), stream: true };
    const stream = (await open(access).chat.completions.create(asked as never)) as unknown as AsyncIterable<Chunk>;
    for await (const _ of stream) break;
  },
};

const openV4 = ({ url, key }: Access) =>
  new ZhipuAIv4({ baseUrl: `${url}/api/paas/v4`, apiKey: key, cacheToken: false });

export const zhipuAiV4: ClientUnderTest = {
  name: "zhipuai-sdk-nodejs-v4",
  api: "GLM",
  basePath: "/api/paas/v4",
  retries: false,
  signsJwt: true,
  // It rejects with the body; the status is what its error's code stands for.
  findStatus: (error) => ((error as { error?: object } | null)?.error ? 400 : null),
  async whole(access, prompt) {
    const answer = (await openV4(access).createCompletions(ask(access, prompt) as never)) as unknown as Completion;
    return answer.choices[0]?.message.content ?? "";
  },
  async stream(access, prompt) {
    const asked = { ...ask(access, prompt), stream: true };
    const stream = (await openV4(access).createCompletions(asked as never)) as AsyncIterable<Buffer>;
    let text = "";
    for await (const bytes of stream) text += bytes.toString();
    const events = text.split("\n\n").filter((event) => event.startsWith("data: {"));
    return events.map((event) => (JSON.parse(event.slice(6)) as Chunk).choices[0]?.delta.content ?? "");
  },
  async tools(access, prompt) {
    const asked = { ...ask(access, prompt), tools };
    return readTool((await openV4(access).createCompletions(asked as never)) as unknown as Completion);
  },
  async abort(access, prompt) {
    const asked = { ...ask(access, prompt), stream: true };
    const stream = (await openV4(access).createCompletions(asked as never)) as AsyncIterable<Buffer> & {
      destroy(): void;
    };
    for await (const _ of stream) break;
    stream.destroy();
  },
};

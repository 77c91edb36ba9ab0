// Vercel's AI SDK: with the provider for what is compatible with OpenAI, and, in its fifth version, with the one that
// was made for Zhipu.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateText,
  jsonSchema,
  type LanguageModel,
  RetryError,
  streamText,
  type ToolSet,
  tool,
} from "ai";
import * as ai5 from "ai5";
import { createZhipu } from "zhipu-ai-provider";
import { type Access, type ClientUnderTest, weather } from "./client.ts";

export const aiCompatible: ClientUnderTest = describe(
  "ai + @ai-sdk/openai-compatible",
  "OpenAI",
  "/v1",
  ({ url, key, model }) => createOpenAICompatible({ name: "glm", baseURL: `${url}/v1`, apiKey: key }).chatModel(model),
);

function describe(
  name: string,
  api: ClientUnderTest["api"],
  basePath: string,
  open: (access: Access) => LanguageModel,
): ClientUnderTest {
  return {
    name,
    api,
    basePath,
    retries: true,
    findStatus(error) {
      const cause = RetryError.isInstance(error) ? error.lastError : error;
      return APICallError.isInstance(cause) ? (cause.statusCode ?? null) : null;
    },
    async whole(access, prompt) {
      return (await generateText({ model: open(access), prompt })).text;
    },
    async stream(access, prompt) {
      const pieces: string[] = [];
      for await (const piece of streamText({ model: open(access), prompt }).textStream) pieces.push(piece);
      return pieces;
    },
    async tools(access, prompt) {
      const { description, schema } = weather;
      const inputSchema = jsonSchema<{ city: string }>({ ...schema, required: [...schema.required] });
      const tools = { get_weather: tool({ description, inputSchema }) };
      const [call] = await streamText({ model: open(access), prompt, tools: tools as unknown as ToolSet }).toolCalls;
      if (!call) throw new Error("no tool was called");
      return { name: call.toolName, input: call.input };
    },
    async abort(access, prompt) {
      const controller = new AbortController();
      const { textStream } = streamText({ model: open(access), prompt, abortSignal: controller.signal });
      for await (const _ of textStream) break;
      controller.abort();
    },
  };
}

const openZhipu = ({ url, key, model }: Access) => createZhipu({ baseURL: `${url}/api/paas/v4`, apiKey: key })(model);

export const zhipuProvider: ClientUnderTest = {
  name: "ai 5 + zhipu-ai-provider",
  api: "GLM",
  basePath: "/api/paas/v4",
  retries: true,
  findStatus(error) {
    const cause = ai5.RetryError.isInstance(error) ? error.lastError : error;
    return ai5.APICallError.isInstance(cause) ? (cause.statusCode ?? null) : null;
  },
  async whole(access, prompt) {
    return (await ai5.generateText({ model: openZhipu(access), prompt })).text;
  },
  async stream(access, prompt) {
    const pieces: string[] = [];
    for await (const piece of ai5.streamText({ model: openZhipu(access), prompt }).textStream) pieces.push(piece);
    return pieces;
  },
  async tools(access, prompt) {
    const { description, schema } = weather;
    const inputSchema = ai5.jsonSchema<{ city: string }>({ ...schema, required: [...schema.required] });
    const tools = { get_weather: ai5.tool({ description, inputSchema }) };
    const [call] = await ai5.streamText({ model: openZhipu(access), prompt, tools: tools as unknown as ai5.ToolSet })
      .toolCalls;
    if (!call) throw new Error("no tool was called");
    return { name: call.toolName, input: call.input };
  },
  async abort(access, prompt) {
    const controller = new AbortController();
    const { textStream } = ai5.streamText({ model: openZhipu(access), prompt, abortSignal: controller.signal });
    for await (const _ of textStream) break;
    controller.abort();
  },
};

// A server of one's own models that speaks OpenAI's dialect, as vLLM and others do: no business codes, usage in streams
// only for those who ask for it.

import { type ChatAnswer, composeAnswer } from "../chat-answer.ts";
import { type ChatRequest, type Fields, type Objection, parsePlainChat } from "../chat-request.ts";
import { toJsonPlan, toStreamPlan } from "../plan.ts";
import { toPace } from "./chat.ts";
import { answer, define, type Reply, refuse, type World } from "./endpoint.ts";
import { embeddingEndpoints } from "./text.ts";

const modelDefault = "local-model";

export const openAiEndpoints = [
  define("POST", "/chat/completions", ({ fields }, world) => replyToChat(fields, world)),
  define("GET", "/models", (_, { modelNames }) => {
    const data = (modelNames ?? [modelDefault]).map((id) => ({
      id,
      object: "model",
      created: 1_700_000_000,
      owned_by: "vllm",
    }));
    return answer({ object: "list", data });
  }),
  ...embeddingEndpoints.map(({ reply, ...endpoint }) => ({
    ...endpoint,
    reply: (call: Parameters<typeof reply>[0], world: World) =>
      isUnknown(call.fields.model, world) ? refuse("1211", "model") : reply(call, world),
  })),
];

function isUnknown(model: unknown, { modelNames }: World): boolean {
  return typeof model === "string" && modelNames !== null && !modelNames.includes(model);
}

function replyToChat(fields: Fields, world: World): Reply {
  if (isUnknown(fields.model, world)) return refuse("1211", "model");
  const chat: ChatRequest | Objection = parsePlainChat(fields);
  if ("code" in chat) return refuse(chat.code, chat.param, chat.model);
  const said = composeAnswer(chat, world.seed, `chatcmpl-${world.ids.hex(32)}`, world.clock.wallNow());
  const { include_usage: includesUsage } = (fields.stream_options ?? {}) as Fields;
  return {
    plan: chat.isStream ? toStreamPlan(toChunks(said, includesUsage === true)) : toJsonPlan(toCompletion(said)),
    pace: toPace(chat.wishes, world),
    model: chat.model,
    isStream: chat.isStream,
    requestId: null,
  };
}

function toCompletion(said: ChatAnswer): object {
  const { toolCall, reasoning } = said;
  const call = toolCall && { id: toolCall.id, type: "function", function: toFunction(toolCall, toolCall.arguments) };
  const message = {
    role: "assistant",
    content: toolCall ? null : said.content.join(""),
    reasoning_content: reasoning.length > 0 ? reasoning.join("") : null,
    tool_calls: call ? [call] : [],
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: said.finishReason };
  return { ...open(said, "chat.completion"), choices: [choice], usage: toUsage(said) };
}

function* toChunks(said: ChatAnswer, includesUsage: boolean): Generator<object> {
  const toChunk = (choices: readonly object[], more: object = {}) => ({
    ...open(said, "chat.completion.chunk"),
    choices,
    ...more,
  });
  const speak = (delta: object, finishReason: string | null = null) =>
    toChunk([{ index: 0, delta, logprobs: null, finish_reason: finishReason }]);
  yield speak({ role: "assistant", content: "" });
  for (const text of said.reasoning) yield speak({ reasoning_content: text });
  for (const text of said.content) yield speak({ content: text });
  if (said.toolCall) {
    const { id } = said.toolCall;
    yield speak({ tool_calls: [{ index: 0, id, type: "function", function: toFunction(said.toolCall, "") }] });
    for (const text of said.toolCall.arguments.match(/.{1,6}/gsu) ?? []) {
      yield speak({ tool_calls: [{ index: 0, function: { arguments: text } }] });
    }
  }
  yield speak({}, said.finishReason);
  if (includesUsage) yield toChunk([], { usage: toUsage(said) });
}

function open({ id, createdSeconds, model }: ChatAnswer, object: string): object {
  return { id, object, created: createdSeconds, model };
}

function toFunction({ name }: { readonly name: string }, text: string): object {
  return { name, arguments: text };
}

function toUsage({ usage }: ChatAnswer): object {
  const { prompt_tokens, total_tokens, completion_tokens, prompt_tokens_details } = usage;
  return { prompt_tokens, total_tokens, completion_tokens, prompt_tokens_details };
}

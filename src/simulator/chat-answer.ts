// What the simulated model says: reasoning, words in the prompt's language, tool calls; the same for the same seed and
// prompt. How it is put into JSON and frames is in stream-shape.ts.

import type { ChatRequest } from "./chat-request.ts";
import { createRandom, hashText, type Random } from "./random.ts";
import { composeArguments } from "./tool-arguments.ts";

export interface ChatAnswer {
  readonly id: string;
  readonly model: string;
  readonly createdSeconds: number;
  /** Pieces as they are streamed, one token each. */
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly toolCall: ToolCall | null;
  readonly finishReason: "stop" | "length" | "tool_calls";
  readonly usage: Usage;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, unless max_tokens cut it. */
  readonly arguments: string;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** Sentences in tokens, as they are streamed. */
const english = toSentences(
  " One| scarce| model| is| shared| fairly| among| many| people|.",
  " The| gateway| keeps| its| key| and| lets| each| call| start| in| turn|.",
  " Whoever| waits| is| told| how| long|,| and| nobody| waits| forever|.",
);
const chinese = toSentences(
  "许多人|公平|地|共享|一个|稀缺|的|模型|。",
  "网关|保管|密钥|，|让|每个|请求|依次|开始|。",
  "等待|的|人|知道|要|等|多久|，|没有|人|会|永远|等待|。",
);
const framesDefault = 8;
/** Short, so that tests are quick. */
const reasoningFramesDefault = 4;
const argumentCharactersPerToken = 4;

export function composeAnswer(request: ChatRequest, seed: number, id: string, wallNowMs: number): ChatAnswer {
  const random = createRandom(seed ^ hashText(request.prompt));
  const isChinese = /\p{Script=Han}/u.test(request.prompt);
  const thoughts = request.isThinking
    ? speak(random, isChinese, request.wishes.reasoningFrames ?? reasoningFramesDefault)
    : [];
  const words = request.tool ? [] : speak(random, isChinese, request.wishes.frames ?? framesDefault);
  const spoken = request.tool ? composeArguments(request.tool.parameters, random) : "";
  const callTokens = Math.ceil(spoken.length / argumentCharactersPerToken);

  // Reasoning counts: a small max_tokens may leave nothing for the answer.
  const reasoning = thoughts.slice(0, request.tokensMax);
  const left = request.tokensMax - reasoning.length;
  const content = words.slice(0, left);
  const isCut = thoughts.length + words.length + callTokens > request.tokensMax;
  const said = spoken.slice(0, left * argumentCharactersPerToken);
  const saysCall = request.tool !== null && left > 0;
  return {
    id,
    model: request.model,
    createdSeconds: Math.floor(wallNowMs / 1_000),
    reasoning,
    content,
    toolCall: saysCall ? { id: `call_${random.hex(20)}`, name: request.tool.name, arguments: said } : null,
    finishReason: isCut ? "length" : saysCall ? "tool_calls" : "stop",
    usage: countUsage(request.promptTokens, reasoning.length, content.length + Math.min(callTokens, left)),
  };
}

function countUsage(promptTokens: number, reasoningTokens: number, answerTokens: number): Usage {
  const completionTokens = reasoningTokens + answerTokens;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: Math.floor(promptTokens / 4) },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}

/** Begins with a sentence and goes on as long as it must. */
function speak(random: Random, isChinese: boolean, frames: number): string[] {
  const sentences = isChinese ? chinese : english;
  const start = random.below(sentences.length);
  const tokens = [...sentences.slice(start), ...sentences.slice(0, start)].flat();
  return Array.from({ length: frames }, (_, index) => {
    const token = tokens[index % tokens.length] as string;
    return index === 0 ? token.trimStart() : token;
  });
}

function toSentences(...texts: string[]): readonly (readonly string[])[] {
  return texts.map((text) => text.split("|"));
}

// What the simulated model says: reasoning, words in the prompt's language, tool calls; the same for the same seed and
// prompt. How it is put into JSON and frames is in stream-shape.ts.

import type { ChatRequest } from "./chat-request.ts";
import { createRandom, hashText, type Random } from "./random.ts";

export interface ChatAnswer {
  readonly id: string;
  readonly model: string;
  readonly createdSeconds: number;
  /** Pieces as they are streamed, one token each. */
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly toolCall: { readonly id: string; readonly name: string; readonly arguments: string } | null;
  readonly finishReason: string;
  readonly usage: unknown;
}

const english = "the gateway keeps its key and shares the time of one scarce model fairly among many people".split(" ");
const chinese = [
  "网关",
  "保管",
  "密钥",
  "，",
  "让",
  "许多人",
  "公平",
  "地",
  "共享",
  "一个",
  "稀缺",
  "的",
  "模型",
  "。",
];
const framesDefault = 8;
const reasoningFrames = 4;

export function composeAnswer(request: ChatRequest, seed: number, id: string, wallNowMs: number): ChatAnswer {
  const random = createRandom(seed ^ hashText(request.prompt));
  const isChinese = /\p{Script=Han}/u.test(request.prompt);
  const reasoning = request.isThinking ? speak(random, isChinese, reasoningFrames) : [];
  const wanted = request.toolName === null ? (request.wishes.frames ?? framesDefault) : 0;
  const content = speak(random, isChinese, wanted);
  // Reasoning counts: a small max_tokens may leave nothing for the answer.
  const allowed = Math.max(0, request.tokensMax - reasoning.length);
  const isCut = content.length > allowed || reasoning.length > request.tokensMax;
  const said = content.slice(0, allowed);
  const completionTokens = Math.min(reasoning.length, request.tokensMax) + said.length + (request.toolName ? 12 : 0);
  return {
    id,
    model: request.model,
    createdSeconds: Math.floor(wallNowMs / 1_000),
    reasoning: reasoning.slice(0, request.tokensMax),
    content: said,
    toolCall:
      request.toolName === null
        ? null
        : { id: `call_${random.hex(20)}`, name: request.toolName, arguments: '{"city":"北京","days":3}' },
    finishReason: isCut ? "length" : request.toolName === null ? "stop" : "tool_calls",
    usage: {
      prompt_tokens: request.promptTokens,
      completion_tokens: completionTokens,
      total_tokens: request.promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: Math.floor(request.promptTokens / 4) },
      completion_tokens_details: { reasoning_tokens: reasoning.length },
    },
  };
}

function speak(random: Random, isChinese: boolean, frames: number): string[] {
  const words = isChinese ? chinese : english;
  const start = random.below(words.length);
  return Array.from({ length: frames }, (_, index) => {
    const word = words[(start + index) % words.length] as string;
    return isChinese || index === 0 ? word : ` ${word}`;
  });
}

/** `YYYYMMDDHHMMSS` of Beijing's time and hexadecimal digits, as GLM's ids are. */
export function createGlmId(random: Random, wallNowMs: number): string {
  const time = new Date(wallNowMs + 8 * 3_600_000).toISOString().replace(/\D/g, "").slice(0, 14);
  return time + random.hex(16);
}

// Words of the simulated model for endpoints beside chat: what it hears, what its agents say. The same wishes hold.

import { type ChatAnswer, composeAnswer } from "../chat-answer.ts";
import { type ChatRequest, type Fields, readText, readWishes, toList } from "../chat-request.ts";
import { estimateTokens } from "../models.ts";
import type { Pace } from "../play.ts";
import { toPace } from "./chat.ts";
import { createId, type World } from "./endpoint.ts";

export interface Talk {
  readonly said: ChatAnswer;
  readonly text: string;
  readonly pace: Pace;
}

export function talk(prompt: string, model: string, world: World): Talk {
  const request: ChatRequest = {
    model,
    isStream: false,
    isThinking: false,
    hasToolStream: false,
    tokensMax: Number.MAX_SAFE_INTEGER,
    requestId: null,
    prompt,
    promptTokens: estimateTokens(prompt),
    tool: null,
    wishes: readWishes(prompt),
  };
  const said = composeAnswer(request, world.seed, createId(world), world.clock.wallNow());
  return { said, text: said.content.join(""), pace: toPace(request.wishes, world) };
}

/** The last user's words of a conversation. */
export function readPrompt(messages: Fields[string]): string {
  return readText(toList(messages).findLast(({ role }) => role === undefined || role === "user")?.content);
}

export function toPlainUsage({ usage }: ChatAnswer): object {
  const { prompt_tokens, completion_tokens, total_tokens } = usage;
  return { prompt_tokens, completion_tokens, total_tokens };
}

// What the simulated GLM replies to a call that it lets in, by endpoint: chat, tokenizer, embeddings, the list of
// models. A reply is a plan; whether and how it is disturbed or refused is decided elsewhere.

import type { Clock } from "../base/clock.ts";
import { composeAnswer } from "./chat-answer.ts";
import { parseChatRequest, parseObject } from "./chat-request.ts";
import { type GlmLanguage, toGlmError } from "./glm-errors.ts";
import { createGlmId } from "./glm-id.ts";
import { estimateTokens, models } from "./models.ts";
import { type Plan, toErrorPlan, toJsonPlan, toStreamPlan } from "./plan.ts";
import type { Pace } from "./play.ts";
import { createRandom, hashText, type Random } from "./random.ts";
import { type StreamProfile, toFrames, toJsonBody } from "./stream-shape.ts";

/** What replies depend on besides the call. */
export interface World {
  readonly clock: Clock;
  readonly seed: number;
  readonly ids: Random;
  readonly profile: StreamProfile;
  readonly language: GlmLanguage;
  readonly pace: Pace;
}

export interface Reply {
  readonly plan: Plan;
  readonly pace: Pace;
  /** Null when the call names none that can be counted. */
  readonly model: string | null;
  readonly isStream: boolean;
  /** The client's own id for the call; no two running ones may share it. */
  readonly requestId: string | null;
}

export type Endpoint = (body: Buffer, world: World) => Reply;

export const atOnce: Pace = { firstMs: 0, betweenMs: 0 };

const basePaths = ["/api/paas/v4", "/api/coding/paas/v4"] as const;
export const [mainBasePath] = basePaths;

const endpoints: Readonly<Record<string, Endpoint>> = {
  "/chat/completions": replyToChat,
  "/tokenizer": replyToTokenizer,
  "/embeddings": replyToEmbeddings,
};
const embeddingDimensions = 8;
const modelCharactersMax = 128;

/** "models" is the list of them; null: there is no such thing. */
export function findEndpoint(method: string, path: string): Endpoint | "models" | null {
  const base = basePaths.find((candidate) => path.startsWith(`${candidate}/`));
  if (base === undefined) return null;
  const rest = path.slice(base.length);
  if (method === "GET" && rest === "/models") return "models";
  return method === "POST" && Object.hasOwn(endpoints, rest) ? (endpoints[rest] as Endpoint) : null;
}

export function refuse(code: string, { clock, language }: World, param = ""): Plan {
  return toErrorPlan(toGlmError(code, language, clock.wallNow(), param));
}

export function listModels(): Plan {
  const data = Array.from(models.keys(), (id) => ({ id, object: "model", created: 1_700_000_000, owned_by: "z-ai" }));
  return toJsonPlan({ object: "list", data });
}

function replyToChat(body: Buffer, world: World): Reply {
  const { clock, ids, pace, profile, seed } = world;
  const chat = parseChatRequest(body);
  if ("code" in chat) return replyAtOnce(chat.model, refuse(chat.code, world, chat.param));
  const { firstMs, delayMs } = chat.wishes;
  const answer = composeAnswer(chat, seed, createGlmId(ids, clock.wallNow()), clock.wallNow());
  return {
    plan: chat.isStream
      ? toStreamPlan(toFrames(answer, profile, chat.hasToolStream))
      : toJsonPlan(toJsonBody(answer, chat.requestId)),
    pace: { firstMs: firstMs ?? pace.firstMs, betweenMs: delayMs ?? pace.betweenMs },
    model: chat.model,
    isStream: chat.isStream,
    requestId: chat.requestId,
  };
}

function replyToTokenizer(body: Buffer, world: World): Reply {
  return replyToText(body, world, "messages", (messages, model) => {
    const usage = toInputUsage(estimateTokens(JSON.stringify(messages)));
    return { id: createGlmId(world.ids, world.clock.wallNow()), model, usage };
  });
}

function replyToEmbeddings(body: Buffer, world: World): Reply {
  return replyToText(body, world, "input", (input, model) => {
    const texts = (Array.isArray(input) ? input : [input]).map(String);
    const data = texts.map((text, index) => ({ object: "embedding", index, embedding: embed(text) }));
    return { object: "list", model, data, usage: toInputUsage(estimateTokens(texts.join(" "))) };
  });
}

function replyToText(
  body: Buffer,
  world: World,
  param: string,
  compose: (asked: unknown, model: string) => object,
): Reply {
  const fields = parseObject(body);
  if (!fields) return replyAtOnce(null, refuse("1210", world));
  const { model } = fields;
  const isNamed = typeof model === "string" && model !== "" && model.length <= modelCharactersMax;
  if (!isNamed) return replyAtOnce(null, refuse("1213", world, "model"));
  const asked = fields[param] ?? null;
  return replyAtOnce(model, asked === null ? refuse("1213", world, param) : toJsonPlan(compose(asked, model)));
}

function replyAtOnce(model: string | null, plan: Plan): Reply {
  return { plan, pace: atOnce, model, isStream: false, requestId: null };
}

function toInputUsage(tokens: number): object {
  return { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens };
}

/** A few numbers that stand for a text: the same for the same text. */
function embed(text: string): number[] {
  const random = createRandom(hashText(text));
  return Array.from({ length: embeddingDimensions }, () => Math.round((random.next() * 2 - 1) * 1e6) / 1e6);
}

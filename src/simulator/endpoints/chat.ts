// Chat completions of the simulated GLM, whole and as a stream.

import { composeAnswer } from "../chat-answer.ts";
import { type Fields, parseChatFields, type Wishes } from "../chat-request.ts";
import { toJsonPlan, toStreamPlan } from "../plan.ts";
import { toFrames, toJsonBody } from "../stream-shape.ts";
import { createId, define, type Reply, refuse, type World } from "./endpoint.ts";

export const chatEndpoints = [define("POST", "/chat/completions", ({ fields }, world) => replyToChat(fields, world))];

function replyToChat(fields: Fields, world: World): Reply {
  const chat = parseChatFields(fields);
  if ("code" in chat) return refuse(chat.code, chat.param, chat.model);
  const answer = composeAnswer(chat, world.seed, createId(world), world.clock.wallNow());
  return {
    plan: chat.isStream
      ? toStreamPlan(toFrames(answer, world.profile, chat.hasToolStream))
      : toJsonPlan(toJsonBody(answer, chat.requestId)),
    pace: toPace(chat.wishes, world),
    model: chat.model,
    isStream: chat.isStream,
    requestId: chat.requestId,
  };
}

/** The pace that the prompt wishes for, or the usual one. */
export function toPace({ firstMs, delayMs }: Wishes, { pace }: World): Reply["pace"] {
  return { firstMs: firstMs ?? pace.firstMs, betweenMs: delayMs ?? pace.betweenMs };
}

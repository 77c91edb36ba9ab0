// Anthropic's Messages at the simulated GLM, and the count of a call's tokens.

import { composeAnswer } from "../chat-answer.ts";
import { type Fields, readText, toList } from "../chat-request.ts";
import { parseMessagesRequest, toGlmName } from "../messages-request.ts";
import { toMessage, toMessageEvents } from "../messages-shape.ts";
import { estimateTokens } from "../models.ts";
import { toEventPlan, toJsonPlan } from "../plan.ts";
import { toPace } from "./chat.ts";
import { answer, createId, define, type Reply, readModel, refuse, type World } from "./endpoint.ts";

export const messagesEndpoint = define("POST", "/v1/messages", ({ fields }, world) => replyToMessages(fields, world));

/** Whether GLM has it is not known. */
export const countTokensEndpoint = define("POST", "/v1/messages/count_tokens", ({ fields }) => {
  const model = readModel({ model: toGlmName(fields.model) });
  if (model === null) return refuse("1213", "model");
  if (toList(fields.messages).length === 0) return refuse("1213", "messages", model);
  const { system, messages, tools } = fields;
  const text = readText(system) + JSON.stringify(messages) + (tools === undefined ? "" : JSON.stringify(tools));
  return answer({ input_tokens: estimateTokens(text) }, model);
});

function replyToMessages(fields: Fields, world: World): Reply {
  const chat = parseMessagesRequest(fields);
  if ("code" in chat) return refuse(chat.code, chat.param, chat.model);
  const said = composeAnswer(chat, world.seed, createId(world), world.clock.wallNow());
  return {
    plan: chat.isStream ? toEventPlan(toMessageEvents(said)) : toJsonPlan(toMessage(said)),
    pace: toPace(chat.wishes, world),
    model: chat.model,
    isStream: chat.isStream,
    requestId: null,
  };
}

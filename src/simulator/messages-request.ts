// A call of Anthropic's Messages as the chat request that GLM makes of it. What GLM objects to there, it objects to
// here as well. Source for the mapping of names: docs.z.ai (devpack FAQ).

import { type ChatRequest, type Fields, type Objection, parseChatFields, readText, toList } from "./chat-request.ts";
import { models } from "./models.ts";

export function parseMessagesRequest(fields: Fields): ChatRequest | Objection {
  return parseChatFields(toChatFields(fields));
}

/** Claude's names stand for GLM's models. */
export function toGlmName(name: unknown): unknown {
  if (typeof name !== "string" || !/^claude-/i.test(name)) return name;
  return /haiku/i.test(name) ? "glm-4.5-air" : "glm-4.7";
}

function toChatFields(fields: Fields): Fields {
  const model = toGlmName(fields.model);
  const { system, messages, tools, max_tokens, temperature, top_p, stream } = fields;
  const opening = system === undefined ? [] : [{ role: "system", content: readText(system) }];
  return {
    model,
    messages: Array.isArray(messages) ? [...opening, ...messages.flatMap(toChatMessages)] : messages,
    ...(Array.isArray(tools) && { tools: tools.map(toChatTool) }),
    ...toChatThinking(fields.thinking, model),
    max_tokens,
    temperature,
    top_p,
    stream,
    tool_stream: true,
  };
}

/** Without a wish there is no thinking, as Anthropic has it; models that must think do so. */
function toChatThinking(thinking: unknown, model: unknown): Fields {
  const { type } = (thinking ?? {}) as Fields;
  const mustThink = typeof model === "string" && models.get(model.toLowerCase())?.mustThink === true;
  if (mustThink) return {};
  if (type !== undefined && typeof type !== "string") return { thinking: { type } };
  return { thinking: { type: type === "enabled" || type === "adaptive" ? "enabled" : "disabled" } };
}

/** A message with results of tools is several in a chat. */
function toChatMessages(message: unknown): unknown[] {
  if (typeof message !== "object" || message === null) return [message];
  const { role, content } = message as Fields;
  if (!Array.isArray(content)) return [{ role, content }];
  const blocks = toList(content);
  if (blocks.length !== content.length) return [{ role, content: 0 }];
  const results = blocks
    .filter(({ type }) => type === "tool_result")
    .map(({ tool_use_id: id, content: said }) => ({ role: "tool", tool_call_id: id, content: readText(said) }));
  const calls = blocks.filter(({ type }) => type === "tool_use").map(toChatCall);
  const parts = blocks.flatMap(toChatPart);
  const isSilent = parts.length === 0 && results.length > 0;
  const own = { role, content: parts, ...(calls.length > 0 && { tool_calls: calls }) };
  return isSilent ? results : [...results, own];
}

function toChatPart({ type, text }: Fields): object[] {
  if (type === "text") return [{ type: "text", text }];
  return type === "image" ? [{ type: "image_url" }] : [];
}

function toChatCall({ id, name, input }: Fields): object {
  return { id, type: "function", function: { name, arguments: JSON.stringify(input ?? {}) } };
}

/** Tools of Anthropic's own servers have a type and no schema. */
function toChatTool(tool: unknown): unknown {
  const { type, name, description, input_schema: parameters } = (tool ?? {}) as Fields;
  if (typeof type === "string" && type !== "custom") return { type };
  return { type: "function", function: { name, description, parameters } };
}

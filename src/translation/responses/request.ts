// A request for a response as a request for a chat completion. What the current turn demands and a chat can't do is
// refused; nothing is kept between calls, so that references to earlier responses are refused too. What stands in the
// history is never refused: its client sends it again with each turn, so that a refusal would end the session. Ignored
// members, items and tools: docs/clients.md.

import type { UpstreamKind } from "../../base/translation.ts";
import { type ChatMessage, type ChatPart, type ChatToolCall, toContent } from "../chat-request.ts";
import {
  compact,
  type Fields,
  isFields,
  optional,
  requireFields,
  requireList,
  requireNumber,
  requireText,
  shorten,
  wrong,
} from "../fields.ts";
import { repairOrder } from "../message-order.ts";
import { toResponseFormat } from "../response-format.ts";
import { toArguments } from "../tool-calls.ts";
import type { ToolNames } from "../tool-names.ts";
import { toTools } from "./tools.ts";

/** `names` takes the request's tools, for its answer to name them as the client does. */
export function toChat(body: Fields, model: string, kind: UpstreamKind, names: ToolNames): Fields {
  refuseState(body);
  const instructions = optional(body.instructions, "instructions", requireText);
  const tools = toTools(body, kind, names);
  const format = toResponseFormat(isFields(body.text) ? body.text.format : undefined, kind);
  const messages: ChatMessage[] = [
    ...(instructions === undefined ? [] : [{ role: "system" as const, content: instructions }]),
    ...format.instructions,
    ...toMessages(body.input, names),
  ];
  return compact({
    model,
    messages: repairOrder(messages, kind),
    max_tokens: optional(body.max_output_tokens, "max_output_tokens", requireNumber),
    temperature: optional(body.temperature, "temperature", requireNumber),
    top_p: optional(body.top_p, "top_p", requireNumber),
    stream: body.stream === true ? true : undefined,
    response_format: format.response_format,
    ...toReasoning(body.reasoning, kind),
    ...tools,
  });
}

function refuseState({ previous_response_id: previous, conversation, background, prompt }: Fields): void {
  const kept = "responses are not kept here: send the whole conversation as input";
  if (previous !== undefined && previous !== null) throw wrong("previous_response_id", kept);
  if (conversation !== undefined && conversation !== null) throw wrong("conversation", kept);
  if (background === true) throw wrong("background", "calls are answered while their client waits");
  if (prompt !== undefined && prompt !== null) throw wrong("prompt", "prompts are not kept here: send instructions");
}

function toMessages(input: unknown, names: ToolNames): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  const messages: ChatMessage[] = [];
  /** What the model thought before what it said next. */
  let thoughts: string[] = [];
  for (const [index, value] of requireList(input, "input").entries()) {
    const place = `input[${index}]`;
    const item = requireFields(value, place);
    const type = item.type ?? "message";
    if (type === "reasoning") {
      thoughts.push(...readThoughts(item));
      continue;
    }
    if (type === "message") messages.push(toMessage(item, place));
    else if (isCall(item)) addToolCall(messages, toToolCall(item, place, names));
    else if (isOutput(item)) messages.push(...toToolMessages(item, place));
    // Items that only OpenAI's own servers can read: references, compacted history, the steps of their own tools.
    else continue;
    addThoughts(messages, thoughts);
    thoughts = [];
  }
  if (messages.length === 0) throw wrong("input", "it must have a message");
  return messages;
}

/** A call that the client answers: of a function, of a custom tool, of the client's own shell. */
function isCall({ type, call_id: callId }: Fields): boolean {
  return type === "function_call" || (isNamed(type, /_call$/) && typeof callId === "string");
}

function isOutput({ type, call_id: callId }: Fields): boolean {
  return type === "function_call_output" || (isNamed(type, /_output$/) && typeof callId === "string");
}

function isNamed(type: unknown, pattern: RegExp): type is string {
  return typeof type === "string" && pattern.test(type);
}

/** To the message that came of them; thoughts that nothing came of are dropped. */
function addThoughts(messages: ChatMessage[], thoughts: readonly string[]): void {
  const last = messages.at(-1);
  if (thoughts.length === 0 || last?.role !== "assistant") return;
  const before = last.reasoning_content === undefined ? [] : [last.reasoning_content];
  messages[messages.length - 1] = { ...last, reasoning_content: [...before, ...thoughts].join("\n") };
}

/** A chat has all calls of one turn in one message. */
function addToolCall(messages: ChatMessage[], call: ChatToolCall): void {
  const last = messages.at(-1);
  if (last?.role === "assistant") {
    messages[messages.length - 1] = { ...last, tool_calls: [...(last.tool_calls ?? []), call] };
  } else messages.push({ role: "assistant", content: null, tool_calls: [call] });
}

function toMessage({ role: named, content }: Fields, place: string): ChatMessage {
  const role = requireText(named, `${place}.role`);
  const isSystem = role === "system" || role === "developer";
  const chatRole = isSystem ? "system" : role === "assistant" ? role : "user";
  return { role: chatRole, content: toContent(toParts(content, `${place}.content`)) };
}

function toParts(content: unknown, place: string): ChatPart[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return requireList(content, place).map((value, index): ChatPart => {
    const part = requireFields(value, `${place}[${index}]`);
    switch (part.type) {
      case "input_text":
      case "output_text":
      case "text":
        return { type: "text", text: requireText(part.text, `${place}[${index}].text`) };
      case "refusal":
        return { type: "text", text: requireText(part.refusal, `${place}[${index}].refusal`) };
      case "input_image":
        if (typeof part.image_url === "string") return { type: "image_url", image_url: { url: part.image_url } };
        return { type: "text", text: "[image]" };
      case "input_file":
        return { type: "text", text: `[file: ${shorten(toName(part.filename ?? part.file_url ?? part.file_id))}]` };
      default:
        // Results of a shell have parts of their own, without a type.
        return {
          type: "text",
          text: part.type === undefined ? JSON.stringify(part) : `[${shorten(toName(part.type))}]`,
        };
    }
  });
}

function toName(value: unknown): string {
  return typeof value === "string" && value !== "" ? value : "unknown";
}

function toToolCall(item: Fields, place: string, names: ToolNames): ChatToolCall {
  const { call_id: id, type, name, namespace } = item;
  const isFunction = type === "function_call";
  const own = isFunction ? requireText(name, `${place}.name`) : toName(name ?? (type as string).replace(/_call$/, ""));
  return {
    id: optional(id, `${place}.call_id`, requireText) ?? "",
    type: "function",
    function: {
      name: typeof namespace === "string" ? names.flatten({ namespace, name: own }) : own,
      arguments: isFunction ? toArguments(requireText(item.arguments, `${place}.arguments`)) : writeArguments(item),
    },
  };
}

/** What a call of another kind than a function holds. */
function writeArguments({ arguments: text, input, action, operation }: Fields): string {
  if (typeof text === "string") return toArguments(text);
  return JSON.stringify(input === undefined ? (action ?? operation ?? {}) : { input });
}

/** A tool's message holds text only; its pictures follow as if the user showed them. */
function toToolMessages({ call_id: id, output }: Fields, place: string): ChatMessage[] {
  const isPlain = isFields(output) && output.type === undefined;
  const parts = toParts(isPlain ? JSON.stringify(output) : output, `${place}.output`);
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const images = parts.filter(({ type }) => type === "image_url");
  const callId = optional(id, `${place}.call_id`, requireText) ?? "";
  return [
    { role: "tool", tool_call_id: callId, content: texts.join("\n") },
    ...(images.length === 0 ? [] : [{ role: "user" as const, content: images }]),
  ];
}

function readThoughts({ content, summary }: Fields): string[] {
  const parts = [content, summary].flatMap((list) => (Array.isArray(list) ? list : []));
  return parts.flatMap((part: unknown) => (isFields(part) && typeof part.text === "string" ? [part.text] : []));
}

const efforts: Readonly<Record<string, string>> = { minimal: "low", xhigh: "high", max: "high" };

/** GLM's models think or don't. Other servers know three efforts, some a fourth, and fail on any other. */
function toReasoning(reasoning: unknown, kind: UpstreamKind): Fields {
  const effort = isFields(reasoning) ? reasoning.effort : undefined;
  if (typeof effort !== "string") return {};
  if (kind === "glm") return { thinking: { type: effort === "none" ? "disabled" : "enabled" } };
  return effort === "none" ? {} : { reasoning_effort: efforts[effort] ?? effort };
}

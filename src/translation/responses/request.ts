// A request for a response as a request for a chat completion. Nothing is kept between calls, so that what refers to
// earlier ones is refused; hints that are only about how (storing, caching) are left out.

import { type ChatMessage, type ChatPart, type ChatToolCall, toContent } from "../chat-request.ts";
import {
  compact,
  type Fields,
  isFields,
  optional,
  quote,
  requireFields,
  requireList,
  requireNumber,
  requireText,
  wrong,
} from "../fields.ts";

export function toChat(body: Fields, model: string): Fields {
  refuseState(body);
  const instructions = optional(body.instructions, "instructions", requireText);
  return compact({
    model,
    messages: [
      ...(instructions === undefined ? [] : [{ role: "system", content: instructions }]),
      ...toMessages(body.input),
    ],
    max_tokens: optional(body.max_output_tokens, "max_output_tokens", requireNumber),
    temperature: optional(body.temperature, "temperature", requireNumber),
    top_p: optional(body.top_p, "top_p", requireNumber),
    stream: body.stream === true ? true : undefined,
    response_format: toResponseFormat(body.text),
    ...toThinking(body.reasoning),
    ...toTools(body),
  });
}

function refuseState({ previous_response_id: previous, conversation, background, prompt }: Fields): void {
  const kept = "responses are not kept here: send the whole conversation as input";
  if (previous !== undefined && previous !== null) throw wrong("previous_response_id", kept);
  if (conversation !== undefined && conversation !== null) throw wrong("conversation", kept);
  if (background === true) throw wrong("background", "calls are answered while their client waits");
  if (prompt !== undefined && prompt !== null) throw wrong("prompt", "prompts are not kept here: send instructions");
}

function toMessages(input: unknown): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }];
  const messages: ChatMessage[] = [];
  /** What the model thought before what it said next. */
  let thoughts: string[] = [];
  for (const [index, value] of requireList(input, "input").entries()) {
    const place = `input[${index}]`;
    const item = requireFields(value, place);
    switch (item.type ?? "message") {
      case "message":
        messages.push(toMessage(item, place));
        break;
      case "function_call":
        addToolCall(messages, toToolCall(item, place));
        break;
      case "function_call_output":
        messages.push(toToolMessage(item, place));
        break;
      case "reasoning":
        thoughts.push(...readThoughts(item));
        continue;
      default:
        throw wrong(`${place}.type`, `${quote(item.type)} can't be said in a chat`);
    }
    addThoughts(messages, thoughts);
    thoughts = [];
  }
  if (messages.length === 0) throw wrong("input", "it must have a message");
  return messages;
}

/** To the message that came of them; thoughts that nothing came of are forgotten. */
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

function toMessage({ role, content }: Fields, place: string): ChatMessage {
  const chatRole = role === "developer" ? "system" : role;
  if (chatRole !== "user" && chatRole !== "assistant" && chatRole !== "system") {
    throw wrong(`${place}.role`, "it must be user, assistant, system or developer");
  }
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
        return { type: "image_url", image_url: { url: requireText(part.image_url, `${place}[${index}].image_url`) } };
      default:
        throw wrong(`${place}[${index}].type`, `${quote(part.type)} can't be said in a chat`);
    }
  });
}

function toToolCall({ call_id: id, name, arguments: text }: Fields, place: string): ChatToolCall {
  return {
    id: requireText(id, `${place}.call_id`),
    type: "function",
    function: { name: requireText(name, `${place}.name`), arguments: requireText(text, `${place}.arguments`) },
  };
}

function toToolMessage({ call_id: id, output }: Fields, place: string): ChatMessage {
  const parts = toParts(output, `${place}.output`);
  const content = parts.map((part) => (part.type === "text" ? part.text : "[image]")).join("\n");
  return { role: "tool", tool_call_id: requireText(id, `${place}.call_id`), content };
}

function readThoughts({ content, summary }: Fields): string[] {
  const parts = [content, summary].flatMap((list) => (Array.isArray(list) ? list : []));
  return parts.flatMap((part: unknown) => (isFields(part) && typeof part.text === "string" ? [part.text] : []));
}

/** GLM knows no schema; that it is JSON can be asked for. */
function toResponseFormat(text: unknown): Fields | undefined {
  const format = isFields(text) && isFields(text.format) ? text.format : ({} as Fields);
  return format.type === "json_schema" || format.type === "json_object" ? { type: "json_object" } : undefined;
}

function toThinking(reasoning: unknown): Fields {
  const effort = isFields(reasoning) ? reasoning.effort : undefined;
  if (typeof effort !== "string") return {};
  return effort === "none" ? { thinking: { type: "disabled" } } : { thinking: { type: "enabled" } };
}

/**
 * Only functions are known to a chat. Codex and others offer tools beside them that only OpenAI's own models or servers
 * use: the model is not told of those, rather than the whole turn be refused.
 */
function toTools({ tools, tool_choice: choice }: Fields): Fields {
  const list = optional(tools, "tools", requireList) ?? [];
  const functions = list.flatMap((tool, index) => {
    const fields = requireFields(tool, `tools[${index}]`);
    return fields.type === "function" ? [toTool(fields, `tools[${index}]`)] : [];
  });
  if (functions.length === 0 || choice === "none") return {};
  return {
    tools: functions,
    tool_choice: toToolChoice(choice),
  };
}

function toTool({ name, description, parameters }: Fields, place: string): Fields {
  return {
    type: "function",
    function: compact({
      name: requireText(name, `${place}.name`),
      description: optional(description, `${place}.description`, requireText) ?? "",
      parameters: parameters ?? { type: "object", properties: {} },
    }),
  };
}

/** What an upstream makes of more than "auto" is its own affair: GLM knows nothing else. */
function toToolChoice(choice: unknown): unknown {
  if (choice === "required") return choice;
  return isFields(choice) && choice.type === "function"
    ? { type: "function", function: { name: choice.name } }
    : undefined;
}

// A request for a message as a request for a chat completion. What a chat can't say is refused; hints that are only
// about how (caching, betas) are left out.

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
  const { messages, system, metadata } = body;
  const userId = isFields(metadata) ? metadata.user_id : undefined;
  return compact({
    model,
    messages: [
      ...toSystem(system),
      ...requireList(messages, "messages").flatMap((message, index) => toMessages(message, `messages[${index}]`)),
    ],
    max_tokens: optional(body.max_tokens, "max_tokens", requireNumber),
    temperature: optional(body.temperature, "temperature", requireNumber),
    top_p: optional(body.top_p, "top_p", requireNumber),
    stop: optional(body.stop_sequences, "stop_sequences", requireList),
    stream: body.stream === true ? true : undefined,
    thinking: toThinking(body.thinking),
    // GLM takes 6 to 128 characters.
    user_id: typeof userId === "string" && userId.length >= 6 && userId.length <= 128 ? userId : undefined,
    ...toTools(body),
  });
}

function toSystem(system: unknown): ChatMessage[] {
  if (system === undefined || system === null) return [];
  if (typeof system === "string") return [{ role: "system", content: system }];
  const texts = requireList(system, "system").map((block, index) =>
    requireText(requireFields(block, `system[${index}]`).text, `system[${index}].text`),
  );
  return texts.length === 0 ? [] : [{ role: "system", content: texts.join("\n") }];
}

function toMessages(message: unknown, place: string): ChatMessage[] {
  const { role, content } = requireFields(message, place);
  if (role !== "user" && role !== "assistant") throw wrong(`${place}.role`, "it must be user or assistant");
  if (typeof content === "string") return [{ role, content }];
  const blocks = requireList(content, `${place}.content`).map((block, index) => {
    const fields = requireFields(block, `${place}.content[${index}]`);
    return { fields, place: `${place}.content[${index}]` };
  });
  return role === "user" ? toUserMessages(blocks) : [toAssistantMessage(blocks)];
}

interface Block {
  readonly fields: Fields;
  readonly place: string;
}

/** Results of tools are messages of their own, and come first: they answer what was said before. */
function toUserMessages(blocks: readonly Block[]): ChatMessage[] {
  const results: ChatMessage[] = [];
  const parts: ChatPart[] = [];
  for (const block of blocks) {
    if (block.fields.type !== "tool_result") {
      parts.push(toPart(block));
      continue;
    }
    const { text, images } = readToolResult(block);
    results.push({
      role: "tool",
      tool_call_id: requireText(block.fields.tool_use_id, `${block.place}.tool_use_id`),
      content: text,
    });
    parts.push(...images);
  }
  return parts.length === 0 ? results : [...results, { role: "user", content: toContent(parts) }];
}

/** A tool's message holds text only; its pictures follow as if the user showed them. */
function readToolResult({ fields, place }: Block): { text: string; images: ChatPart[] } {
  const { content, is_error: isError } = fields;
  const prefix = isError === true ? "Error: " : "";
  if (content === undefined || content === null) return { text: prefix, images: [] };
  if (typeof content === "string") return { text: prefix + content, images: [] };
  const parts = requireList(content, `${place}.content`).map((part, index) => {
    const partPlace = `${place}.content[${index}]`;
    return toPart({ fields: requireFields(part, partPlace), place: partPlace });
  });
  const texts = parts.flatMap((part) => (part.type === "text" ? [part.text] : []));
  return { text: prefix + texts.join("\n"), images: parts.filter(({ type }) => type === "image_url") };
}

function toPart({ fields, place }: Block): ChatPart {
  switch (fields.type) {
    case "text":
      return { type: "text", text: requireText(fields.text, `${place}.text`) };
    case "image":
      return {
        type: "image_url",
        image_url: { url: toImageUrl(requireFields(fields.source, `${place}.source`), place) },
      };
    case "document":
      return { type: "text", text: toDocumentText(requireFields(fields.source, `${place}.source`), place) };
    case "search_result":
      return { type: "text", text: JSON.stringify(fields.content ?? "") };
    default:
      throw wrong(`${place}.type`, `${quote(fields.type)} can't be said in a chat`);
  }
}

function toImageUrl({ type, media_type: mediaType, data, url }: Fields, place: string): string {
  if (type === "url") return requireText(url, `${place}.source.url`);
  if (type !== "base64") throw wrong(`${place}.source.type`, "it must be base64 or url");
  return `data:${requireText(mediaType, `${place}.source.media_type`)};base64,${requireText(data, `${place}.source.data`)}`;
}

function toDocumentText({ type, data }: Fields, place: string): string {
  if (type !== "text") throw wrong(`${place}.source.type`, "documents must be plain text here");
  return requireText(data, `${place}.source.data`);
}

function toAssistantMessage(blocks: readonly Block[]): ChatMessage {
  const texts: string[] = [];
  const thoughts: string[] = [];
  const calls: ChatToolCall[] = [];
  for (const { fields, place } of blocks) {
    switch (fields.type) {
      case "text":
        texts.push(requireText(fields.text, `${place}.text`));
        break;
      case "thinking":
        thoughts.push(requireText(fields.thinking, `${place}.thinking`));
        break;
      case "redacted_thinking":
        break;
      case "tool_use":
        calls.push(toToolCall(fields, place));
        break;
      default:
        throw wrong(`${place}.type`, `${quote(fields.type)} can't be said in a chat`);
    }
  }
  return {
    role: "assistant",
    content: texts.length > 0 ? texts.join("\n") : calls.length > 0 ? null : "",
    ...(thoughts.length > 0 && { reasoning_content: thoughts.join("\n") }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function toToolCall({ id, name, input }: Fields, place: string): ChatToolCall {
  return {
    id: requireText(id, `${place}.id`),
    type: "function",
    function: { name: requireText(name, `${place}.name`), arguments: JSON.stringify(input ?? {}) },
  };
}

function toThinking(thinking: unknown): Fields | undefined {
  if (!isFields(thinking)) return undefined;
  return { type: thinking.type === "disabled" ? "disabled" : "enabled" };
}

function toTools({ tools, tool_choice: choice }: Fields): Fields {
  const list = optional(tools, "tools", requireList);
  const wish = isFields(choice) ? choice : ({} as Fields);
  if (list === undefined || list.length === 0 || wish.type === "none") return {};
  return {
    tools: list.map((tool, index) => toTool(requireFields(tool, `tools[${index}]`), `tools[${index}]`)),
    tool_choice: toToolChoice(wish),
  };
}

function toTool({ type, name, description, input_schema: parameters }: Fields, place: string): Fields {
  // Tools that Anthropic's own servers would run have a version in their type.
  if (type !== undefined && type !== null && type !== "custom")
    throw wrong(`${place}.type`, "only tools that the client runs itself are served");
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
function toToolChoice({ type, name }: Fields): unknown {
  if (type === "any") return "required";
  return type === "tool" ? { type: "function", function: { name } } : undefined;
}

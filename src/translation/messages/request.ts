// A request for a message as a request for a chat completion. What the current turn demands and a chat can't do is
// refused. What stands in the history never is: its client sends it again with each turn, so that a refusal would end the
// conversation. Ignored members: docs/clients.md.

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

export function toChat(body: Fields, model: string, kind: UpstreamKind): Fields {
  const { messages, system } = body;
  if (Array.isArray(body.mcp_servers) && body.mcp_servers.length > 0)
    throw wrong("mcp_servers", "the upstream can't connect to MCP servers: let the client do it");
  const format = toResponseFormat(readFormat(body), kind);
  const list = [
    ...toSystem(system),
    ...format.instructions,
    ...requireList(messages, "messages").flatMap((message, index) => toMessages(message, `messages[${index}]`)),
  ];
  return compact({
    model,
    messages: repairOrder(list, kind),
    max_tokens: optional(body.max_tokens, "max_tokens", requireNumber),
    temperature: optional(body.temperature, "temperature", requireNumber),
    top_p: optional(body.top_p, "top_p", requireNumber),
    stop: optional(body.stop_sequences, "stop_sequences", requireList),
    stream: body.stream === true ? true : undefined,
    response_format: format.response_format,
    ...(kind === "glm" && { thinking: toThinking(body.thinking) }),
    ...toUser(body.metadata, kind),
    ...toTools(body, kind),
  });
}

/** Structured answers, under their present and their former name. */
function readFormat({ output_config: config, output_format: format }: Fields): unknown {
  return (isFields(config) ? config.format : undefined) ?? format;
}

function toUser(metadata: unknown, kind: UpstreamKind): Fields {
  const userId = isFields(metadata) ? metadata.user_id : undefined;
  if (typeof userId !== "string") return {};
  if (kind === "openai") return { user: userId };
  // GLM takes 6 to 128 characters.
  return userId.length >= 6 && userId.length <= 128 ? { user_id: userId } : {};
}

function toSystem(system: unknown): ChatMessage[] {
  if (system === undefined || system === null) return [];
  if (typeof system === "string") return [{ role: "system", content: system }];
  const texts = requireList(system, "system").flatMap((block, index) => {
    const { type = "text", text } = requireFields(block, `system[${index}]`);
    return type === "text" ? [requireText(text, `system[${index}].text`)] : [];
  });
  return texts.length === 0 ? [] : [{ role: "system", content: texts.join("\n") }];
}

function toMessages(message: unknown, place: string): ChatMessage[] {
  const { role: named, content } = requireFields(message, place);
  const role = toRole(requireText(named, `${place}.role`));
  if (typeof content === "string") return [{ role, content }];
  const blocks = requireList(content, `${place}.content`).map((block, index) => {
    const fields = requireFields(block, `${place}.content[${index}]`);
    return { fields, place: `${place}.content[${index}]` };
  });
  if (role === "assistant") return toAssistantMessages(blocks);
  return role === "user" ? toUserMessages(blocks) : [{ role, content: toContent(blocks.map(toPart)) }];
}

/** Claude Code sends system messages in the middle of a conversation. */
function toRole(role: string): "user" | "assistant" | "system" {
  return role === "assistant" || role === "system" ? role : "user";
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
      tool_call_id: optional(block.fields.tool_use_id, `${block.place}.tool_use_id`, requireText) ?? "",
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
      return toImagePart(requireFields(fields.source, `${place}.source`), place);
    case "document":
      return { type: "text", text: toDocumentText(fields) };
    case "search_result":
      return { type: "text", text: JSON.stringify(fields.content ?? "") };
    case "tool_reference":
      return { type: "text", text: typeof fields.tool_name === "string" ? fields.tool_name : "[tool]" };
    default:
      return { type: "text", text: `[${typeof fields.type === "string" ? shorten(fields.type) : "unknown"}]` };
  }
}

/** The text of a document that is text; for others, what it is. */
function toDocumentText({ source, title }: Fields): string {
  const { type, data, content, url, media_type: mediaType } = isFields(source) ? source : ({} as Fields);
  if (type === "text" && typeof data === "string") return data;
  if (type === "content" && typeof content === "string") return content;
  if (type === "content" && Array.isArray(content))
    return content.map((part) => (isFields(part) && typeof part.text === "string" ? part.text : "[image]")).join("\n");
  const about = [title, mediaType ?? url].filter((value) => typeof value === "string" && value !== "");
  return `[document: ${shorten(about.join(", ") || "unknown")}]`;
}

/** A picture that lies with another server is out of the upstream's reach. */
function toImagePart({ type, media_type: mediaType, data, url }: Fields, place: string): ChatPart {
  if (type === "url") return { type: "image_url", image_url: { url: requireText(url, `${place}.source.url`) } };
  if (type !== "base64") return { type: "text", text: "[image]" };
  const media = requireText(mediaType, `${place}.source.media_type`);
  const encoded = requireText(data, `${place}.source.data`);
  return { type: "image_url", image_url: { url: `data:${media};base64,${encoded}` } };
}

/** None for a message of blocks that a chat has no place for, such as what Anthropic's own tools did. */
function toAssistantMessages(blocks: readonly Block[]): ChatMessage[] {
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
      case "tool_use":
        calls.push(toToolCall(fields, place));
        break;
      default:
        break;
    }
  }
  if (texts.length === 0 && thoughts.length === 0 && calls.length === 0) return [];
  return [
    {
      role: "assistant",
      content: texts.length > 0 ? texts.join("\n") : calls.length > 0 ? null : "",
      ...(thoughts.length > 0 && { reasoning_content: thoughts.join("\n") }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  ];
}

function toToolCall({ id, name, input }: Fields, place: string): ChatToolCall {
  return {
    id: optional(id, `${place}.id`, requireText) ?? "",
    type: "function",
    function: { name: requireText(name, `${place}.name`), arguments: JSON.stringify(input ?? {}) },
  };
}

function toThinking(thinking: unknown): Fields | undefined {
  if (!isFields(thinking)) return undefined;
  return { type: thinking.type === "disabled" ? "disabled" : "enabled" };
}

function toTools({ tools, tool_choice: choice }: Fields, kind: UpstreamKind): Fields {
  const list = optional(tools, "tools", requireList);
  const asked = isFields(choice) ? choice : ({} as Fields);
  if (list === undefined || list.length === 0 || asked.type === "none") return {};
  const isSerial = kind === "openai" && asked.disable_parallel_tool_use === true;
  return {
    tools: list.map((tool, index) => toTool(requireFields(tool, `tools[${index}]`), `tools[${index}]`, kind)),
    tool_choice: toToolChoice(asked),
    ...(isSerial && { parallel_tool_calls: false }),
  };
}

function toTool(
  { type, name, description, input_schema: parameters, strict }: Fields,
  place: string,
  kind: UpstreamKind,
): Fields {
  // Tools that Anthropic's own servers would run have a version in their type.
  if (type !== undefined && type !== null && type !== "custom")
    throw wrong(`${place}.type`, "only tools that the client runs itself are served");
  return {
    type: "function",
    function: compact({
      name: requireText(name, `${place}.name`),
      description: optional(description, `${place}.description`, requireText) ?? "",
      parameters: parameters ?? { type: "object", properties: {} },
      strict: kind === "openai" && typeof strict === "boolean" ? strict : undefined,
    }),
  };
}

/** What an upstream makes of more than "auto" is its own affair: GLM knows nothing else. */
function toToolChoice({ type, name }: Fields): unknown {
  if (type === "any") return "required";
  return type === "tool" ? { type: "function", function: { name } } : undefined;
}

// Repairs the order of a chat's messages, so that every upstream accepts it. A history may hold results before other
// messages, results without a call, calls without a result or without an id; chats want the results of a call directly
// after it. Source: OpenAI's reference of chat completions, and the chat templates of Qwen and Llama.

import type { UpstreamKind } from "../base/translation.ts";
import type { ChatMessage, ChatToolCall } from "./chat-request.ts";

const missingResult = "[no result]";

/** The id of each call is unique within its message afterwards; ids that the client gave stay as they are. */
export function repairOrder(messages: readonly ChatMessage[], kind: UpstreamKind): ChatMessage[] {
  return arrangeSystem(pairToolResults(messages), kind);
}

/** Puts the results of each call directly after it. A result without a call becomes words of the user. */
function pairToolResults(messages: readonly ChatMessage[]): ChatMessage[] {
  const results = collectResults(messages);
  const paired: ChatMessage[] = [];
  const ids = createIdSource(messages);
  for (const [index, message] of messages.entries()) {
    if (message.role === "tool") {
      if (results.take(message.tool_call_id ?? "", index - 1, index) === null) continue;
      paired.push({ role: "user", content: `[tool result] ${message.content as string}` });
      continue;
    }
    const calls = message.tool_calls ?? [];
    if (calls.length === 0) {
      paired.push(message);
      continue;
    }
    const named = ids.complete(calls);
    paired.push({ ...message, tool_calls: named });
    for (const [position, { id }] of named.entries()) {
      const result = results.take((calls[position] as ChatToolCall).id, index, messages.length);
      paired.push({ role: "tool", tool_call_id: id, content: result?.content ?? missingResult });
    }
  }
  return paired;
}

/** The results that no call has taken yet, by the id of their call, in the order of the history. */
function collectResults(messages: readonly ChatMessage[]) {
  const byId = new Map<string, number[]>();
  for (const [index, { role, tool_call_id: id = "" }] of messages.entries()) {
    if (role !== "tool") continue;
    const indexes = byId.get(id);
    if (indexes) indexes.push(index);
    else byId.set(id, [index]);
  }
  return {
    /** The first one after message `after` and not after `last`, or null. */
    take(id: string, after: number, last: number): ChatMessage | null {
      const indexes = byId.get(id) ?? [];
      const position = indexes.findIndex((index) => index > after && index <= last);
      if (position === -1) return null;
      const [index] = indexes.splice(position, 1);
      return messages[index as number] ?? null;
    },
  };
}

/** Gives an id to each call that has none, or that has the id of another call in its message. */
function createIdSource(messages: readonly ChatMessage[]) {
  const known = new Set(messages.flatMap(({ tool_calls: calls = [] }) => calls.map(({ id }) => id)));
  let count = 0;
  const create = () => {
    let id: string;
    do id = `call_${++count}`;
    while (known.has(id));
    return id;
  };
  return {
    complete(calls: readonly ChatToolCall[]): ChatToolCall[] {
      const used = new Set<string>();
      return calls.map((call) => {
        const id = call.id === "" || used.has(call.id) ? create() : call.id;
        used.add(id);
        return id === call.id ? call : { ...call, id };
      });
    },
  };
}

/** GLM takes system messages anywhere. Other servers' templates take one, at the beginning. */
function arrangeSystem(messages: readonly ChatMessage[], kind: UpstreamKind): ChatMessage[] {
  if (kind === "glm") return [...messages];
  const first = messages.findIndex(({ role }) => role !== "system");
  const leading = messages.slice(0, first === -1 ? messages.length : first);
  const rest = messages.slice(leading.length);
  const system = leading.map(toPlainText).filter((text) => text !== "");
  return [
    ...(system.length === 0 ? [] : [{ role: "system" as const, content: system.join("\n\n") }]),
    ...rest.map((message) => (message.role === "system" ? { ...message, role: "user" as const } : message)),
  ];
}

function toPlainText({ content }: ChatMessage): string {
  if (content === null || typeof content === "string") return content ?? "";
  return content.map((part) => (part.type === "text" ? part.text : "[image]")).join("\n");
}

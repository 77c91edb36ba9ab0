// A chat completion request, as far as translations write one.

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | readonly ChatPart[] | null;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly ChatToolCall[];
  readonly tool_call_id?: string;
}

export type ChatPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

export interface ChatToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** Plain text stays plain: not every model takes parts. */
export function toContent(parts: readonly ChatPart[]): string | readonly ChatPart[] {
  if (parts.some(({ type }) => type !== "text")) return parts;
  return parts.map((part) => (part as { text: string }).text).join("\n");
}

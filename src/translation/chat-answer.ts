// Reads chat completions, whole and in chunks, with what GLM makes of them: null where text is expected, tool calls that
// come all at once or in pieces, with or without their id, usage in the last chunk or in one of its own.

import type { Usage } from "../base/answer.ts";
import { parseUsage } from "../base/usage.ts";
import { type Fields, isFields } from "./fields.ts";

/** What one chunk adds, or all that a whole answer says. */
export interface ChatPiece {
  readonly reasoning: string;
  readonly content: string;
  readonly toolCalls: readonly ToolCallPiece[];
  readonly finishReason: string | null;
  readonly usage: Usage | null;
}

export interface ToolCallPiece {
  /** Which of several; pieces of one call share it. */
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** JSON, or a piece of it, as the model wrote it. */
  readonly arguments: string;
}

export function readCompletion(completion: unknown): ChatPiece {
  return readPiece(completion, "message");
}

export function readChunk(chunk: unknown): ChatPiece {
  return readPiece(chunk, "delta");
}

function readPiece(value: unknown, part: "message" | "delta"): ChatPiece {
  const { choices, usage } = isFields(value) ? value : ({} as Fields);
  const choice: unknown = Array.isArray(choices) ? choices[0] : null;
  const said = isFields(choice) && isFields(choice[part]) ? choice[part] : ({} as Fields);
  const finishReason = isFields(choice) ? choice.finish_reason : null;
  return {
    reasoning: toText(said.reasoning_content) || toText(said.reasoning),
    content: toText(said.content),
    toolCalls: Array.isArray(said.tool_calls) ? said.tool_calls.flatMap(readToolCall) : [],
    // Some say "" as long as there is none.
    finishReason: toText(finishReason) || null,
    usage: parseUsage(usage),
  };
}

function readToolCall(call: unknown, position: number): ToolCallPiece[] {
  if (!isFields(call)) return [];
  const { index, id, function: called } = call;
  const { name, arguments: args } = isFields(called) ? called : ({} as Fields);
  return [
    {
      index: Number.isSafeInteger(index) ? (index as number) : position,
      id: toText(id),
      name: toText(name),
      // GLM's reference says object, its wire says text.
      arguments: isFields(args) ? JSON.stringify(args) : toText(args),
    },
  ];
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

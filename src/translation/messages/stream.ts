// A chat stream as the events of a message: blocks one after the other, each begun, filled and ended.

import type { Usage } from "../../base/answer.ts";
import type { StreamTranslator } from "../../base/translation.ts";
import { type ChatPiece, readChunk, readEnd, toLater } from "../chat-answer.ts";
import type { TranslationContext } from "../context.ts";
import { createEventWriter } from "../event-writer.ts";
import type { Fields } from "../fields.ts";
import { createToolCallQueue } from "../tool-calls.ts";
import { toHead, toStopReason, toToolId, toUsage } from "./answer.ts";

type Spoken = Pick<ChatPiece, "reasoning" | "content" | "refusal">;
type BlockType = "thinking" | "text" | "tool_use";

export function createMessageStream(context: TranslationContext): StreamTranslator {
  const { say, translate } = createEventWriter();
  let hasBegun = false;
  let blockIndex = -1;
  let open: BlockType | null = null;
  const late: Spoken[] = [];
  let finishReason: string | null = null;
  let hasRefused = false;
  let usage: Usage | null = null;
  const tools = createToolCallQueue(
    {
      begin: ({ id, name }) => begin("tool_use", { type: "tool_use", id, name, input: {} }),
      append: (text) => fill({ type: "input_json_delta", partial_json: text }),
      end: endBlock,
    },
    (ordinal) => toToolId(context, ordinal),
  );

  function beginMessage(): void {
    if (hasBegun) return;
    hasBegun = true;
    // The upstream counts at the end; clients show what they hear at the beginning.
    const { inputTokensEstimate } = context;
    const started = toUsage({
      promptTokens: inputTokensEstimate,
      completionTokens: 0,
      cachedTokens: 0,
      reasoningTokens: 0,
    });
    say("message_start", { message: { ...toHead(context), content: [], stop_reason: null, usage: started } });
  }

  function begin(type: BlockType, block: Fields): void {
    endBlock();
    open = type;
    blockIndex++;
    say("content_block_start", { index: blockIndex, content_block: block });
  }

  function fill(delta: Fields): void {
    say("content_block_delta", { index: blockIndex, delta });
  }

  function endBlock(): void {
    if (open === null) return;
    if (open === "thinking") fill({ type: "signature_delta", signature: "" });
    open = null;
    say("content_block_stop", { index: blockIndex });
  }

  function take(chunk: unknown): void {
    const piece = readChunk(chunk);
    beginMessage();
    // The call may not be whole: what is said beside it waits for its end.
    if (!tools.isBusy) speak(piece);
    else if (piece.reasoning !== "" || piece.content !== "" || piece.refusal !== "") late.push(piece);
    for (const call of piece.toolCalls) tools.push(call);
    finishReason = piece.finishReason ?? finishReason;
    usage = toLater(usage, piece.usage);
  }

  function speak({ reasoning, content, refusal }: Spoken): void {
    if (reasoning !== "") {
      if (open !== "thinking") begin("thinking", { type: "thinking", thinking: "", signature: "" });
      fill({ type: "thinking_delta", thinking: reasoning });
    }
    if (content + refusal !== "") {
      if (open !== "text") begin("text", { type: "text", text: "" });
      fill({ type: "text_delta", text: content + refusal });
    }
    hasRefused ||= refusal !== "";
  }

  function endMessage(): void {
    beginMessage();
    tools.end();
    for (const piece of late) speak(piece);
    endBlock();
    const end = readEnd({ finishReason, usage, hasContent: blockIndex >= 0 });
    const said = { usesTools: tools.begunCount > 0, hasRefused };
    say("message_delta", {
      delta: { stop_reason: toStopReason(end, said), stop_sequence: null },
      usage: toUsage(usage),
    });
    say("message_stop", {});
  }

  return translate(take, endMessage);
}

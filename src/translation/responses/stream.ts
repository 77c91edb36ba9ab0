// A chat stream as the events of a response: items one after the other, each added, filled and done, and the whole of it
// once more at the end.

import type { Usage } from "../../base/answer.ts";
import type { StreamTranslator } from "../../base/translation.ts";
import { type ChatPiece, readChunk, toLater } from "../chat-answer.ts";
import { createEventWriter } from "../event-writer.ts";
import type { Fields } from "../fields.ts";
import { createToolCallQueue } from "../tool-calls.ts";
import {
  type ResponseRequest,
  toCallItem,
  toEnd,
  toHead,
  toItemId,
  toMessageItem,
  toReasoningItem,
  toRefusalPart,
  toTextPart,
} from "./answer.ts";

type Spoken = Pick<ChatPiece, "reasoning" | "content" | "refusal">;

interface OpenItem {
  readonly kind: "reasoning" | "message" | "refusal" | "function_call";
  readonly id: string;
  readonly call: { readonly id: string; readonly name: string };
  text: string;
}

const noCall = { id: "", name: "" };

const prefixes = { reasoning: "rs", message: "msg", refusal: "msg", function_call: "fc" };

export function createResponseStream(request: ResponseRequest): StreamTranslator {
  const { context, names } = request;
  const writer = createEventWriter();
  let sequence = 0;
  let hasBegun = false;
  let open: OpenItem | null = null;
  const output: Fields[] = [];
  const late: Spoken[] = [];
  let finishReason: string | null = null;
  let usage: Usage | null = null;
  const tools = createToolCallQueue(
    {
      begin: (call) => begin("function_call", call),
      append: (text) => fill("response.function_call_arguments.delta", text),
      end: endItem,
    },
    (ordinal) => toItemId(context, "call", ordinal),
  );

  function say(type: string, fields: Fields): void {
    writer.say(type, { sequence_number: sequence++, ...fields });
  }

  function beginResponse(): void {
    if (hasBegun) return;
    hasBegun = true;
    const unfinished = { status: "in_progress", error: null, incomplete_details: null, output: [], usage: null };
    const response = { ...toHead(request), ...unfinished };
    say("response.created", { response });
    say("response.in_progress", { response });
  }

  function begin(kind: OpenItem["kind"], call: OpenItem["call"] = noCall): void {
    endItem();
    open = { kind, id: toItemId(context, prefixes[kind], output.length), call, text: "" };
    const place = placeOf(open);
    say("response.output_item.added", { output_index: output.length, item: describe(open, false) });
    if (kind === "message") say("response.content_part.added", { ...place, content_index: 0, part: toTextPart("") });
    if (kind === "refusal") say("response.content_part.added", { ...place, content_index: 0, part: toRefusalPart("") });
    if (kind === "reasoning") {
      say("response.reasoning_summary_part.added", {
        ...place,
        summary_index: 0,
        part: { type: "summary_text", text: "" },
      });
    }
  }

  function fill(type: string, delta: string, more: Fields = {}): void {
    const item = open as OpenItem;
    item.text += delta;
    say(type, { ...placeOf(item), ...more, delta });
  }

  function endItem(): void {
    if (open === null) return;
    const item = open;
    const { kind, text } = item;
    const place = placeOf(item);
    open = null;
    if (kind === "message") {
      say("response.output_text.done", { ...place, content_index: 0, text, logprobs: [] });
      say("response.content_part.done", { ...place, content_index: 0, part: toTextPart(text) });
    } else if (kind === "refusal") {
      say("response.refusal.done", { ...place, content_index: 0, refusal: text });
      say("response.content_part.done", { ...place, content_index: 0, part: toRefusalPart(text) });
    } else if (kind === "reasoning") {
      const part = { type: "summary_text", text };
      say("response.reasoning_summary_text.done", { ...place, summary_index: 0, text });
      say("response.reasoning_summary_part.done", { ...place, summary_index: 0, part });
    } else {
      const { name } = names.find(item.call.name) ?? item.call;
      say("response.function_call_arguments.done", { ...place, name, arguments: text });
    }
    const done = describe(item, true);
    say("response.output_item.done", { output_index: output.length, item: done });
    output.push(done);
  }

  function placeOf({ id }: OpenItem): Fields {
    return { item_id: id, output_index: output.length };
  }

  function take(chunk: unknown): void {
    const piece = readChunk(chunk);
    beginResponse();
    // The call may not be whole: what is said beside it waits for its end.
    if (!tools.isBusy) speak(piece);
    else if (piece.reasoning !== "" || piece.content !== "" || piece.refusal !== "") late.push(piece);
    for (const call of piece.toolCalls) tools.push(call);
    finishReason = piece.finishReason ?? finishReason;
    usage = toLater(usage, piece.usage);
  }

  function speak({ reasoning, content, refusal }: Spoken): void {
    if (reasoning !== "") {
      if (open?.kind !== "reasoning") begin("reasoning");
      fill("response.reasoning_summary_text.delta", reasoning, { summary_index: 0 });
    }
    if (content !== "") {
      if (open?.kind !== "message") begin("message");
      fill("response.output_text.delta", content, { content_index: 0, logprobs: [] });
    }
    if (refusal !== "") {
      if (open?.kind !== "refusal") begin("refusal");
      fill("response.refusal.delta", refusal, { content_index: 0 });
    }
  }

  function endResponse(): void {
    beginResponse();
    tools.end();
    for (const piece of late) speak(piece);
    endItem();
    const end = toEnd({ finishReason, usage, hasContent: output.length > 0 }, output);
    say(`response.${end.status as string}`, { response: { ...toHead(request), ...end } });
  }

  function describe({ kind, id, call, text }: OpenItem, isDone: boolean): Fields {
    switch (kind) {
      case "reasoning":
        return toReasoningItem(id, text);
      case "message":
        return toMessageItem(id, isDone ? toTextPart(text) : null);
      case "refusal":
        return toMessageItem(id, isDone ? toRefusalPart(text) : null);
      case "function_call":
        return toCallItem(id, call, text, isDone ? "completed" : "in_progress", names);
    }
  }

  return writer.translate(take, endResponse);
}

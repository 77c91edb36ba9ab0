// Chat completions as OpenAI's and GLM's clients speak them; both are one dialect. Reads `model`, `stream` and
// the bound on the answer's tokens, and leaves everything else of the body to the upstream.

import { isUtf8 } from "node:buffer";
import { scanJson } from "../base/json-scan.ts";
import type { QueueStanding } from "../base/queue-facts.ts";
import { Refusal } from "../base/refusal.ts";
import { describeRefusal, type Language } from "../base/refusal-words.ts";
import type { CallRequest, HeartbeatStyle, Surface } from "./surface.ts";

/** Deeper JSON is refused: nothing sensible nests so far, and not every parser upstream survives it. */
const jsonDepthMax = 64;
const modelCharactersMax = 256;

export const chatCompletions: Surface = {
  name: "chat",
  parseRequest,
  formatRefusal: (refusal, requestId, language) => JSON.stringify(toErrorBody(refusal, requestId, language)),
  formatStreamError: (refusal, requestId, language) =>
    `data: ${JSON.stringify(toErrorBody(refusal, requestId, language))}\n\n`,
  formatHeartbeat,
};

function parseRequest(body: Buffer, aliases: ReadonlyMap<string, string>): CallRequest {
  if (!isUtf8(body)) throw new Refusal("invalid_json", { detail: "it is not valid UTF-8" });
  const { depth, spans } = scanJson(body, aliases.size > 0 ? "model" : null);
  if (depth > jsonDepthMax)
    throw new Refusal("invalid_json", { detail: `it nests deeper than ${jsonDepthMax} levels` });
  const { model, stream, messages, max_tokens, max_completion_tokens } = parseObject(body);
  if (typeof model !== "string" || model === "") throw invalid("model", "it must be a model's name");
  if (model.length > modelCharactersMax) throw invalid("model", `it is longer than ${modelCharactersMax} characters`);
  if (!Array.isArray(messages) || messages.length === 0) throw invalid("messages", "it must be a list with a message");
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw invalid("stream", "it must be true or false");
  }
  const target = aliases.get(model);
  return {
    path: "/chat/completions",
    model: target ?? model,
    isStream: stream === true,
    outputTokensMax: toCount(max_tokens) ?? toCount(max_completion_tokens),
    body: target === undefined ? body : replaceSpans(body, spans, JSON.stringify(target)),
  };
}

function toCount(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : null;
}

/**
 * A comment ends in one newline: the blank line that an event would need makes some clients see an empty event and
 * fail (openai-python#2722, openai-go before 3.43).
 */
function formatHeartbeat(style: HeartbeatStyle, standing: QueueStanding | null, requestId: string): string {
  if (style === "comment") {
    if (standing === null) return ": waiting for the answer\n";
    return `: waiting, position ${standing.position}, about ${Math.ceil(standing.etaMs / 1_000)} s\n`;
  }
  // Typed clients need every field; what is not known yet is said by the answer's own chunks.
  const choices = [{ index: 0, delta: {}, finish_reason: null }];
  const chunk = { id: requestId, object: "chat.completion.chunk", created: 0, model: "", choices };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function parseObject(body: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    throw new Refusal("invalid_json");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new Refusal("invalid_json", { detail: "it must be an object" });
  }
  return parsed as Record<string, unknown>;
}

function invalid(param: string, detail: string): Refusal {
  return new Refusal("invalid_field", { param, detail });
}

/** A repeated key is replaced everywhere: which one counts is the upstream's choice. */
function replaceSpans(body: Buffer, spans: readonly (readonly [number, number])[], value: string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const [start, end] of spans) {
    parts.push(body.subarray(from, start), Buffer.from(value));
    from = end;
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}

function toErrorBody(refusal: Refusal, requestId: string, language: Language) {
  return {
    error: {
      message: describeRefusal(refusal, language),
      type: refusal.type,
      code: refusal.code,
      param: refusal.facts.param ?? null,
      request_id: requestId,
    },
  };
}

// The dialect of OpenAI's and GLM's clients: errors as `{"error":{…}}`, data-only events.

import type { QueueStanding } from "../base/queue-facts.ts";
import type { Refusal } from "../base/refusal.ts";
import { describeRefusal, type Language } from "../base/refusal-words.ts";
import type { HeartbeatStyle, Surface } from "./surface.ts";

export const openAiSurface: Surface = {
  formatRefusal: (refusal, requestId, language) => JSON.stringify(toErrorBody(refusal, requestId, language)),
  formatStreamError: (refusal, requestId, language) =>
    `data: ${JSON.stringify(toErrorBody(refusal, requestId, language))}\n\n`,
  formatHeartbeat,
  adviseHeaders: () => ({}),
  requestIdHeader: null,
};

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

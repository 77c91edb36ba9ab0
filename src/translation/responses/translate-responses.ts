// OpenAI's Responses over chat completions: the request as a chat, the answer as a response.

import type { Translation } from "../../base/translation.ts";
import type { TranslationContext } from "../context.ts";
import type { Fields } from "../fields.ts";
import { toResponse } from "./answer.ts";
import { toChat } from "./request.ts";
import { createResponseStream } from "./stream.ts";

/** Throws `invalid_field` for what can't be said as a chat. */
export function translateResponses(body: Fields, context: TranslationContext): Translation {
  return {
    chatBody: Buffer.from(JSON.stringify(toChat(body, context.upstreamModel))),
    translateWhole: (completion) => toResponse(completion, body, context),
    openStream: () => createResponseStream(body, context),
  };
}

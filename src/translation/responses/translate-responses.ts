// OpenAI's Responses over chat completions: the request as a chat, the answer as a response.

import type { Translation } from "../../base/translation.ts";
import type { TranslationContext } from "../context.ts";
import type { Fields } from "../fields.ts";
import { ToolNames } from "../tool-names.ts";
import { toResponse } from "./answer.ts";
import { toChat } from "./request.ts";
import { createResponseStream } from "./stream.ts";

/** Throws `invalid_field` for what can't be said as a chat. */
export function translateResponses(body: Fields, context: TranslationContext): Translation {
  const names = new ToolNames();
  return {
    chatBody: Buffer.from(JSON.stringify(toChat(body, context.upstreamModel, context.upstreamKind, names))),
    translateWhole: (completion) => toResponse(completion, { body, context, names }),
    openStream: () => createResponseStream({ body, context, names }),
  };
}

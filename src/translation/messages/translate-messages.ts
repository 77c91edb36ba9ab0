// Anthropic's Messages over chat completions: the request as a chat, the answer as a message.

import type { Translation } from "../../base/translation.ts";
import type { TranslationContext } from "../context.ts";
import type { Fields } from "../fields.ts";
import { toMessage } from "./answer.ts";
import { toChat } from "./request.ts";
import { createMessageStream } from "./stream.ts";

/** Throws `invalid_field` for what can't be said as a chat. */
export function translateMessages(body: Fields, context: TranslationContext): Translation {
  return {
    chatBody: Buffer.from(JSON.stringify(toChat(body, context.upstreamModel, context.upstreamKind))),
    translateWhole: (completion) => toMessage(completion, context),
    openStream: () => createMessageStream(context),
  };
}

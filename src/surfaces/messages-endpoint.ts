// Anthropic's Messages, as Claude Code and Anthropic's SDKs ask for them. The body goes to the upstream's own endpoint
// of that kind as it is, its betas included; an upstream without one is asked for a chat completion instead.

import { randomUUID } from "node:crypto";
import { measureInput } from "../base/input-size.ts";
import { translateMessages } from "../translation/messages/translate-messages.ts";
import { anthropicSurface } from "./anthropic-surface.ts";
import { isDeterministic } from "./determinism.ts";
import type { CallRequest, Endpoint, Incoming } from "./endpoint.ts";
import { toObjectUse } from "./named-ids.ts";
import { formatQuery, readQuery } from "./query.ts";
import { parseJsonRequest, readIsStream, readModel, requireMessages, toCount } from "./request-body.ts";

/** Headers that say which version of the API is spoken, and what of it that is not final. */
const forwardedHeaders = ["anthropic-version", "anthropic-beta"] as const;
const forwardedParameters = ["beta"] as const;
/** What models have written for tools. */
const toolInputs = ["input"] as const;
/** As admission guesses: JSON with English or Chinese text. */
const inputBytesPerToken = 3.5;

export const messagesEndpoint: Endpoint = {
  name: "messages",
  family: "chat",
  surface: anthropicSurface,
  takes: "json",
  ownName: null,
  runsJobs: false,
  parseRequest(incoming, aliases) {
    const { body, contentType } = incoming;
    const { fields, readWhole, readIds, withModel } = parseJsonRequest(body);
    const model = readModel(fields);
    requireMessages(fields);
    const isStream = readIsStream(fields);
    const input = measureInput(fields, body.length);
    const object = toObjectUse(readIds(toolInputs));
    const toRequest = (target: string): CallRequest => ({
      method: "POST",
      api: "anthropic",
      path: `/v1/messages${formatQuery(readQuery(incoming.query, forwardedParameters))}`,
      model: target,
      family: "chat",
      isStream,
      input,
      outputTokensMax: toCount(fields.max_tokens),
      body: target === model ? body : withModel(target),
      upload: null,
      contentType,
      headers: forward(incoming),
      answers: "json",
      isText: true,
      isGlmOnly: false,
      isDeterministic: isDeterministic(fields),
      format: "messages",
      object,
      translate: ({ kind, nowMs }) =>
        translateMessages(readWhole(), {
          requestId: randomUUID(),
          model,
          upstreamModel: target,
          upstreamKind: kind,
          nowSeconds: Math.floor(nowMs / 1_000),
          inputTokensEstimate: Math.ceil(input.textBytes / inputBytesPerToken + input.binaryTokens),
        }),
      forModel: toRequest,
    });
    return toRequest(aliases.get(model) ?? model);
  },
};

function forward({ header }: Incoming): string[] {
  return forwardedHeaders.flatMap((name) => (header(name) === "" ? [] : [name, header(name)]));
}

// Chat completions as OpenAI's and GLM's clients ask for them; both are one dialect. Reads `model`, `stream` and
// the bound on the answer's tokens, and leaves everything else of the body to the upstream.

import { measureInput } from "../base/input-size.ts";
import { isDeterministic } from "./determinism.ts";
import type { CallRequest, Endpoint } from "./endpoint.ts";
import { toObjectUse } from "./named-ids.ts";
import { openAiSurface } from "./openai-surface.ts";
import { parseJsonRequest, readIsStream, readModel, requireMessages, toOutputTokensMax } from "./request-body.ts";

export const chatEndpoint: Endpoint = {
  name: "chat",
  family: "chat",
  surface: openAiSurface,
  takes: "json",
  ownName: null,
  runsJobs: false,
  parseRequest({ body, contentType }, aliases) {
    const { fields, readIds, withModel } = parseJsonRequest(body);
    const model = readModel(fields);
    requireMessages(fields);
    const isStream = readIsStream(fields);
    const input = measureInput(fields, body.length);
    const object = toObjectUse(readIds());
    const toRequest = (target: string): CallRequest => ({
      method: "POST",
      api: "paas",
      path: "/chat/completions",
      model: target,
      family: "chat",
      isStream,
      input,
      outputTokensMax: toOutputTokensMax(fields, fields.max_tokens, fields.max_completion_tokens),
      body: target === model ? body : withModel(target),
      upload: null,
      contentType,
      headers: [],
      answers: "json",
      isText: true,
      isGlmOnly: false,
      isDeterministic: isDeterministic(fields),
      format: "chat",
      object,
      translate: null,
      forModel: toRequest,
    });
    return toRequest(aliases.get(model) ?? model);
  },
};

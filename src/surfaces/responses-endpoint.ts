// OpenAI's Responses, as Codex and newer SDKs ask for them: always by way of a chat completion, which is what GLM serves.

import { randomUUID } from "node:crypto";
import { measureInput } from "../base/input-size.ts";
import type { TranslationTarget } from "../base/translation.ts";
import { translateResponses } from "../translation/responses/translate-responses.ts";
import { isDeterministic } from "./determinism.ts";
import type { CallRequest, Endpoint } from "./endpoint.ts";
import { parseJsonRequest, readIsStream, readModel, toCount } from "./request-body.ts";
import { responsesSurface } from "./responses-surface.ts";

export const responsesEndpoint: Endpoint = {
  name: "responses",
  family: "chat",
  surface: responsesSurface,
  takes: "json",
  ownName: null,
  runsJobs: false,
  parseRequest({ body, contentType }, aliases) {
    const fields = parseJsonRequest(body).readWhole();
    const model = readModel(fields);
    const isStream = readIsStream(fields);
    const input = measureInput(fields, body.length);
    const toRequest = (target: string): CallRequest => {
      const translate = ({ kind, nowMs }: TranslationTarget) =>
        translateResponses(fields, {
          requestId: randomUUID(),
          model,
          upstreamModel: target,
          upstreamKind: kind,
          nowSeconds: Math.floor(nowMs / 1_000),
          inputTokensEstimate: 0,
        });
      return {
        method: "POST",
        api: "responses",
        path: "/responses",
        model: target,
        family: "chat",
        isStream,
        input,
        outputTokensMax: toCount(fields.max_output_tokens),
        body,
        upload: null,
        contentType,
        headers: [],
        answers: "json",
        isText: true,
        isGlmOnly: false,
        isDeterministic: isDeterministic(fields),
        format: "responses",
        object: null,
        translate,
        forModel: toRequest,
      };
    };
    return toRequest(aliases.get(model) ?? model);
  },
};

// Which endpoint is at which path: every dialect under each base that its clients put before it.

import { anthropicSurface } from "./anthropic-surface.ts";
import { chatEndpoint } from "./chat-endpoint.ts";
import { type Endpoint, type Family, families } from "./endpoint.ts";
import { messagesEndpoint } from "./messages-endpoint.ts";
import { nativeEndpoints } from "./native-endpoints.ts";
import { openAiSurface } from "./openai-surface.ts";
import { responsesEndpoint } from "./responses-endpoint.ts";
import type { Surface } from "./surface.ts";

export interface CatalogueEntry {
  readonly method: string;
  /** Canonical; `*` stands for one segment. */
  readonly path: string;
  readonly endpoint: Endpoint;
}

const glmBases = ["/api/paas/v4", "/api/coding/paas/v4"] as const;
/** OpenAI's clients are told a base with or without the version. */
export const openAiBases = ["", "/v1"] as const;
/** Claude Code adds "/v1/messages" by itself, whatever it was told. */
const anthropicBases = ["/v1", "/v1/v1", "/api/anthropic/v1"] as const;
/** What OpenAI has too, by the same names. */
const openAiPaths =
  /^\/(?:embeddings|moderations|images\/generations|audio\/|files(?:\/\*(?:\/content)?)?$|batches|fine_tuning\/)/;

export const catalogue: readonly CatalogueEntry[] = [
  ...under([...openAiBases, ...glmBases], "POST", "/chat/completions", chatEndpoint),
  ...under(openAiBases, "POST", "/responses", responsesEndpoint),
  ...under(anthropicBases, "POST", "/messages", messagesEndpoint),
  ...nativeEndpoints.flatMap((endpoint) => {
    const { method, path, api } = endpoint;
    if (api === "root") return under(["/api"], method, path, endpoint);
    return under(openAiPaths.test(path) ? [...openAiBases, ...glmBases] : glmBases, method, path, endpoint);
  }),
];

const familiesByName: ReadonlyMap<string, readonly Family[]> = new Map(
  Array.from(
    Map.groupBy(catalogue, ({ endpoint }) => endpoint.name),
    ([name, entries]) => [name, [...new Set(entries.map(({ endpoint }) => endpoint.family))]],
  ),
);

/** Names that stand for what has no model: limits and rights may name them, nobody can ask for them. */
export const namesOfOthers: ReadonlySet<string> = new Set(
  nativeEndpoints.flatMap(({ ownName }) => (ownName === null ? [] : [ownName])),
);

export const countTokensPaths = anthropicBases.map((base) => `${base}/messages/count_tokens`);
export const modelsPaths = [...openAiBases, ...glmBases, "/api/anthropic/v1"].map((base) => `${base}/models`);

function under(bases: readonly string[], method: string, path: string, endpoint: Endpoint): CatalogueEntry[] {
  return bases.map((base) => ({ method, path: base + path, endpoint }));
}

/** Of the endpoints with that name; all there are, for a name that none has. */
export function familiesOf(endpointName: string): readonly Family[] {
  return familiesByName.get(endpointName) ?? families;
}

/** The dialect of who asks for such a path, whether there is one or not. */
export function surfaceOf(path: string): Surface {
  return /\/messages(?:[/?]|$)/.test(path) ? anthropicSurface : openAiSurface;
}

/** In words, what to ask for instead of a path that there is not; undefined: nothing comes to mind. */
export function findHint(path: string): string | undefined {
  return hints.find(([pattern]) => pattern.test(path))?.[1];
}

const hints: readonly (readonly [RegExp, string])[] = [
  [/\/v1\/v1\//, "the base URL has /v1 twice: set it to …/v1 for OpenAI's clients, without /v1 for Anthropic's"],
  [/\/paas\/v4\/(?:.*\/)?(?:paas\/v4|v1)\//, "the base URL has a part too many: set it to …/api/paas/v4 or to …/v1"],
  [/^\/(?:paas\/)?v4\//, "the base URL lacks a part: set it to …/api/paas/v4 for GLM's clients, to …/v1 for OpenAI's"],
  [/\/chat\/completions\/./, "the base URL must not hold /chat/completions: set it to …/v1"],
  [/\/completions$/, "GLM has chat completions only: POST /v1/chat/completions"],
  [/\/responses\/./, "responses are not kept: send the whole conversation to POST /v1/responses"],
  [/\/(?:assistants|threads|vector_stores|runs)\b/, "GLM has no such API; POST /v1/chat/completions serves tools"],
  [/\/images\/(?:edits|variations)$/, "GLM makes images by POST /v1/images/generations only"],
  [/\/audio\/translations$/, "GLM transcribes only: POST /v1/audio/transcriptions"],
  [/\/realtime\b/, "realtime sessions are not passed on"],
  [/\/messages\/batches\b/, "message batches are not passed on: POST /v1/messages serves single ones"],
  [/^\/(?:v1|api)\b/, "GET /v1/models lists models; /docs tells of the rest"],
];

// How a chat is asked for JSON of a given form. OpenAI's servers take a schema; GLM takes the wish for JSON alone, so that
// the schema goes into a system message.

import type { UpstreamKind } from "../base/translation.ts";
import type { ChatMessage } from "./chat-request.ts";
import { compact, type Fields, isFields } from "./fields.ts";

export interface ResponseFormat {
  readonly response_format: Fields | undefined;
  /** What the model has to be told in words. */
  readonly instructions: readonly ChatMessage[];
}

const plainText: ResponseFormat = { response_format: undefined, instructions: [] };

/** `format`: `{"type":"json_schema","schema",…}`, `{"type":"json_object"}`, or anything else for plain text. */
export function toResponseFormat(format: unknown, kind: UpstreamKind): ResponseFormat {
  if (!isFields(format)) return plainText;
  if (format.type === "json_object") return { response_format: { type: "json_object" }, instructions: [] };
  if (format.type !== "json_schema") return plainText;
  const { schema, strict, description } = format;
  const name = typeof format.name === "string" ? format.name : "answer";
  if (kind === "openai") {
    const described = compact({ name, strict: strict ?? undefined, description: description ?? undefined, schema });
    return { response_format: { type: "json_schema", json_schema: described }, instructions: [] };
  }
  const content =
    "Answer with one JSON value and nothing else. It must be valid against this JSON Schema " +
    `("${name}"): ${JSON.stringify(schema ?? {})}`;
  return { response_format: { type: "json_object" }, instructions: [{ role: "system", content }] };
}

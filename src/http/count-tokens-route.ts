// How many tokens a message would take, by Anthropic's way of asking. Guessed here: GLM's own endpoint for it is not
// documented, its tokenizer costs a call of the scarce limit, and clients only want to know about how full they are.

import { type InputSize, measureInput } from "../base/input-size.ts";
import { parseJson } from "../base/json-scan.ts";
import { Refusal } from "../base/refusal.ts";
import type { IdentifiedRoute } from "./routes.ts";

/** Tokens of a request of that size for a model, by what was learned of it. */
export type GuessTokens = (model: string, input: InputSize) => number;

const json = "application/json; charset=utf-8";

export function createCountTokensRoute(guessTokens: GuessTokens, bodyBytesMax: () => number): IdentifiedRoute {
  return {
    access: "identified",
    async handle({ reply, readBody }) {
      const body = await readBody(bodyBytesMax());
      const fields = parse(body);
      const { model, messages } = fields;
      if (typeof model !== "string")
        throw new Refusal("invalid_field", { param: "model", detail: "it must be a name" });
      if (!Array.isArray(messages))
        throw new Refusal("invalid_field", { param: "messages", detail: "it must be a list" });
      reply.send(200, json, JSON.stringify({ input_tokens: guessTokens(model, measureInput(fields, body.length)) }));
    },
  };
}

function parse(body: Buffer): Record<string, unknown> {
  return (parseJson(body.toString("utf8")) ?? {}) as Record<string, unknown>;
}

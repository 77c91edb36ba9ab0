// What the simulated GLM makes of texts without talking: token counts, embeddings, ranks, moderation.

import type { Fields } from "../chat-request.ts";
import { estimateTokens } from "../models.ts";
import { createRandom, hashText } from "../random.ts";
import { answer, createId, define, type Reply, readModel, refuse, toSeconds, type World } from "./endpoint.ts";

const embeddingDimensions = 8;
const embeddingDimensionsMax = 4_096;

export const embeddingEndpoints = [
  define("POST", "/embeddings", ({ fields }) =>
    replyToText(fields, "input", (input, model) => {
      const texts = (Array.isArray(input) ? input : [input]).map(String);
      const wanted = Number(fields.dimensions ?? embeddingDimensions);
      const dimensions = Math.min(Math.max(1, Math.floor(wanted) || embeddingDimensions), embeddingDimensionsMax);
      const data = texts.map((text, index) => ({ object: "embedding", index, embedding: embed(text, dimensions) }));
      return { object: "list", model, data, usage: toInputUsage(estimateTokens(texts.join(" "))) };
    }),
  ),
];

export const textEndpoints = [
  ...embeddingEndpoints,
  define("POST", "/tokenizer", ({ fields }, world) =>
    replyToText(fields, "messages", (messages, model) => {
      const usage = toInputUsage(estimateTokens(JSON.stringify(messages)));
      return { id: createId(world), model, usage };
    }),
  ),
  define("POST", "/rerank", ({ fields }, world) => {
    const model = readModel(fields) ?? "rerank";
    const { query, documents } = fields;
    if (typeof query !== "string") return refuse("1213", "query", model);
    if (!Array.isArray(documents)) return refuse("1213", "documents", model);
    const results = documents
      .map(String)
      .map((document, index) => ({ index, document, relevance_score: score(query, document) }))
      .sort((a, b) => b.relevance_score - a.relevance_score)
      .slice(0, typeof fields.top_n === "number" && fields.top_n > 0 ? fields.top_n : undefined)
      .map(({ document, ...rank }) => (fields.return_documents === true ? { ...rank, document } : rank));
    const usage = toInputUsage(estimateTokens([query, ...documents].join(" ")));
    return answer(
      { id: createId(world), created: toSeconds(world), request_id: createId(world), results, usage },
      model,
    );
  }),
  define("POST", "/moderations", ({ fields }, world) => moderate(fields, world)),
];

function replyToText(fields: Fields, param: string, compose: (asked: unknown, model: string) => object): Reply {
  const model = readModel(fields);
  if (model === null) return refuse("1213", "model");
  const asked = fields[param] ?? null;
  return asked === null ? refuse("1213", param, model) : answer(compose(asked, model), model);
}

/** Nothing is unsafe unless it says so itself, by [unsafe]. */
function moderate(fields: Fields, world: World): Reply {
  const model = readModel(fields) ?? "moderation";
  if (fields.input === undefined) return refuse("1213", "input", model);
  const isUnsafe = JSON.stringify(fields.input).includes("[unsafe]");
  const result = { content_type: "text", risk_level: isUnsafe ? "REJECT" : "PASS", risk_type: [] };
  return answer({ id: createId(world), created: toSeconds(world), result_list: [result] }, model);
}

export function toInputUsage(tokens: number): object {
  return { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens };
}

/** A few numbers that stand for a text: the same for the same text. */
function embed(text: string, dimensions: number): number[] {
  const random = createRandom(hashText(text));
  return Array.from({ length: dimensions }, () => Math.round((random.next() * 2 - 1) * 1e6) / 1e6);
}

/** How many of the query's words a document has, and a little chance, so that no two are alike. */
function score(query: string, document: string): number {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const shared = words.filter((word) => document.toLowerCase().includes(word)).length;
  const chance = createRandom(hashText(`${query} ${document}`)).next() / 10;
  return Math.round(((shared / Math.max(1, words.length)) * 0.9 + chance) * 1e6) / 1e6;
}

// The simulated GLM looks things up: web search, the reader of pages, the older search tool, the parser of layouts.

import type { Fields } from "../chat-request.ts";
import { toStreamPlan } from "../plan.ts";
import { createRandom, hashText } from "../random.ts";
import {
  answer,
  answerWith,
  createId,
  define,
  type Reply,
  readModel,
  readString,
  refuse,
  toSeconds,
  type World,
} from "./endpoint.ts";
import { readPrompt, talk, toPlainUsage } from "./talk.ts";

const resultsDefault = 10;
const resultsMax = 50;

export const searchEndpoints = [
  define("POST", "/web_search", ({ fields }, world) => {
    const query = readString(fields, "search_query");
    if (query === null) return refuse("1213", "search_query");
    if (readString(fields, "search_engine") === null) return refuse("1213", "search_engine");
    const found = find(query, Number(fields.count ?? resultsDefault));
    return answer({ ...open(fields, world), search_intent: [toIntent(query)], search_result: found });
  }),
  define("POST", "/reader", ({ fields }, world) => {
    const url = readString(fields, "url");
    if (url === null) return refuse("1213", "url");
    const { text } = talk(url, "", world);
    const page = { title: `Page of ${url}`, description: "", url, content: text };
    return answer({ ...open(fields, world), model: "reader", reader_result: page });
  }),
  define("POST", "/tools", useTool),
  define("POST", "/layout_parsing", ({ fields }, world) => {
    const model = readModel(fields);
    if (model === null) return refuse("1213", "model");
    if (readString(fields, "file") === null) return refuse("1213", "file", model);
    const { said, text } = talk(String(fields.file), model, world);
    const detail = { index: 0, label: "text", bbox_2d: [0, 0, 1, 1], content: text, height: 800, width: 600 };
    const pages = { num_pages: 1, pages: [{ width: 600, height: 800 }] };
    const parsed = { md_results: text, layout_details: [[detail]], layout_visualization: [], data_info: pages };
    return answer({ ...open(fields, world), model, ...parsed, usage: toPlainUsage(said) }, model);
  }),
];

function useTool({ fields }: { readonly fields: Fields }, world: World): Reply {
  const tool = readString(fields, "tool");
  if (tool === null) return refuse("1213", "tool");
  const query = readPrompt(fields.messages);
  if (query === "") return refuse("1213", "messages", tool);
  const head = open(fields, world);
  const steps = [
    { id: "search_0", type: "search_intent", search_intent: [{ index: 0, ...toIntent(query) }] },
    { id: "search_1", type: "search_result", search_result: find(query, 3).map((one) => ({ index: 0, ...one })) },
  ];
  if (fields.stream !== true) {
    const message = { role: "tool", tool_calls: steps };
    return answer({ ...head, choices: [{ index: 0, finish_reason: "stop", message }] }, tool);
  }
  const { id, created } = head;
  const frames = steps.map((step, index) => {
    const delta = { role: "tool", tool_calls: [{ index, ...step }] };
    const end = index === steps.length - 1 ? { finish_reason: "stop" } : {};
    return { id, created, choices: [{ index: 0, delta, ...end }] };
  });
  return answerWith(toStreamPlan(frames), tool, talk(query, tool, world).pace);
}

function open(fields: Fields, world: World): { id: string; created: number; request_id: string } {
  const id = createId(world);
  return { id, created: toSeconds(world), request_id: readString(fields, "request_id") ?? id };
}

function toIntent(query: string): object {
  return { query, intent: "SEARCH_ALWAYS", keywords: query };
}

function find(query: string, count: number): object[] {
  const random = createRandom(hashText(query));
  const length = Number.isInteger(count) && count > 0 ? Math.min(count, resultsMax) : resultsDefault;
  return Array.from({ length }, (_, index) => ({
    title: `Result ${index + 1}`,
    link: `http://127.0.0.1:9/${random.hex(8)}`,
    content: `What was found for ${query}`,
    icon: "",
    media: "simulator",
    refer: `ref_${index + 1}`,
    publish_date: "2026-11-23",
  }));
}

// Files at the simulated GLM: uploaded as forms, listed, read back to the byte, deleted; and what is read out of them.

import { toMediaUrl } from "../media.ts";
import type { KeptObject } from "../object-store.ts";
import { toBinaryPlan } from "../plan.ts";
import {
  answer,
  answerWith,
  type Call,
  createId,
  define,
  notFound,
  type Reply,
  readString,
  refuse,
  toSeconds,
  type World,
} from "./endpoint.ts";
import { toPage } from "./page.ts";
import { talk } from "./talk.ts";

export const fileEndpoints = [
  define("POST", "/files/ocr", readHandwriting, "form"),
  define("POST", "/files/parser/create", openParsing, "form"),
  define("POST", "/files/parser/sync", parseAtOnce, "form"),
  define("GET", "/files/parser/result/*/*", ({ ids: [id = "", format = ""], account }, world) => {
    const task = world.store.find(account, "parsing", id);
    if (!task) return notFound("task");
    if (world.clock.now() - task.createdAt < world.taskMs) {
      return answer({ task_id: id, status: "processing", message: "" });
    }
    const { content } = task.value;
    const found = format === "download_link" ? { parsing_result_url: toMediaUrl(world.origin, id, "md") } : { content };
    return answer({ task_id: id, status: "succeeded", message: "", ...found });
  }),
  define("POST", "/files", upload, "form"),
  define("GET", "/files", ({ account, query }, { store }) => {
    const purpose = query.get("purpose");
    const files = store.list(account, "file").filter(({ value }) => purpose === null || value.purpose === purpose);
    return answer(toPage(files, query));
  }),
  define(
    "GET",
    "/files/*",
    withFile(({ value }) => answer(value)),
  ),
  define("DELETE", "/files/*", ({ ids: [id = ""], account }, { store }) =>
    store.remove(account, "file", id) ? answer({ id, object: "file", deleted: true }) : notFound("file"),
  ),
  define(
    "GET",
    "/files/*/content",
    withFile(({ chunks }) => {
      const plan = { ...toBinaryPlan(chunks, "application/octet-stream"), isStream: false };
      return answerWith(plan);
    }),
  ),
];

function withFile(reply: (file: KeptObject) => Reply) {
  return ({ ids: [id = ""], account }: Call, { store }: World): Reply => {
    const file = store.find(account, "file", id);
    return file ? reply(file) : notFound("file");
  };
}

function upload({ fields, file, account }: Call, world: World): Reply {
  const purpose = readString(fields, "purpose");
  if (purpose === null) return refuse("1213", "purpose");
  if (!file) return refuse("1213", "file");
  const knowledgeId = readString(fields, "knowledge_id");
  if (knowledgeId !== null) return uploadDocument(knowledgeId, file, account, world);
  return answer(keepFile(world, account, file.name, purpose, file.chunks).value);
}

export function keepFile(
  world: World,
  account: string,
  filename: string,
  purpose: string,
  chunks: readonly Buffer[],
): KeptObject {
  const id = `file-${createId(world)}`;
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const value = { id, object: "file", bytes, filename, purpose, created_at: toSeconds(world) };
  return world.store.put(account, "file", id, value, chunks);
}

/** Of a knowledge base. Its bytes are not given back. */
function uploadDocument(knowledgeId: string, file: NonNullable<Call["file"]>, account: string, world: World): Reply {
  if (!world.store.find(account, "knowledge", knowledgeId)) return notFound("knowledge_id");
  const id = createId(world);
  const value = { id, knowledge_id: knowledgeId, name: file.name, length: file.byteCount, embedding_stat: 2 };
  world.store.put(account, "document", id, value);
  return answer({ successInfos: [{ documentId: id, filename: file.name }], failedInfos: [] });
}

function readFileText({ file, fields }: Call, world: World): string | null {
  return file ? talk(`${readString(fields, "prompt") ?? ""} ${file.name}`, "", world).text : null;
}

function readHandwriting(call: Call, world: World): Reply {
  const words = readFileText(call, world);
  if (words === null) return refuse("1213", "file");
  const result = { location: { left: 0, top: 0, width: 100, height: 20 }, words };
  const rest = { message: "", status: "succeeded", words_result_num: 1, words_result: [result] };
  return answer({ task_id: createId(world), ...rest });
}

function openParsing(call: Call, world: World): Reply {
  const content = readFileText(call, world);
  if (content === null) return refuse("1213", "file");
  const id = createId(world);
  world.store.put(call.account, "parsing", id, { content });
  return answer({ task_id: id, message: "", success: true });
}

function parseAtOnce(call: Call, world: World): Reply {
  const content = readFileText(call, world);
  if (content === null) return refuse("1213", "file");
  return answer({ task_id: createId(world), message: "", status: "succeeded", content, parsing_result_url: "" });
}

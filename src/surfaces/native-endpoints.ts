// GLM's other endpoints, passed on as they come: one row each, from GLM's API reference and its SDKs. A row says what
// the path is, whether its calls have a model, which family they wait in, and what they have to do with objects that live
// upstream.

import { measureInput, noInput } from "../base/input-size.ts";
import { Refusal } from "../base/refusal.ts";
import type { AnswerKind, UpstreamApi } from "../base/upstream-call.ts";
import {
  type BodyKind,
  type CallRequest,
  type Endpoint,
  type Family,
  type Incoming,
  type ListWish,
  noObjectUse,
} from "./endpoint.ts";
import { idFields, type NamedIds, noIds } from "./named-ids.ts";
import { openAiSurface } from "./openai-surface.ts";
import { formatQuery, readQuery } from "./query.ts";
import {
  invalid,
  type JsonRequest,
  parseJsonRequest,
  readIsStream,
  readModel,
  toCount,
  toOutputTokensMax,
} from "./request-body.ts";

export interface NativeEndpoint extends Endpoint {
  readonly method: string;
  /** Below a base such as "/v1" or "/api/paas/v4"; `*` stands for one segment. */
  readonly path: string;
  readonly api: UpstreamApi;
}

interface Row {
  /**
   * needed: a call without one is refused · optional: callers need the right to the endpoint's own name also when there is
   * one · none: a member of that name means nothing
   */
  readonly model: "needed" | "optional" | "none";
  readonly api?: UpstreamApi;
  readonly answers?: AnswerKind;
  /** Besides JSON. */
  readonly takesForms?: boolean;
  /** The parameters that go upstream; others are left out. */
  readonly query?: readonly string[];
  /** What an id in the path is of, or the answer's. */
  readonly object?: string;
  readonly creates?: boolean;
  readonly deletes?: boolean;
  readonly lists?: ListWish["at"];
  readonly isAboutAll?: boolean;
  readonly runsJobs?: boolean;
}

const textFamilies: ReadonlySet<Family> = new Set(["chat", "embeddings", "agents"]);
/** What servers that are compatible with OpenAI have too. */
const sharedPaths: ReadonlySet<string> = new Set([
  "/embeddings",
  "/rerank",
  "/moderations",
  "/images/generations",
  "/audio/transcriptions",
  "/audio/speech",
]);

const needed = { model: "needed" } as const;
const optional = { model: "optional" } as const;
const none = { model: "none" } as const;
const paged = { lists: "data", query: ["limit", "after"] } as const;
/** Of what a list is filtered from, as much at once as every upstream gives. */
const pageLimit = 100;
/** Lists that are not in pages have no more. */
const wholeLimit = 10_000;

export const nativeEndpoints: readonly NativeEndpoint[] = [
  endpoint("POST", "/embeddings", "embeddings", { ...needed, answers: "json" }),
  endpoint("POST", "/rerank", "embeddings", { ...optional, answers: "json" }),
  endpoint("POST", "/tokenizer", "embeddings", { ...needed, answers: "json" }),
  endpoint("POST", "/moderations", "embeddings", { ...optional, answers: "json" }),

  endpoint("POST", "/async/chat/completions", "chat", { ...needed, object: "task", creates: true }),
  endpoint("POST", "/images/generations", "images", needed),
  endpoint("POST", "/async/images/generations", "images", { ...needed, object: "task", creates: true }),
  endpoint("POST", "/videos/generations", "videos", { ...needed, object: "task", creates: true }),
  endpoint("GET", "/async-result/*", "poll", { ...none, object: "task" }),

  endpoint("POST", "/audio/transcriptions", "audio", { ...needed, takesForms: true }),
  endpoint("POST", "/audio/speech", "audio", needed),
  endpoint("POST", "/audio/customization", "audio", { ...optional, takesForms: true }),
  endpoint("POST", "/voice/clone", "audio", { ...optional, object: "voice", creates: true }),
  endpoint("POST", "/voice/delete", "audio", { ...none, object: "voice", deletes: true }),
  endpoint("GET", "/voice/list", "poll", {
    ...none,
    object: "voice",
    lists: "voice_list",
    query: ["voiceName", "voiceType"],
  }),

  endpoint("POST", "/web_search", "search", none),
  endpoint("POST", "/reader", "search", none),
  endpoint("POST", "/tools", "search", none),

  endpoint("POST", "/layout_parsing", "files", needed),
  endpoint("POST", "/files/ocr", "files", { ...none, takesForms: true }),
  endpoint("POST", "/files/parser/create", "files", { ...none, takesForms: true, object: "task", creates: true }),
  endpoint("POST", "/files/parser/sync", "files", { ...none, takesForms: true }),
  endpoint("GET", "/files/parser/result/*/*", "poll", { ...none, object: "task" }),
  endpoint("POST", "/files", "files", { ...none, takesForms: true, object: "file", creates: true }),
  endpoint("GET", "/files", "poll", {
    ...none,
    object: "file",
    lists: "data",
    query: ["purpose", "limit", "order", "after", "page", "knowledge_id"],
  }),
  endpoint("GET", "/files/*", "poll", { ...none, object: "file" }),
  endpoint("DELETE", "/files/*", "files", { ...none, object: "file", deletes: true }),
  endpoint("GET", "/files/*/content", "files", { ...none, object: "file", answers: "bytes" }),

  endpoint("POST", "/batches", "files", { ...none, object: "batch", creates: true, runsJobs: true }),
  endpoint("GET", "/batches", "poll", { ...none, object: "batch", ...paged }),
  endpoint("GET", "/batches/*", "poll", { ...none, object: "batch" }),
  endpoint("POST", "/batches/*/cancel", "files", { ...none, object: "batch" }),
  endpoint("POST", "/fine_tuning/jobs", "files", { ...optional, object: "job", creates: true, runsJobs: true }),
  endpoint("GET", "/fine_tuning/jobs", "poll", { ...none, object: "job", ...paged }),
  endpoint("GET", "/fine_tuning/jobs/*", "poll", { ...none, object: "job" }),
  endpoint("GET", "/fine_tuning/jobs/*/events", "poll", { ...none, object: "job", query: ["limit", "after"] }),
  endpoint("POST", "/fine_tuning/jobs/*/cancel", "files", { ...none, object: "job" }),
  endpoint("DELETE", "/fine_tuning/jobs/*", "files", { ...none, object: "job", deletes: true }),
  endpoint("POST", "/knowledge", "files", { ...none, object: "knowledge", creates: true }),
  endpoint("GET", "/knowledge", "poll", { ...none, object: "knowledge", lists: "list", query: ["page", "size"] }),
  endpoint("GET", "/knowledge/capacity", "poll", { ...none, object: "knowledge", isAboutAll: true }),
  endpoint("GET", "/knowledge/*", "poll", { ...none, object: "knowledge" }),
  endpoint("PUT", "/knowledge/*", "files", { ...none, object: "knowledge" }),
  endpoint("DELETE", "/knowledge/*", "files", { ...none, object: "knowledge", deletes: true }),
  endpoint("GET", "/document/*", "poll", { ...none, object: "document" }),
  endpoint("PUT", "/document/*", "files", { ...none, object: "document" }),
  endpoint("DELETE", "/document/*", "files", { ...none, object: "document", deletes: true }),

  endpoint("POST", "/assistant", "agents", { ...none, object: "conversation", creates: true }),
  endpoint("POST", "/assistant/list", "agents", none),
  endpoint("POST", "/assistant/conversation/list", "agents", {
    ...none,
    object: "conversation",
    lists: "conversation_list",
  }),
  endpoint("POST", "/v1/agents", "agents", { ...none, api: "root", object: "task", creates: true }),
  endpoint("POST", "/v1/agents/async-result", "poll", { ...none, api: "root", object: "task" }),
  endpoint("POST", "/v1/agents/conversation", "poll", { ...none, api: "root", object: "conversation" }),
];

function endpoint(method: string, path: string, family: Family, row: Row): NativeEndpoint {
  const { api = "paas", answers = "any", takesForms = false, runsJobs = false, query: parameters = [] } = row;
  const takes: BodyKind = method === "GET" || method === "DELETE" ? "nothing" : takesForms ? "any" : "json";
  const isText = textFamilies.has(family);
  const segments = path.split("/");
  // What calls without a model are counted as: "web_search", "files", "poll" for whatever only asks how it stands.
  const counted = family === "poll" ? "poll" : (segments.find((part) => part !== "" && part !== "v1") as string);
  const ownName = row.model === "needed" ? null : counted;

  function parseRequest(incoming: Incoming, aliases: ReadonlyMap<string, string>): CallRequest {
    const body = readBody(incoming, takes, row.model);
    const named = body.model ?? ownName ?? readModel({});
    const query = readQuery(incoming.query, parameters);
    const object = toObjectUse(incoming.path, query, body.ids);
    const isList = object !== null && object.lists !== null;
    // What is filtered here is asked for in the largest pages, so that others' objects leave room for the caller's.
    if (isList && parameters.includes("limit") && !query.has("page")) query.set("limit", String(pageLimit));
    const toRequest = (model: string): CallRequest => ({
      method,
      api,
      path: toUpstreamPath(incoming.path) + formatQuery(query),
      model,
      family,
      isStream: body.isStream && !isList,
      input: isText ? measureInput(body.fields, incoming.body.length) : noInput,
      outputTokensMax: isText ? toOutputTokensMax(body.fields, body.fields.max_tokens) : null,
      body: model === named || body.model === null ? incoming.body : body.withModel(model),
      upload: incoming.upload,
      contentType: incoming.contentType,
      headers: [],
      answers: isList ? "json" : answers,
      isText,
      isGlmOnly: !sharedPaths.has(path),
      isDeterministic: path === "/embeddings" || path === "/rerank",
      format: path === "/async/chat/completions" ? "chat" : "plain",
      object,
      translate: null,
      forModel: incoming.upload === null && object === null && body.model !== null ? toRequest : null,
    });
    const target = aliases.get(named);
    return toRequest(target !== undefined && body.canRename ? target : named);
  }

  /** The path without the base that the client wrote before it. */
  function toUpstreamPath(incoming: string): string {
    return incoming
      .split("/")
      .slice(-(segments.length - 1))
      .reduce((joined, part) => `${joined}/${part}`, "");
  }

  function toObjectUse(incoming: string, query: ReadonlyMap<string, string>, ids: NamedIds): CallRequest["object"] {
    const { object: kind, creates = false, deletes = false, lists, isAboutAll = false } = row;
    const parts = toUpstreamPath(incoming).split("/");
    const inPath = segments
      .flatMap((part, index) => (part === "*" ? [decode(parts[index] as string)] : []))
      .slice(0, 1);
    const inQuery = Array.from(query).flatMap(([name, value]) =>
      idFields.has(name) || (name === "after" && lists !== undefined) ? [value] : [],
    );
    // What is deleted is the caller's, or it is not deleted.
    const uses = [...inPath, ...inQuery, ...ids.uses, ...(deletes ? ids.voices : [])];
    const voices = deletes ? [] : ids.voices;
    if (kind === undefined && uses.length === 0 && voices.length === 0) return null;
    const limit = lists === "data" ? (toCount(Number(query.get("limit"))) ?? pageLimit) : wholeLimit;
    const wish = lists && { at: lists, limit, isOldestFirst: query.get("order") === "asc" };
    return { ...noObjectUse, kind: kind ?? "file", uses, voices, creates, deletes, lists: wish ?? null, isAboutAll };
  }

  const name = (api === "root" ? "agents" : counted).replaceAll("-", "_");
  return { method, path, api, ownName, runsJobs, name, family, surface: openAiSurface, takes, parseRequest };
}

interface ReadBody {
  readonly model: string | null;
  readonly isStream: boolean;
  /** Empty where it is no JSON. */
  readonly fields: JsonRequest["fields"];
  readonly ids: NamedIds;
  readonly canRename: boolean;
  withModel(model: string): Buffer;
}

function readBody({ body, form }: Incoming, takes: BodyKind, wanted: Row["model"]): ReadBody {
  const nothing = { fields: {}, ids: noIds, canRename: false, withModel: () => body };
  if (takes === "nothing") return { ...nothing, model: null, isStream: false };
  if (form !== null) {
    // A form goes upstream to the byte, so that its model can't have another name there.
    const model = wanted === "none" ? undefined : form.get("model");
    return {
      ...nothing,
      model: model === undefined ? null : readModel({ model }),
      isStream: form.get("stream") === "true",
      ids: readFormIds(form),
    };
  }
  const { fields, withModel, readIds } = parseJsonRequest(body);
  const hasModel = wanted !== "none" && fields.model !== undefined && fields.model !== null;
  const model = hasModel ? readModel(fields) : null;
  return { model, isStream: readIsStream(fields), fields, ids: readIds(), canRename: true, withModel };
}

function readFormIds(form: ReadonlyMap<string, string>): NamedIds {
  const ids: { uses: string[]; voices: string[] } = { uses: [], voices: [] };
  for (const [name, value] of form) {
    const kind = idFields.get(name);
    if (kind === "list") throw invalid(name, "a form can't have it: send one id, or JSON");
    if (kind !== undefined) (kind === "voice" ? ids.voices : ids.uses).push(value);
  }
  return ids;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal("bad_request", { detail: "its path has an escape that is none" });
  }
}

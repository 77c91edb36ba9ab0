// GLM's other endpoints, passed on as they come: one row each, from GLM's API reference and its SDKs. A row says what
// the path is, which family its calls wait in, and what it has to do with objects that live upstream.

import { measureInput, noInput } from "../base/input-size.ts";
import { Refusal } from "../base/refusal.ts";
import type { AnswerKind, UpstreamApi } from "../base/upstream-call.ts";
import type { BodyKind, CallRequest, Endpoint, Family, Incoming } from "./endpoint.ts";
import { findFormField } from "./form-field.ts";
import { openAiSurface } from "./openai-surface.ts";
import { type JsonRequest, parseJsonRequest, readIsStream, readModel, toOutputTokensMax } from "./request-body.ts";

export interface NativeEndpoint extends Endpoint {
  readonly method: string;
  /** Below a base such as "/v1" or "/api/paas/v4"; `*` stands for one segment. */
  readonly path: string;
  readonly api: UpstreamApi;
  /** What its calls are counted as when they have no model; null: they must have one. */
  readonly ownName: string | null;
}

interface Row {
  readonly api?: UpstreamApi;
  readonly answers?: AnswerKind;
  /** What an id in the path is of, or the answer's. */
  readonly object?: string;
  readonly creates?: boolean;
  readonly deletes?: boolean;
  readonly lists?: boolean;
  /** Fields of the body that name objects. */
  readonly usesFields?: readonly string[];
  /** A call without a model is refused rather than named by what it asks for. */
  readonly needsModel?: boolean;
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

export const nativeEndpoints: readonly NativeEndpoint[] = [
  endpoint("POST", "/embeddings", "embeddings", { needsModel: true, answers: "json" }),
  endpoint("POST", "/rerank", "embeddings", { answers: "json" }),
  endpoint("POST", "/tokenizer", "embeddings", { answers: "json" }),
  endpoint("POST", "/moderations", "embeddings", { answers: "json" }),

  endpoint("POST", "/async/chat/completions", "chat", { needsModel: true, object: "task", creates: true }),
  endpoint("POST", "/images/generations", "images", { needsModel: true }),
  endpoint("POST", "/async/images/generations", "images", { needsModel: true, object: "task", creates: true }),
  endpoint("POST", "/videos/generations", "videos", { needsModel: true, object: "task", creates: true }),
  endpoint("GET", "/async-result/*", "poll", { object: "task" }),

  endpoint("POST", "/audio/transcriptions", "audio", { needsModel: true }),
  endpoint("POST", "/audio/speech", "audio", { needsModel: true }),
  endpoint("POST", "/audio/customization", "audio"),
  endpoint("POST", "/voice/clone", "audio", { object: "voice", creates: true, usesFields: ["file_id"] }),
  endpoint("POST", "/voice/delete", "audio", { object: "voice", deletes: true, usesFields: ["voice"] }),
  endpoint("GET", "/voice/list", "poll", { object: "voice", lists: true }),

  endpoint("POST", "/web_search", "search"),
  endpoint("POST", "/reader", "search"),
  endpoint("POST", "/tools", "search"),

  endpoint("POST", "/layout_parsing", "files"),
  endpoint("POST", "/files/ocr", "files"),
  endpoint("POST", "/files/parser/create", "files", { object: "task", creates: true }),
  endpoint("POST", "/files/parser/sync", "files"),
  endpoint("GET", "/files/parser/result/*/*", "poll", { object: "task" }),
  endpoint("POST", "/files", "files", { object: "file", creates: true }),
  endpoint("GET", "/files", "poll", { object: "file", lists: true }),
  endpoint("GET", "/files/*", "poll", { object: "file" }),
  endpoint("DELETE", "/files/*", "files", { object: "file", deletes: true }),
  endpoint("GET", "/files/*/content", "files", { object: "file", answers: "bytes" }),

  endpoint("POST", "/batches", "files", { object: "batch", creates: true, usesFields: ["input_file_id"] }),
  endpoint("GET", "/batches", "poll", { object: "batch", lists: true }),
  endpoint("GET", "/batches/*", "poll", { object: "batch" }),
  endpoint("POST", "/batches/*/cancel", "files", { object: "batch" }),
  endpoint("POST", "/fine_tuning/jobs", "files", {
    object: "job",
    creates: true,
    usesFields: ["training_file", "validation_file"],
  }),
  endpoint("GET", "/fine_tuning/jobs", "poll", { object: "job", lists: true }),
  endpoint("GET", "/fine_tuning/jobs/*", "poll", { object: "job" }),
  endpoint("GET", "/fine_tuning/jobs/*/events", "poll", { object: "job" }),
  endpoint("POST", "/fine_tuning/jobs/*/cancel", "files", { object: "job" }),
  endpoint("DELETE", "/fine_tuning/jobs/*", "files", { object: "job", deletes: true }),
  endpoint("POST", "/knowledge", "files", { object: "knowledge", creates: true }),
  endpoint("GET", "/knowledge", "poll", { object: "knowledge", lists: true }),
  endpoint("GET", "/knowledge/capacity", "poll"),
  endpoint("GET", "/knowledge/*", "poll", { object: "knowledge" }),
  endpoint("PUT", "/knowledge/*", "files", { object: "knowledge" }),
  endpoint("DELETE", "/knowledge/*", "files", { object: "knowledge", deletes: true }),
  endpoint("GET", "/document/*", "poll", { object: "document" }),
  endpoint("PUT", "/document/*", "files", { object: "document" }),
  endpoint("DELETE", "/document/*", "files", { object: "document", deletes: true }),

  endpoint("POST", "/assistant", "agents"),
  endpoint("POST", "/assistant/list", "agents"),
  endpoint("POST", "/assistant/conversation/list", "agents"),
  endpoint("POST", "/v1/agents", "agents", { api: "root", object: "task", creates: true }),
  endpoint("POST", "/v1/agents/async-result", "poll", { api: "root", object: "task", usesFields: ["async_id"] }),
  endpoint("POST", "/v1/agents/conversation", "poll", { api: "root" }),
];

function endpoint(method: string, path: string, family: Family, row: Row = {}): NativeEndpoint {
  const { api = "paas", answers = "any", needsModel = false } = row;
  const takes: BodyKind = method === "GET" || method === "DELETE" ? "nothing" : "any";
  const isText = textFamilies.has(family);
  const segments = path.split("/");
  // What calls without a model are counted as: "web_search", "files", "poll" for whatever only asks how it stands.
  const ownName = family === "poll" ? "poll" : (segments.find((part) => part !== "" && part !== "v1") as string);

  function parseRequest(incoming: Incoming, aliases: ReadonlyMap<string, string>): CallRequest {
    const body = readBody(incoming, takes);
    const named = body.model ?? (needsModel ? readModel({}) : ownName);
    const object = toObjectUse(incoming.path, body.fields);
    const toRequest = (model: string): CallRequest => ({
      method,
      api,
      path: toUpstreamPath(incoming.path) + incoming.query,
      model,
      family,
      isStream: body.isStream,
      input: isText ? measureInput(body.fields, incoming.body.length) : noInput,
      outputTokensMax: isText ? toOutputTokensMax(body.fields, body.fields.max_tokens) : null,
      body: model === named || body.model === null ? incoming.body : body.withModel(model),
      upload: incoming.upload,
      contentType: incoming.contentType,
      headers: [],
      answers,
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

  function toObjectUse(incoming: string, fields: JsonRequest["fields"]): CallRequest["object"] {
    const { object: kind, creates = false, deletes = false, lists = false, usesFields = [] } = row;
    if (kind === undefined && usesFields.length === 0) return null;
    const parts = toUpstreamPath(incoming).split("/");
    const inPath = segments
      .flatMap((part, index) => (part === "*" ? [decode(parts[index] as string)] : []))
      .slice(0, 1);
    const inBody = usesFields.flatMap((name) => (typeof fields[name] === "string" ? [fields[name]] : []));
    return { kind: kind ?? "file", uses: [...inPath, ...inBody], creates, deletes, lists };
  }

  const name = (api === "root" ? "agents" : ownName).replaceAll("-", "_");
  return { method, path, api, ownName: needsModel ? null : ownName, name, surface: openAiSurface, takes, parseRequest };
}

interface ReadBody {
  readonly model: string | null;
  readonly isStream: boolean;
  readonly fields: JsonRequest["fields"];
  readonly canRename: boolean;
  withModel(model: string): Buffer;
}

function readBody({ body, contentType }: Incoming, takes: BodyKind): ReadBody {
  const nothing = { fields: {}, canRename: false, withModel: () => body };
  if (takes === "nothing") return { ...nothing, model: null, isStream: false };
  if (/^multipart\/form-data\b/i.test(contentType)) {
    // A form goes upstream to the byte, so that its model can't have another name there.
    const isStream = findFormField(body, contentType, "stream") === "true";
    return { ...nothing, model: findFormField(body, contentType, "model"), isStream };
  }
  const { fields, withModel } = parseJsonRequest(body);
  const model = fields.model === undefined || fields.model === null ? null : readModel(fields);
  return { model, isStream: readIsStream(fields), fields, canRename: true, withModel };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal("bad_request", { detail: "its path has an escape that is none" });
  }
}

// Older parts of GLM, of which little is known: fine-tuning, knowledge bases and their documents.

import type { Fields } from "../chat-request.ts";
import type { KeptObject } from "../object-store.ts";
import {
  answer,
  type Call,
  createId,
  define,
  notFound,
  type Reply,
  readModel,
  readString,
  refuse,
  toSeconds,
  type World,
} from "./endpoint.ts";
import { toPage } from "./page.ts";

export const legacyEndpoints = [
  define("POST", "/fine_tuning/jobs", ({ fields, account }, world) => {
    const model = readModel(fields);
    const training = readString(fields, "training_file");
    if (model === null) return refuse("1213", "model");
    if (training === null) return refuse("1213", "training_file", model);
    if (!world.store.find(account, "file", training)) return notFound("training_file");
    const id = `ftjob-${createId(world)}`;
    const value = { id, object: "fine_tuning.job", model, training_file: training, status: "create" };
    return answer(world.store.put(account, "job", id, { ...value, created_at: toSeconds(world) }).value, model);
  }),
  define("GET", "/fine_tuning/jobs", ({ account, query }, { store }) =>
    answer(toPage(store.list(account, "job"), query)),
  ),
  define(
    "GET",
    "/fine_tuning/jobs/*",
    withObject("job", ({ value }) => answer(value)),
  ),
  define(
    "GET",
    "/fine_tuning/jobs/*/events",
    withObject("job", () => answer({ object: "list", data: [] })),
  ),
  define(
    "POST",
    "/fine_tuning/jobs/*/cancel",
    withObject("job", (job, { store }) => answer(update(job, { status: "cancelled" }, store))),
    "nothing",
  ),
  define("DELETE", "/fine_tuning/jobs/*", remove("job")),

  define("POST", "/knowledge", ({ fields, account }, world) => {
    const name = readString(fields, "name");
    if (name === null) return refuse("1213", "name");
    const id = createId(world);
    const { description = null, embedding_id = 3 } = fields;
    world.store.put(account, "knowledge", id, { id, name, description, embedding_id, document_size: 0, length: 0 });
    return answer({ id });
  }),
  define("GET", "/knowledge", ({ account }, { store }) =>
    answer({ object: "list", list: store.list(account, "knowledge").map(({ value }) => value) }),
  ),
  define("GET", "/knowledge/capacity", () =>
    answer({ used: { word_num: 0, length: 0 }, total: { word_num: 1_000_000, length: 1_073_741_824 } }),
  ),
  define(
    "GET",
    "/knowledge/*",
    withObject("knowledge", ({ value }) => answer(value)),
  ),
  define("PUT", "/knowledge/*", edit("knowledge"), "json"),
  define("DELETE", "/knowledge/*", remove("knowledge")),
  define(
    "GET",
    "/document/*",
    withObject("document", ({ value }) => answer(value)),
  ),
  define("PUT", "/document/*", edit("document"), "json"),
  define("DELETE", "/document/*", remove("document")),
];

function withObject(kind: string, reply: (object: KeptObject, world: World, call: Call) => Reply) {
  return (call: Call, world: World): Reply => {
    const object = world.store.find(call.account, kind, call.ids[0] ?? "");
    return object ? reply(object, world, call) : notFound(kind);
  };
}

function edit(kind: string) {
  return withObject(kind, (object, { store }, { fields }) =>
    answer(update(object, { ...fields, id: object.id }, store)),
  );
}

function update({ account, kind, id, value }: KeptObject, changed: Fields, store: World["store"]): Fields {
  return store.put(account, kind, id, { ...value, ...changed }).value;
}

function remove(kind: string) {
  return withObject(kind, ({ account, id }, { store }) => {
    store.remove(account, kind, id);
    return answer({ id, object: kind, deleted: true });
  });
}

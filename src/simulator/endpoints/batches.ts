// Batches at the simulated GLM: a file of chats in, a file of answers out when the batch's time has come.

import { composeAnswer } from "../chat-answer.ts";
import { type Fields, parseChatFields, parseObject } from "../chat-request.ts";
import type { KeptObject } from "../object-store.ts";
import { toJsonBody } from "../stream-shape.ts";
import {
  answer,
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
import { keepFile } from "./files.ts";
import { toPage } from "./page.ts";

/** What comes after them in a file is left out. */
const linesMax = 10_000;

export const batchEndpoints = [
  define("POST", "/batches", ({ fields, account }, world) => {
    const input = readString(fields, "input_file_id");
    if (input === null) return refuse("1213", "input_file_id");
    if (!world.store.find(account, "file", input)) return notFound("input_file_id");
    const id = `batch_${createId(world)}`;
    const value = {
      id,
      object: "batch",
      endpoint: readString(fields, "endpoint") ?? "/v4/chat/completions",
      input_file_id: input,
      completion_window: readString(fields, "completion_window") ?? "24h",
      status: "in_progress",
      output_file_id: null,
      error_file_id: null,
      created_at: toSeconds(world),
      request_counts: { total: 0, completed: 0, failed: 0 },
      metadata: fields.metadata ?? null,
    };
    return answer(world.store.put(account, "batch", id, value).value);
  }),
  define("GET", "/batches", ({ account, query }, world) =>
    answer(
      toPage(
        world.store.list(account, "batch").map((batch) => complete(batch, world)),
        query,
      ),
    ),
  ),
  define(
    "GET",
    "/batches/*",
    withBatch(({ value }) => answer(value)),
  ),
  define(
    "POST",
    "/batches/*/cancel",
    withBatch(({ id, account, value }, { store }) =>
      answer(value.status === "completed" ? value : store.put(account, "batch", id, cancel(value)).value),
    ),
    "nothing",
  ),
];

function withBatch(reply: (batch: KeptObject, world: World) => Reply) {
  return ({ ids: [id = ""], account }: Call, world: World): Reply => {
    const batch = world.store.find(account, "batch", id);
    return batch ? reply(complete(batch, world), world) : notFound("batch");
  };
}

const cancel = (value: Fields): Fields => ({ ...value, status: "cancelled" });

/** The batch as it is by now. */
function complete(batch: KeptObject, world: World): KeptObject {
  const { id, account, value, createdAt } = batch;
  if (value.status !== "in_progress" || world.clock.now() - createdAt < world.taskMs) return batch;
  const input = world.store.find(account, "file", value.input_file_id as string);
  const lines = Buffer.concat([...(input?.chunks ?? [])])
    .toString("utf8")
    .split("\n")
    .filter((line) => line.trim());
  const results = lines.slice(0, linesMax).map((line) => answerLine(line, world));
  const output = Buffer.from(results.map((result) => `${JSON.stringify(result)}\n`).join(""));
  const { id: outputId } = keepFile(world, account, `${id}_output.jsonl`, "batch", [output]);
  const completed = results.filter(({ response }) => response.status_code === 200).length;
  const counts = { total: results.length, completed, failed: results.length - completed };
  const usage = sumUsage(results.map(({ response }) => response.body));
  const done = { ...value, status: "completed", output_file_id: outputId, request_counts: counts, usage };
  return world.store.put(account, "batch", id, done);
}

function sumUsage(answers: readonly object[]): object {
  const usages = answers.map((answer) => ((answer as Fields).usage ?? {}) as Fields);
  const sum = (name: string) => usages.reduce((total, usage) => total + Number(usage[name] ?? 0), 0);
  const names = ["prompt_tokens", "completion_tokens", "total_tokens"];
  return Object.fromEntries(names.map((name) => [name, sum(name)]));
}

interface LineResult {
  readonly custom_id: unknown;
  readonly id: string;
  readonly response: { readonly status_code: number; readonly body: object };
}

function answerLine(line: string, world: World): LineResult {
  const { custom_id, body } = parseObject(Buffer.from(line)) ?? {};
  const id = createId(world);
  const chat = parseChatFields((body ?? {}) as Fields);
  if ("code" in chat) {
    const error = { code: chat.code, message: `${chat.param} is wrong` };
    return { custom_id, id, response: { status_code: 400, body: { error } } };
  }
  const said = composeAnswer(chat, world.seed, id, world.clock.wallNow());
  return { custom_id, id, response: { status_code: 200, body: toJsonBody(said, null) } };
}

// What the simulated GLM answers later: chats, pictures and films that are asked for as tasks. A task is PROCESSING for
// a while, then SUCCESS, or FAIL when its prompt holds [fail]; [task=500] sets the while in milliseconds.

import { composeAnswer } from "../chat-answer.ts";
import { type Fields, parseChatFields, readWish } from "../chat-request.ts";
import { toMediaUrl } from "../media.ts";
import { toJsonBody } from "../stream-shape.ts";
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

export const taskEndpoints = [
  define("POST", "/async/chat/completions", (call, world) => {
    const chat = parseChatFields(call.fields);
    if ("code" in chat) return refuse(chat.code, chat.param, chat.model);
    const said = composeAnswer(chat, world.seed, createId(world), world.clock.wallNow());
    return openTask(call, world, chat.model, chat.prompt, toJsonBody(said, chat.requestId));
  }),
  define("GET", "/async-result/*", ({ ids: [id = ""], account }, world) => {
    const task = world.store.find(account, "task", id);
    return task ? answer(readTask(task.value, world.clock.now() - task.createdAt)) : notFound("task");
  }),
  define("POST", "/images/generations", (call, world) =>
    draw(call.fields, (prompt, model) => {
      const filter = [{ role: "assistant", level: 3 }];
      const body = { created: toSeconds(world), data: [{ url: toPicture(world) }], content_filter: filter };
      return prompt.includes("[fail]") ? refuse("1301", "prompt", model) : answer(body, model);
    }),
  ),
  define("POST", "/async/images/generations", (call, world) =>
    draw(call.fields, (prompt, model) =>
      openTask(call, world, model, prompt, { image_result: [{ url: toPicture(world) }] }),
    ),
  ),
  define("POST", "/videos/generations", (call, world) =>
    draw(call.fields, (prompt, model) => {
      const url = toMediaUrl(world.origin, world.ids.hex(16), "mp4");
      return openTask(call, world, model, prompt, { video_result: [{ url, cover_image_url: toPicture(world) }] });
    }),
  ),
];

function draw(fields: Fields, reply: (prompt: string, model: string) => Reply): Reply {
  const model = readModel(fields);
  if (model === null) return refuse("1213", "model");
  // A film may also be made of a picture.
  const prompt = readString(fields, "prompt") ?? (fields.image_url === undefined ? null : "");
  return prompt === null ? refuse("1213", "prompt", model) : reply(prompt, model);
}

function toPicture({ origin, ids }: World): string {
  return toMediaUrl(origin, ids.hex(16), "png");
}

function openTask({ fields, account }: Call, world: World, model: string, prompt: string, result: object): Reply {
  const id = createId(world);
  const head = { id, request_id: readString(fields, "request_id") ?? id, model };
  const readyAfterMs = readWish(prompt, "task") ?? world.taskMs;
  world.store.put(account, "task", id, { head, readyAfterMs, fails: prompt.includes("[fail]"), result });
  return answer({ ...head, task_status: "PROCESSING" }, model);
}

function readTask({ head, readyAfterMs, fails, result }: Fields, ageMs: number): object {
  if (ageMs < (readyAfterMs as number)) return { ...(head as object), task_status: "PROCESSING" };
  if (fails === true) return { ...(head as object), task_status: "FAIL" };
  return { ...(result as object), ...(head as object), task_status: "SUCCESS" };
}

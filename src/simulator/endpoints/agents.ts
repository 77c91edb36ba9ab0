// Agents and assistants of the simulated GLM. An agent answers at once or as a stream, and as a task when the prompt
// holds [async].

import type { Fields } from "../chat-request.ts";
import { toStreamPlan } from "../plan.ts";
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
  type World,
} from "./endpoint.ts";
import { readPrompt, talk, toPlainUsage } from "./talk.ts";

export const agentEndpoints = [
  define("POST", "/agents", runAgent),
  define("POST", "/agents/async-result", ({ fields, account }, { store, clock, taskMs }) => {
    const id = readString(fields, "async_id");
    if (id === null) return refuse("1213", "async_id");
    const task = store.find(account, "agent task", id);
    if (!task) return notFound("async_id");
    const { agent_id, choices, fails } = task.value;
    const head = { agent_id, async_id: id };
    if (clock.now() - task.createdAt < taskMs) return answer({ ...head, status: "pending" });
    return answer(fails ? { ...head, status: "failed" } : { ...head, status: "success", choices });
  }),
  define("POST", "/agents/conversation", ({ fields, account }, { store }) => {
    const id = readString(fields, "conversation_id");
    if (id === null) return refuse("1213", "conversation_id");
    const conversation = store.find(account, "conversation", id);
    return conversation ? answer(conversation.value) : notFound("conversation_id");
  }),
];

export const assistantEndpoints = [
  define("POST", "/assistant", assist),
  define("POST", "/assistant/list", ({ fields }) => {
    const ids = Array.isArray(fields.assistant_id_list) ? fields.assistant_id_list : ["simulated"];
    const data = ids.map((id) => ({ assistant_id: id, name: `Assistant ${id}`, status: "publish", tools: [] }));
    return answer({ code: 200, msg: "success", data });
  }),
  define("POST", "/assistant/conversation/list", ({ fields }) => {
    const id = readString(fields, "assistant_id");
    if (id === null) return refuse("1213", "assistant_id");
    return answer({ code: 200, msg: "success", data: { assistant_id: id, has_more: false, conversation_list: [] } });
  }),
];

function runAgent({ fields, account }: Call, world: World): Reply {
  const agentId = readString(fields, "agent_id");
  if (agentId === null) return refuse("1213", "agent_id");
  const prompt = readPrompt(fields.messages);
  if (prompt === "") return refuse("1213", "messages");
  const { said, text, pace } = talk(prompt, agentId, world);
  const conversationId = readString(fields, "conversation_id") ?? createId(world);
  const head = { id: said.id, agent_id: agentId, conversation_id: conversationId };
  const choice = { index: 0, finish_reason: "stop", message: { role: "assistant", content: text } };
  world.store.put(account, "conversation", conversationId, { ...head, choices: [choice] });
  if (prompt.includes("[async]")) {
    const task = { agent_id: agentId, choices: [choice], fails: prompt.includes("[fail]") };
    const { id } = world.store.put(account, "agent task", createId(world), task);
    return answer({ ...head, async_id: id, status: "pending" });
  }
  const usage = toPlainUsage(said);
  if (fields.stream !== true) {
    return { ...answer({ ...head, status: "success", choices: [choice], request_id: said.id, usage }), pace };
  }
  const frames = said.content.map((content) => ({
    ...head,
    choices: [{ index: 0, delta: { role: "assistant", content } }],
  }));
  const end = { ...head, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: "stop" }] };
  return answerWith(toStreamPlan([...frames, { ...end, usage }]), null, pace);
}

function assist({ fields }: { readonly fields: Fields }, world: World): Reply {
  const assistantId = readString(fields, "assistant_id");
  if (assistantId === null) return refuse("1213", "assistant_id");
  const prompt = readPrompt(fields.messages);
  if (prompt === "") return refuse("1213", "messages");
  const { said, text, pace } = talk(prompt, assistantId, world);
  const head = {
    id: said.id,
    conversation_id: readString(fields, "conversation_id") ?? createId(world),
    assistant_id: assistantId,
    // Milliseconds here, and here alone.
    created: world.clock.wallNow(),
    last_error: null,
    metadata: null,
  };
  const toFrame = (status: string, content: string, more: object = {}) => {
    const isOver = status === "completed";
    const choice = { index: 0, delta: { role: "assistant", content }, finish_reason: isOver ? "stop" : "" };
    return { ...head, status, choices: [{ ...choice, metadata: {} }], ...more };
  };
  const usage = toPlainUsage(said);
  if (fields.stream !== true) return { ...answer(toFrame("completed", text, { usage })), pace };
  const frames = said.content.map((content) => toFrame("in_progress", content));
  return answerWith(toStreamPlan([...frames, toFrame("completed", "", { usage })]), null, pace);
}

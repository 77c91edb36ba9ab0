// What GLM accepts as a chat request, and by which code it objects to the rest. Also reads the wishes that a prompt may
// hold for the simulation: [frames=40] content frames, [reasoning=9] frames of thought, [delay=25] ms between frames,
// [first=100] ms before the first.

import { estimateTokens, type Model, models } from "./models.ts";

export interface ChatRequest {
  readonly model: string;
  readonly isStream: boolean;
  readonly isThinking: boolean;
  readonly hasToolStream: boolean;
  readonly tokensMax: number;
  readonly requestId: string | null;
  /** The last user message's text. */
  readonly prompt: string;
  readonly promptTokens: number;
  /** The function that the prompt mentions by name, or null. */
  readonly tool: Tool | null;
  readonly wishes: Wishes;
}

export interface Tool {
  readonly name: string;
  /** The parameters' JSON Schema, as it came. */
  readonly parameters: unknown;
}

export interface Wishes {
  readonly frames: number | null;
  readonly reasoningFrames: number | null;
  readonly delayMs: number | null;
  readonly firstMs: number | null;
}

export interface Objection {
  readonly code: "1210" | "1211" | "1213" | "1214" | "1261";
  /** The parameter that it is about. */
  readonly param: string;
  /** The model that was asked for, if it is one. */
  readonly model: string | null;
}

export type Fields = Readonly<Record<string, unknown>>;

const plainModel: Model = {
  canThink: false,
  mustThink: false,
  canSee: true,
  contextTokens: 1_048_576,
  outputTokensMax: 131_072,
};
const framesMax = 100_000;
const toolsMax = 128;
const roles: readonly unknown[] = ["system", "user", "assistant", "tool"];

export function parseChatRequest(body: Buffer): ChatRequest | Objection {
  const fields = parseObject(body);
  return fields ? parseChatFields(fields) : { code: "1210", param: "", model: null };
}

export function parseChatFields(fields: Fields): ChatRequest | Objection {
  const name = typeof fields.model === "string" ? fields.model.toLowerCase() : null;
  const model = name === null ? undefined : models.get(name);
  const missing = findMissing(fields);
  if (missing) return { code: "1213", param: missing, model: model ? name : null };
  if (name === null || !model) return { code: "1211", param: "model", model: null };
  if (model.mustThink && readThinking(fields) === "disabled") return { code: "1210", param: "thinking", model: name };
  const wrong = parameterRules.find(([, isFine]) => !isFine(fields, model));
  if (wrong) return { code: "1214", param: wrong[0], model: name };
  if (hasBrokenToolCall(fields)) return { code: "1210", param: "messages", model: name };
  const promptTokens = estimateTokens(JSON.stringify(fields.messages));
  if (promptTokens > model.contextTokens) return { code: "1261", param: "messages", model: name };
  return readRequest(fields, name, model, promptTokens);
}

/** As servers of other models take it: no rules but that there must be messages, and any name is a model's. */
export function parsePlainChat(fields: Fields): ChatRequest | Objection {
  const missing = findMissing(fields);
  if (missing !== null) return { code: "1213", param: missing, model: null };
  const name = fields.model as string;
  const messages = toList(fields.messages);
  if (messages.length === 0) return { code: "1214", param: "messages", model: name };
  const max = fields.max_completion_tokens ?? fields.max_tokens ?? plainModel.outputTokensMax;
  if (!isWithin(max, 1, plainModel.contextTokens, true)) return { code: "1214", param: "max_tokens", model: name };
  const plain = { ...fields, max_tokens: max, tool_stream: true };
  const chat = readRequest(plain, name, plainModel, estimateTokens(JSON.stringify(messages)));
  return { ...chat, isThinking: chat.wishes.reasoningFrames !== null };
}

function readRequest(fields: Fields, name: string, model: Model, promptTokens: number): ChatRequest {
  const messages = toList(fields.messages);
  const prompt = readText(messages.findLast(({ role }) => role === "user")?.content);
  return {
    model: name,
    isStream: fields.stream === true,
    isThinking: model.canThink && readThinking(fields) !== "disabled",
    hasToolStream: fields.tool_stream === true,
    tokensMax: (fields.max_tokens as number | null | undefined) ?? model.outputTokensMax,
    requestId: typeof fields.request_id === "string" ? fields.request_id : null,
    prompt,
    promptTokens,
    // A result that has come is talked about; calling again would go on for ever.
    tool: messages.at(-1)?.role === "tool" ? null : findMentionedTool(toList(fields.tools), prompt),
    wishes: readWishes(prompt),
  };
}

type ParameterRule = readonly [param: string, isFine: (fields: Fields, model: Model) => boolean];

/** In the order in which they are looked at. Null counts as absent. */
const parameterRules: readonly ParameterRule[] = [
  ["messages", ({ messages }, model) => areMessagesFine(messages, model)],
  ["stream", ({ stream }) => isAbsent(stream) || typeof stream === "boolean"],
  ["thinking", ({ thinking }) => isAbsent(thinking) || isThinkingFine(thinking)],
  ["stop", ({ stop }) => isAbsent(stop) || (Array.isArray(stop) && stop.length <= 1)],
  ["max_tokens", ({ max_tokens: max }, model) => isAbsent(max) || isWithin(max, 1, model.outputTokensMax, true)],
  ["temperature", ({ temperature }) => isAbsent(temperature) || isWithin(temperature, 0, 1)],
  ["top_p", ({ top_p: topP }) => isAbsent(topP) || isWithin(topP, 0.01, 1)],
  ["user_id", ({ user_id: id }) => isAbsent(id) || (typeof id === "string" && isWithin(id.length, 6, 128))],
  ["request_id", ({ request_id: id }) => isAbsent(id) || typeof id === "string"],
  ["tools", ({ tools }) => isAbsent(tools) || areToolsFine(tools)],
];

function findMissing({ model, messages }: Fields): string | null {
  if (typeof model !== "string" || model === "") return "model";
  return isAbsent(messages) ? "messages" : null;
}

function areMessagesFine(messages: unknown, model: Model): boolean {
  if (!Array.isArray(messages) || messages.length === 0) return false;
  const list = toList(messages);
  if (list.length !== messages.length || !list.every(({ role }) => roles.includes(role))) return false;
  const isAnswered = list.every(({ role, tool_call_id: id }) => role !== "tool" || typeof id === "string");
  const hasQuestion = list.some(({ role }) => role === "user" || role === "tool");
  return isAnswered && hasQuestion && list.every(({ content }) => isContentFine(content, model));
}

function isContentFine(content: unknown, model: Model): boolean {
  if (isAbsent(content) || typeof content === "string") return true;
  if (!Array.isArray(content)) return false;
  return toList(content).every(({ type }) => type === "text" || (model.canSee && /^\w+_url$/.test(String(type))));
}

function isThinkingFine(thinking: unknown): boolean {
  const { type } = (thinking ?? {}) as Fields;
  return isAbsent(type) || type === "enabled" || type === "disabled";
}

function areToolsFine(tools: unknown): boolean {
  if (!Array.isArray(tools) || tools.length > toolsMax) return false;
  return toList(tools).every(({ type, function: called }) => {
    if (type !== "function") return typeof type === "string";
    const { name } = (called ?? {}) as Fields;
    return typeof name === "string" && /^[a-zA-Z0-9_-]{1,64}$/.test(name);
  });
}

/** Arguments that are not JSON, in a call that the conversation brings back. */
function hasBrokenToolCall({ messages }: Fields): boolean {
  return toList(messages)
    .flatMap(({ tool_calls: calls }) => toList(calls))
    .some(({ function: called }) => {
      const { arguments: text } = (called ?? {}) as Fields;
      return typeof text === "string" && text !== "" && !isJson(text);
    });
}

function findMentionedTool(tools: readonly Fields[], prompt: string): Tool | null {
  for (const { function: called } of tools) {
    const { name, parameters } = (called ?? {}) as Fields;
    if (typeof name === "string" && prompt.includes(name)) return { name, parameters };
  }
  return null;
}

function readThinking({ thinking }: Fields): unknown {
  return ((thinking ?? {}) as Fields).type;
}

export function readText(content: unknown): string {
  if (typeof content === "string") return content;
  return toList(content)
    .map(({ text }) => (typeof text === "string" ? text : ""))
    .join(" ");
}

export function readWishes(prompt: string): Wishes {
  return {
    frames: readWish(prompt, "frames"),
    reasoningFrames: readWish(prompt, "reasoning"),
    delayMs: readWish(prompt, "delay"),
    firstMs: readWish(prompt, "first"),
  };
}

export function readWish(prompt: string, name: string): number | null {
  const match = new RegExp(`\\[${name}=(\\d{1,6})\\]`).exec(prompt);
  return match ? Math.min(Number(match[1]), framesMax) : null;
}

export function parseObject(body: Buffer): Fields | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
  } catch {
    return null;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The objects of a list; nothing of what is no list. */
export function toList(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "object" && item !== null) : [];
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isWithin(value: unknown, min: number, max: number, isWhole = false): boolean {
  return typeof value === "number" && value >= min && value <= max && (!isWhole || Number.isInteger(value));
}

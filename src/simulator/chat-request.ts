// What GLM accepts as a chat request, and by which code it refuses the rest. Also reads the wishes that a prompt may
// hold for the simulation: [frames=40] content frames, [delay=25] ms between them, [first=100] ms before the first.

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
  readonly toolName: string | null;
  readonly wishes: Wishes;
}

export interface Wishes {
  readonly frames: number | null;
  readonly delayMs: number | null;
  readonly firstMs: number | null;
}

export interface Model {
  readonly canThink: boolean;
  readonly mustThink: boolean;
  readonly outputTokensMax: number;
}

const framesMax = 100_000;
const contextBytesMax = 1_000_000;

export const models: ReadonlyMap<string, Model> = new Map([
  ["glm-4-flash-250414", { canThink: false, mustThink: false, outputTokensMax: 16_384 }],
  ["glm-4.5-flash", { canThink: true, mustThink: false, outputTokensMax: 98_304 }],
  ["glm-4.5-air", { canThink: true, mustThink: false, outputTokensMax: 98_304 }],
  ["glm-4.6v", { canThink: true, mustThink: false, outputTokensMax: 32_768 }],
  ["glm-4.7", { canThink: true, mustThink: false, outputTokensMax: 131_072 }],
  ["glm-4.7-flash", { canThink: true, mustThink: false, outputTokensMax: 131_072 }],
  ["glm-5.3", { canThink: true, mustThink: true, outputTokensMax: 131_072 }],
  ["glm-5.3-flash", { canThink: true, mustThink: true, outputTokensMax: 131_072 }],
]);

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/** The request, or GLM's code for what is wrong with it. */
export function parseChatRequest(body: Buffer): ChatRequest | { code: string } {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  } catch {
    return { code: "1210" };
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return { code: "1210" };
  const name = typeof fields.model === "string" ? fields.model.toLowerCase() : null;
  const messages = fields.messages as Message[];
  if (name === null || messages === undefined) return { code: "1213" };
  const model = models.get(name);
  if (!model) return { code: "1211" };
  const thinking = (fields.thinking as { type?: unknown } | undefined)?.type;
  if (model.mustThink && thinking === "disabled") return { code: "1210" };
  const isFine = areMessagesFine(messages) && areOptionsFine(fields, model);
  if (!isFine) return { code: "1214" };
  if (body.length > contextBytesMax) return { code: "1261" };
  const prompt = readText(messages.findLast(({ role }) => role === "user")?.content);
  return {
    model: name,
    isStream: fields.stream === true,
    isThinking: model.canThink && thinking !== "disabled",
    hasToolStream: fields.tool_stream === true,
    tokensMax: (fields.max_tokens as number | undefined) ?? model.outputTokensMax,
    requestId: typeof fields.request_id === "string" ? fields.request_id : null,
    prompt,
    promptTokens: Math.max(1, Math.ceil(JSON.stringify(messages).length / 4)),
    toolName: findMentionedTool(fields.tools, prompt),
    wishes: {
      frames: readWish(prompt, "frames"),
      delayMs: readWish(prompt, "delay"),
      firstMs: readWish(prompt, "first"),
    },
  };
}

function areMessagesFine(messages: unknown): messages is Message[] {
  if (!Array.isArray(messages) || messages.length === 0) return false;
  const roles = messages.map((message: Message) => message?.role);
  if (!roles.every((role) => ["system", "user", "assistant", "tool"].includes(role as string))) return false;
  return roles.some((role) => role === "user" || role === "tool");
}

function areOptionsFine(fields: Record<string, unknown>, { outputTokensMax }: Model): boolean {
  const { stream, stop, max_tokens: tokensMax, temperature, top_p: topP, user_id: userId, tools } = fields;
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") return false;
  if (stop !== undefined && stop !== null && (!Array.isArray(stop) || stop.length > 1)) return false;
  if (!isAbsentOr(tokensMax, (value) => Number.isInteger(value) && value >= 1 && value <= outputTokensMax))
    return false;
  if (!isAbsentOr(temperature, (value) => value >= 0 && value <= 1)) return false;
  if (!isAbsentOr(topP, (value) => value >= 0.01 && value <= 1)) return false;
  if (userId !== undefined && (typeof userId !== "string" || userId.length < 6 || userId.length > 128)) return false;
  return tools === undefined || tools === null || (Array.isArray(tools) && tools.length <= 128);
}

function isAbsentOr(value: unknown, isFine: (value: number) => boolean): boolean {
  return value === undefined || value === null || (typeof value === "number" && isFine(value));
}

function readText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part: { text?: unknown }) => (typeof part?.text === "string" ? part.text : "")).join(" ");
}

function findMentionedTool(tools: unknown, prompt: string): string | null {
  if (!Array.isArray(tools)) return null;
  const names = tools.map((tool: { function?: { name?: unknown } }) => tool?.function?.name);
  return (names.find((name) => typeof name === "string" && prompt.includes(name)) as string | undefined) ?? null;
}

function readWish(prompt: string, name: string): number | null {
  const match = new RegExp(`\\[${name}=(\\d{1,6})\\]`).exec(prompt);
  return match ? Math.min(Number(match[1]), framesMax) : null;
}

// What the lab's upstream answers: always the same bytes, made once. A call says in its prompt which ones it wants, since
// every gateway passes a prompt on, and not every one a header or a path.
//
//   [unary 1024]     a whole answer of so many bytes
//   [burst 200]      a stream of so many frames, all of them at once
//   [paced 50 20]    a stream with 50 frames a second, 20 in all; the first one comes at once

export type Wish =
  /** `promptBytes`: of the request. Default: about 1,000. */
  | { readonly kind: "unary"; readonly bytes: number; readonly promptBytes?: number }
  | { readonly kind: "burst"; readonly frames: number }
  | { readonly kind: "paced"; readonly framesPerSecond: number; readonly frames: number };

const model = "glm-4.5-flash";
const usage = '{"prompt_tokens":320,"completion_tokens":200,"total_tokens":520}';
const head = `{"id":"20260101000000lab","created":1767225600,"model":"${model}"`;
/** So that the request has the size of a short conversation: about 1 KB. */
const prompt =
  "Explain to a new colleague, in three sentences, what the service at hand does and who may use it. ".repeat(8);

/** What was said before, where a request is to be large: letters of two alphabets, quotes and line breaks. */
const talk = `${prompt.slice(0, 500)}\n“Why?” she asked, and "because" was all he said. 为什么？\n`.repeat(4);

export function parseWish(body: string): Wish {
  const [, kind, first, second] = /\[(unary|burst|paced) (\d+)(?: (\d+))?\]/.exec(body) ?? [];
  if (kind === "unary") return { kind, bytes: Number(first) };
  if (kind === "burst") return { kind, frames: Number(first) };
  if (kind === "paced") return { kind, framesPerSecond: Number(first), frames: Number(second) };
  throw new Error("the prompt does not say what is wished for");
}

/** The body of a chat request that wishes for it. */
export function toRequestBody(wish: Wish): string {
  const [kind, ...numbers] = Object.values(wish) as [string, ...number[]];
  const promptBytes = wish.kind === "unary" ? (wish.promptBytes ?? 0) : 0;
  const said = Array.from({ length: Math.ceil(promptBytes / talk.length) }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: talk,
  }));
  return JSON.stringify({
    model,
    messages: [...said, { role: "user", content: `${prompt}[${kind} ${numbers.join(" ")}]` }],
    stream: wish.kind !== "unary",
    max_tokens: 512,
  });
}

/** A whole answer of exactly so many bytes. */
export function createUnary(bytes: number): Buffer {
  const start = `${head},"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"`;
  const end = `"}}],"usage":${usage}}`;
  const text = "All of it is said again and again. ".repeat(Math.ceil(bytes / 35));
  return Buffer.from(start + text.slice(0, Math.max(0, bytes - start.length - end.length)) + end);
}

export const frame = Buffer.from(
  `data: ${head},"choices":[{"index":0,"delta":{"role":"assistant","content":" token"}}]}\n\n`,
);
/** Reason, usage and [DONE]: two frames. */
export const lastFrames = Buffer.from(
  `data: ${head},"choices":[{"index":0,"finish_reason":"stop","delta":{"role":"assistant","content":""}}],"usage":${usage}}\n\ndata: [DONE]\n\n`,
);

export function createBurst(frames: number): Buffer {
  return Buffer.concat([...Array.from({ length: Math.max(0, frames - 2) }, () => frame), lastFrames]);
}

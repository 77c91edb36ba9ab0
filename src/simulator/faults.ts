// What can go wrong upstream, by name. A fault changes the plan of one answer: what is sent before the head, the head,
// the pieces of the body, and how it ends. Nothing is written here; play.ts does that.

import { brotliCompressSync, gzipSync } from "node:zlib";
import { type GlmLanguage, toErrorBody, toGlmError } from "./glm-errors.ts";

/** The plan of one answer. */
export interface Plan {
  /** What happens instead of an answer, or not. */
  readonly before: "answer" | "refuse" | "reset" | "stall";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly Buffer[];
  readonly isStream: boolean;
  /** end: properly · cut: FIN without the last chunk · reset: RST · stall: never */
  readonly ending: "end" | "cut" | "reset" | "stall";
  /** Pause before each piece, overriding the usual pace. */
  readonly paceMs?: number;
  /** Answers before the request's body is read. */
  readonly isEarly?: boolean;
  /** Bytes sent on the connection when it is idle again. */
  readonly afterword?: string;
}

export interface FaultContext {
  readonly authorization: string;
  readonly language: GlmLanguage;
  readonly wallNowMs: number;
}

/** One scripted fault by its name; it applies to the next `times` calls (default 1). */
export interface ScriptedFault extends FaultDetails {
  readonly fault: FaultName;
}

interface FaultDetails {
  readonly times?: number;
  /** Frames that still come before it. */
  readonly after?: number;
  /** GLM's business code. */
  readonly code?: string;
  readonly status?: number;
  readonly message?: string;
  /** Header value in seconds. */
  readonly retryAfter?: number;
  readonly reason?: string;
  readonly bytes?: number;
  readonly ms?: number;
  /** For `usage`: what stands in its place. */
  readonly raw?: unknown;
}

type Fault = (plan: Plan, script: FaultDetails, context: FaultContext) => Plan;

const doneFrame = Buffer.from("data: [DONE]\n\n");
const json = { "content-type": "application/json; charset=UTF-8" };

const faults = {
  /** An error body; status by the code unless given. */
  error: (plan, script, { language, wallNowMs }) => {
    const known = toGlmError(script.code ?? "500", language, wallNowMs);
    const body = toErrorBody({ ...known, message: script.message ?? known.message });
    const headers = { ...json, ...(script.retryAfter !== undefined && { "retry-after": String(script.retryAfter) }) };
    return { ...plan, isStream: false, status: script.status ?? known.status, headers, pieces: [Buffer.from(body)] };
  },
  refuse: (plan) => ({ ...plan, before: "refuse" }),
  resetBeforeHeaders: (plan) => ({ ...plan, before: "reset" }),
  stallBeforeHeaders: (plan) => ({ ...plan, before: "stall" }),
  resetMidStream: (plan, script) => ({ ...keepFirst(plan, script), ending: "reset" }),
  /** The connection closes without the last chunk. */
  cutMidStream: (plan, script) => ({ ...keepFirst(plan, script), ending: "cut" }),
  /** The body ends properly, but what was said is not finished. */
  endEarly: (plan, script) => keepFirst(plan, script),
  cutMidFrame: (plan, script) => {
    const kept = keepFirst(plan, script).pieces;
    const half = plan.pieces[kept.length];
    return { ...plan, pieces: half ? [...kept, half.subarray(0, half.length >> 1)] : kept, ending: "cut" };
  },
  stallMidStream: (plan, script) => ({ ...keepFirst(plan, script), ending: "stall" }),
  /** Each piece comes byte by byte, `ms` apart. */
  drip: (plan, { ms }) => ({ ...plan, pieces: toCrumbs(plan.pieces), paceMs: ms ?? 1 }),
  /** One byte a write, without pauses: cuts characters and line ends. */
  slice: (plan) => ({ ...plan, pieces: toCrumbs(plan.pieces), paceMs: 0 }),
  crlf: (plan) => ({ ...plan, pieces: plan.pieces.map((piece) => replaceText(piece, /\n/g, "\r\n")) }),
  malformedFrame: (plan, script) => insert(plan, script, 'data: {"choices":[{"delta":{"conte\n\n'),
  /** A frame with everything empty, as was seen in the wild. */
  emptyFrame: (plan, script) =>
    insert(plan, script, 'data: {"id":"","object":"","created":0,"model":"","choices":null,"usage":null}\n\n'),
  /** An error object among the frames; the stream ends there. */
  errorFrame: (plan, script, { language, wallNowMs }) => {
    const body = toErrorBody(toGlmError(script.code ?? "1234", language, wallNowMs));
    const { pieces } = keepFirst(plan, script);
    return { ...plan, pieces: [...pieces, Buffer.from(`data: ${body}\n\n`)] };
  },
  /** A page of a content delivery network. */
  html: (plan, { status }) => ({
    ...plan,
    isStream: false,
    status: status ?? 502,
    headers: { "content-type": "text/html" },
    pieces: [Buffer.from("<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")],
  }),
  wrongContentType: (plan) => ({ ...plan, headers: { "content-type": "text/plain" } }),
  noDone: (plan) => ({ ...plan, pieces: plan.pieces.filter((piece) => !piece.equals(doneFrame)) }),
  afterDone: (plan) => ({ ...plan, pieces: [...plan.pieces, Buffer.from('data: {"late":true}\n\n')] }),
  doubleDone: (plan) => ({ ...plan, pieces: [...plan.pieces, doneFrame] }),
  finish: (plan, { reason }) => ({
    ...plan,
    pieces: plan.pieces.map((piece) =>
      replaceText(piece, /"finish_reason":"\w+"/, `"finish_reason":"${reason ?? "network_error"}"`),
    ),
  }),
  redirect: (plan, { message }) => ({
    ...plan,
    isStream: false,
    status: 302,
    headers: { location: message ?? "http://127.0.0.1:9/elsewhere" },
    pieces: [],
  }),
  status: (plan, { status }) => ({ ...plan, isStream: false, status: status ?? 204, headers: {}, pieces: [] }),
  gzip: (plan) => compress(plan, "gzip", gzipSync),
  br: (plan) => compress(plan, "br", brotliCompressSync),
  gzipTwice: (plan) => compress(plan, "gzip, gzip", (bytes) => gzipSync(gzipSync(bytes))),
  gzipBomb: (plan, { bytes }) => {
    const bomb = Buffer.alloc(bytes ?? 64 * 1024 * 1024, " ");
    return compress({ ...plan, pieces: [bomb] }, "gzip", gzipSync);
  },
  hugeHeader: (plan) => ({ ...plan, headers: { ...plan.headers, "x-huge": "x".repeat(64 * 1024) } }),
  manyHeaders: (plan) => {
    const more = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x-many-${index}`, "1"]));
    return { ...plan, headers: { ...plan.headers, ...more } };
  },
  /** Headers that must not reach a client. */
  foreignHeaders: (plan) => ({
    ...plan,
    headers: {
      ...plan.headers,
      "set-cookie": "session=1",
      location: "http://127.0.0.1:9/",
      "strict-transport-security": "max-age=1",
      "content-security-policy": "default-src *",
      "clear-site-data": '"*"',
      "x-ratelimit-limit-requests": "1",
      server: "nginx",
    },
  }),
  /** Repeats our credentials in an error's words and in a header. */
  echoAuthorization: (plan, script, { authorization }) => ({
    ...plan,
    isStream: false,
    status: script.status ?? 400,
    headers: { ...json, "x-request-id": authorization.replace(/^Bearer /, "") },
    pieces: [Buffer.from(toErrorBody({ status: 400, code: "1214", message: `bad key: ${authorization}` }))],
  }),
  longContentLength: (plan) => withLength(plan, 100),
  shortContentLength: (plan) => withLength(plan, -10),
  hugeAnswer: (plan, { bytes }) => {
    const text = "x".repeat(bytes ?? 1024 * 1024);
    if (!plan.isStream)
      return { ...plan, pieces: [replaceText(join(plan.pieces), /"content":"/, `"content":"${text}`)] };
    const frame = Buffer.from(`data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(16_000)}"}}]}\n\n`);
    const count = Math.ceil(text.length / frame.length);
    return { ...plan, pieces: [...Array.from({ length: count }, () => frame), ...plan.pieces], paceMs: 0 };
  },
  hugeLine: (plan, { bytes }) =>
    insert(plan, { after: 1 }, `data: {"x":"${"x".repeat(bytes ?? 4 * 1024 * 1024)}"}\n\n`),
  manyFrames: (plan, { bytes }) => ({
    ...plan,
    pieces: [Buffer.from(`data: {"choices":[]}\n\n`.repeat(bytes ?? 10_000)), ...plan.pieces],
  }),
  otherModel: (plan) => ({
    ...plan,
    pieces: plan.pieces.map((piece) => replaceText(piece, /"model":"[^"]+"/, '"model":"glm-5.3"')),
  }),
  /** Something else in place of the usage object. */
  usage: (plan, { raw }) => ({
    ...plan,
    pieces: plan.pieces.map((piece) =>
      replaceText(piece, /"usage":\{.*\}\}(?=\})/, `"usage":${JSON.stringify(raw ?? null)}`),
    ),
  }),
  /** Answers before it has read the request's body. */
  early400: (plan) => ({ ...plan, isEarly: true }),
  /** A second response that nobody asked for, on the then idle connection. */
  extraResponse: (plan) => ({
    ...plan,
    afterword: 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"evil":true}',
  }),
  /** Informational responses before the real one. */
  informational: (plan) => ({ ...plan, headers: { ...plan.headers, "x-sim-informational": "100" } }),
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as readonly FaultName[];

export function applyFault(plan: Plan, script: ScriptedFault, context: FaultContext): Plan {
  const fault: Fault = faults[script.fault];
  return fault(plan, script, context);
}

/** Throws an Error that says what is wrong with a script that came as JSON. */
export function parseFaults(value: unknown): ScriptedFault[] {
  const list = Array.isArray(value) ? value : [value];
  for (const item of list as { fault?: unknown }[]) {
    if (typeof item !== "object" || item === null || !faultNames.includes(item.fault as FaultName)) {
      throw new Error(`unknown fault ${JSON.stringify(item?.fault)}; known: ${faultNames.join(", ")}`);
    }
  }
  return list as ScriptedFault[];
}

function keepFirst(plan: Plan, { after }: FaultDetails): Plan {
  // An answer that is one piece is cut in its middle.
  if (plan.pieces.length === 1) {
    const [piece] = plan.pieces as [Buffer];
    return { ...plan, pieces: [piece.subarray(0, piece.length >> 1)] };
  }
  return { ...plan, pieces: plan.pieces.slice(0, after ?? 2) };
}

function insert(plan: Plan, { after }: FaultDetails, text: string): Plan {
  const at = after ?? 1;
  return { ...plan, pieces: [...plan.pieces.slice(0, at), Buffer.from(text), ...plan.pieces.slice(at)] };
}

function toCrumbs(pieces: readonly Buffer[]): Buffer[] {
  return Array.from(join(pieces), (byte) => Buffer.from([byte]));
}

function compress(plan: Plan, coding: string, encode: (bytes: Buffer) => Buffer): Plan {
  return { ...plan, headers: { ...plan.headers, "content-encoding": coding }, pieces: [encode(join(plan.pieces))] };
}

function withLength(plan: Plan, difference: number): Plan {
  const length = join(plan.pieces).length + difference;
  return { ...plan, headers: { ...plan.headers, "content-length": String(length) }, ending: "cut" };
}

function replaceText(piece: Buffer, pattern: RegExp, text: string): Buffer {
  return Buffer.from(piece.toString("utf8").replace(pattern, () => text));
}

function join(pieces: readonly Buffer[]): Buffer {
  return Buffer.concat(pieces);
}

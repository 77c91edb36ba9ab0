// What each fault does to the plan of an answer. Plans are values: nothing is written here.

import { brotliCompressSync, gzipSync } from "node:zlib";
import type { Fields } from "./chat-request.ts";
import type { Dialect } from "./dialect.ts";
import type { FaultName, FaultOf, ScriptedFault } from "./faults.ts";
import { type GlmError, type GlmLanguage, toGlmError } from "./glm-errors.ts";
import type { Plan } from "./plan.ts";

/** Long enough that what was written before has arrived alone. */
const segmentApartMs = 20;

export interface FaultContext {
  /** The header's value as it came. */
  readonly authorization: string;
  readonly language: GlmLanguage;
  readonly wallNowMs: number;
  readonly dialect: Dialect;
}

interface ListedPlan extends Plan {
  readonly pieces: readonly Buffer[];
}

type Effect<Name extends FaultName> = (plan: ListedPlan, fault: FaultOf<Name>, context: FaultContext) => Plan;

const effects: { readonly [Name in FaultName]: Effect<Name> } = {
  error: (asked, { code = "500", form = "status", status, message, retryAfter, contentType }, context) => {
    const { language, wallNowMs, dialect } = context;
    const known = toGlmError(code, language, wallNowMs);
    const said = { ...known, message: message ?? known.message };
    const isEvent = asked.isStream && (form === "event" || form === "eventApart");
    const plan = isEvent
      ? toFirstEvent(asked, said, form === "eventApart", dialect)
      : dialect.toErrorPlan(said, status ?? (form === "status" ? undefined : 200));
    const headers = {
      ...plan.headers,
      ...(contentType !== undefined && { "content-type": contentType }),
      ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    };
    return { ...plan, headers };
  },
  refuse: (plan) => ({ ...plan, before: "refuse" }),
  resetBeforeHeaders: (plan) => ({ ...plan, before: "reset" }),
  stallBeforeHeaders: (plan) => ({ ...plan, before: "stall" }),
  early400: (_, __, { language, wallNowMs, dialect }) => dialect.toErrorPlan(toGlmError("1210", language, wallNowMs)),
  html: (plan, { status = 502 }) => {
    const page = `<html><head><title>${status} Bad Gateway</title></head><body><center>nginx</center></body></html>`;
    return replaceBody(plan, status, { "content-type": "text/html" }, page);
  },
  redirect: (plan, { status = 302, location = "http://127.0.0.1:9/elsewhere" }) =>
    replaceBody(plan, status, { location }),
  status: (plan, { status = 204 }) => replaceBody(plan, status, {}),
  echoAuthorization: (_, { status = 400 }, { authorization, dialect }) => {
    const plan = dialect.toErrorPlan({ status, code: "1214", message: `bad key: ${authorization}` }, status);
    return addHeaders(plan, { "x-request-id": authorization.replace(/^Bearer /, "") });
  },

  wrongContentType: (plan, { contentType = "text/plain" }) => addHeaders(plan, { "content-type": contentType }),
  hugeHeader: (plan, { bytes = 64 * 1024 }) => addHeaders(plan, { "x-huge": "x".repeat(bytes) }),
  manyHeaders: (plan) =>
    addHeaders(plan, Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`x-many-${index}`, "1"]))),
  foreignHeaders: (plan) =>
    addHeaders(plan, {
      "set-cookie": "session=1",
      location: "http://127.0.0.1:9/",
      "strict-transport-security": "max-age=1",
      "content-security-policy": "default-src *",
      "clear-site-data": '"*"',
      "access-control-allow-origin": "*",
      "x-ratelimit-limit-requests": "1",
      server: "nginx",
    }),
  informational: (plan) => ({ ...plan, informationalCount: 100 }),
  longContentLength: (plan) => misstateLength(plan, 100),
  shortContentLength: (plan) => misstateLength(plan, -10),

  resetMidStream: (plan, { after }) => ({ ...keepFirst(plan, after), ending: "reset" }),
  cutMidStream: (plan, { after }) => ({ ...keepFirst(plan, after), ending: "cut" }),
  cutMidFrame: (plan, { after }) => {
    const kept = keepFirst(plan, after).pieces;
    const next = plan.pieces[kept.length];
    return { ...plan, pieces: next ? [...kept, next.subarray(0, next.length >> 1)] : kept, ending: "cut" };
  },
  endEarly: (plan, { after }) => keepFirst(plan, after),
  stallMidStream: (plan, { after }) => ({ ...keepFirst(plan, after), ending: "stall" }),

  drip: (plan, { ms = 1 }) => ({ ...plan, pieces: toBytes(plan), paceMs: ms }),
  slice: (plan) => ({ ...plan, pieces: toBytes(plan), paceMs: 0, writesApart: true }),
  burst: (plan) => ({ ...plan, pieces: [Buffer.concat(plan.pieces)] }),

  crlf: (plan) => rewrite(plan, /\n/g, "\r\n"),
  comments: (plan) => ({ ...plan, pieces: plan.pieces.flatMap((piece) => [Buffer.from(": keep-alive\n\n"), piece]) }),
  malformedFrame: (plan, { after = 1 }, { dialect }) => insert(plan, after, dialect.malformedFrame),
  emptyFrame: (plan, { after = 1 }, { dialect }) => insert(plan, after, dialect.emptyFrame),
  errorFrame: (plan, { after, code = "1234" }, { language, wallNowMs, dialect }) => {
    const frame = Buffer.from(dialect.toErrorFrame(toGlmError(code, language, wallNowMs)));
    return { ...plan, pieces: [...keepFirst(plan, after).pieces, frame] };
  },
  noDone: (plan, _, { dialect }) => ({
    ...plan,
    pieces: plan.pieces.filter((piece) => !piece.equals(dialect.lastFrame)),
  }),
  afterDone: (plan, _, { dialect }) => insert(plan, plan.pieces.length, dialect.lateFrame),
  doubleDone: (plan, _, { dialect }) => ({ ...plan, pieces: [...plan.pieces, dialect.lastFrame] }),
  finish: (plan, { reason = "network_error" }) => rewrite(plan, /(?<="(?:finish|stop)_reason":)"\w+"/, `"${reason}"`),
  emptyAnswer: (plan) => ({ ...plan, pieces: plan.pieces.filter(isNoContent).map(emptyOut) }),
  otherModel: (plan) => rewrite(plan, /"model":"[^"]+"/, '"model":"glm-5.3"'),
  usage: (plan, { raw = null }) => ({ ...plan, pieces: plan.pieces.map((piece) => replaceUsage(piece, raw)) }),
  duplicateToolFrame: (plan) => {
    const at = plan.pieces.findIndex((piece) => piece.includes('"tool_calls"') || piece.includes('"tool_use"'));
    return at < 0 ? plan : { ...plan, pieces: plan.pieces.toSpliced(at, 0, plan.pieces[at] as Buffer) };
  },
  hugeAnswer: (plan, { bytes = 1024 * 1024 }, { dialect }) =>
    plan.isStream ? growStream(plan, bytes, dialect) : growJson(plan, bytes),
  hugeLine: (plan, { bytes = 4 * 1024 * 1024 }, { dialect }) => insert(plan, 1, dialect.toIdleFrame(bytes)),
  manyFrames: (plan, { bytes = 10_000 }, { dialect }) => insert(plan, 0, dialect.toIdleFrame(0).repeat(bytes)),

  gzip: (plan) => encode(plan, "gzip", gzipSync),
  br: (plan) => encode(plan, "br", brotliCompressSync),
  gzipTwice: (plan) => encode(plan, "gzip, gzip", (bytes) => gzipSync(gzipSync(bytes))),
  gzipBomb: (plan, { bytes = 64 * 1024 * 1024 }) =>
    encode({ ...plan, pieces: [Buffer.alloc(bytes, " ")] }, "gzip", gzipSync),

  extraResponse: (plan) => ({
    ...plan,
    afterword: 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"evil":true}',
  }),
};

export function applyFault(plan: Plan, fault: ScriptedFault, context: FaultContext): Plan {
  // The table pairs each name with its own fault, which TypeScript cannot follow through a union of names.
  const effect = effects[fault.fault] as (plan: ListedPlan, fault: ScriptedFault, context: FaultContext) => Plan;
  const disturbed = effect({ ...plan, pieces: [...plan.pieces] }, fault, context);
  return fault.and ? applyFault(disturbed, fault.and, context) : disturbed;
}

/** The stream begins with an error, and ends there. */
function toFirstEvent(plan: ListedPlan, error: GlmError, isApart: boolean, dialect: Dialect): Plan {
  const pieces = [Buffer.from(dialect.toErrorFrame(error))];
  return { ...plan, code: error.code, pieces, headAheadMs: isApart ? segmentApartMs : 0 };
}

function replaceBody(plan: Plan, status: number, headers: Plan["headers"], text = ""): Plan {
  const pieces = text === "" ? [] : [Buffer.from(text)];
  return { ...plan, isStream: false, status, code: null, headers, pieces };
}

function addHeaders(plan: Plan, headers: Plan["headers"]): Plan {
  return { ...plan, headers: { ...plan.headers, ...headers } };
}

function keepFirst(plan: ListedPlan, count = 2): ListedPlan {
  const [first] = plan.pieces;
  if (first && plan.pieces.length === 1) return { ...plan, pieces: [first.subarray(0, first.length >> 1)] };
  return { ...plan, pieces: plan.pieces.slice(0, count) };
}

function insert(plan: ListedPlan, at: number, text: string): Plan {
  return { ...plan, pieces: plan.pieces.toSpliced(at, 0, Buffer.from(text)) };
}

function rewrite(plan: ListedPlan, pattern: RegExp, text: string): Plan {
  const pieces = plan.pieces.map((piece) => Buffer.from(piece.toString("utf8").replace(pattern, () => text)));
  return { ...plan, pieces };
}

/** One by one, since a large answer has very many. */
function* toBytes({ pieces }: ListedPlan): Generator<Buffer> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at++) yield piece.subarray(at, at + 1);
  }
}

function encode(plan: ListedPlan, coding: string, toCoded: (bytes: Buffer) => Buffer): Plan {
  return { ...addHeaders(plan, { "content-encoding": coding }), pieces: [toCoded(Buffer.concat(plan.pieces))] };
}

function misstateLength(plan: ListedPlan, difference: number): Plan {
  const length = Buffer.concat(plan.pieces).length + difference;
  return { ...addHeaders(plan, { "content-length": String(length) }), ending: "cut" };
}

function growJson(plan: ListedPlan, bytes: number): Plan {
  return rewrite(plan, /(?<="(?:content|text)":")/, "x".repeat(bytes));
}

function growStream(plan: ListedPlan, bytes: number, dialect: Dialect): Plan {
  const { frame, at } = dialect.toMoreContent("x".repeat(16_000), plan.pieces);
  const piece = Buffer.from(frame);
  const more = Array.from({ length: Math.ceil(bytes / Math.max(1, piece.length)) }, () => piece);
  return { ...plan, pieces: plan.pieces.toSpliced(at, 0, ...more), paceMs: 0 };
}

/** The frame or body that has the usage as its own member, as `change` makes it; anything else stays as it is. */
function rewriteLast(piece: Buffer, change: (fields: Fields) => Fields): Buffer {
  const [, before = "", json = "", after = ""] =
    /^((?:event: .*\n)?(?:data: )?)(\{.*\})(\n\n)?$/s.exec(String(piece)) ?? [];
  if (!json.includes('"usage":{')) return piece;
  const fields = JSON.parse(json) as Fields;
  return fields.usage === undefined ? piece : Buffer.from(before + JSON.stringify(change(fields)) + after);
}

function replaceUsage(piece: Buffer, raw: unknown): Buffer {
  return rewriteLast(piece, (fields) => ({ ...fields, usage: raw }));
}

/** A whole answer, or a frame without which a stream would not be complete. */
function isNoContent(piece: Buffer): boolean {
  return !/^(?:event|data):/.test(String(piece)) || /message_|_reason":"|"usage":\{|\[DONE\]/.test(String(piece));
}

function emptyOut(piece: Buffer): Buffer {
  return rewriteLast(piece, ({ content, choices, usage, ...fields }) => ({
    ...fields,
    ...(content !== undefined && { content: [] }),
    ...(Array.isArray(choices) && {
      choices: (choices as Fields[]).map(({ message, ...choice }) => ({
        ...choice,
        ...(message !== undefined && { message: { role: "assistant", content: "" } }),
      })),
    }),
    usage: Object.fromEntries(Object.keys(usage as Fields).map((name) => [name, 0])),
  }));
}

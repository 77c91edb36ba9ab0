// What each fault does to the plan of an answer. Plans are values: nothing is written here.

import { brotliCompressSync, gzipSync } from "node:zlib";
import type { FaultName, FaultOf, ScriptedFault } from "./faults.ts";
import { type GlmLanguage, toErrorBody, toGlmError } from "./glm-errors.ts";
import { doneFrame, jsonHeaders, type Plan, toErrorPlan } from "./plan.ts";

export interface FaultContext {
  /** The header's value as it came. */
  readonly authorization: string;
  readonly language: GlmLanguage;
  readonly wallNowMs: number;
}

interface ListedPlan extends Plan {
  readonly pieces: readonly Buffer[];
}

type Effect<Name extends FaultName> = (plan: ListedPlan, fault: FaultOf<Name>, context: FaultContext) => Plan;

const effects: { readonly [Name in FaultName]: Effect<Name> } = {
  error: (_, { code = "500", status, message, retryAfter, contentType }, { language, wallNowMs }) => {
    const known = toGlmError(code, language, wallNowMs);
    const plan = toErrorPlan({ code, status: status ?? known.status, message: message ?? known.message });
    const headers = {
      "content-type": contentType ?? jsonHeaders["content-type"],
      ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    };
    return { ...plan, headers };
  },
  refuse: (plan) => ({ ...plan, before: "refuse" }),
  resetBeforeHeaders: (plan) => ({ ...plan, before: "reset" }),
  stallBeforeHeaders: (plan) => ({ ...plan, before: "stall" }),
  early400: (_, __, { language, wallNowMs }) => toErrorPlan(toGlmError("1210", language, wallNowMs)),
  html: (plan, { status = 502 }) => {
    const page = `<html><head><title>${status} Bad Gateway</title></head><body><center>nginx</center></body></html>`;
    return replaceBody(plan, status, { "content-type": "text/html" }, page);
  },
  redirect: (plan, { status = 302, location = "http://127.0.0.1:9/elsewhere" }) =>
    replaceBody(plan, status, { location }),
  status: (plan, { status = 204 }) => replaceBody(plan, status, {}),
  echoAuthorization: (plan, { status = 400 }, { authorization }) => {
    const body = toErrorBody({ status, code: "1214", message: `bad key: ${authorization}` });
    const headers = { ...jsonHeaders, "x-request-id": authorization.replace(/^Bearer /, "") };
    return { ...replaceBody(plan, status, headers, JSON.stringify(body)), code: "1214" };
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
  malformedFrame: (plan, { after = 1 }) => insert(plan, after, 'data: {"choices":[{"delta":{"conte\n\n'),
  emptyFrame: (plan, { after = 1 }) =>
    insert(plan, after, 'data: {"id":"","object":"","created":0,"model":"","choices":null,"usage":null}\n\n'),
  errorFrame: (plan, { after, code = "1234" }, { language, wallNowMs }) => {
    const body = JSON.stringify(toErrorBody(toGlmError(code, language, wallNowMs)));
    return { ...plan, pieces: [...keepFirst(plan, after).pieces, Buffer.from(`data: ${body}\n\n`)] };
  },
  noDone: (plan) => ({ ...plan, pieces: plan.pieces.filter((piece) => !piece.equals(doneFrame)) }),
  afterDone: (plan) => insert(plan, plan.pieces.length, 'data: {"late":true}\n\n'),
  doubleDone: (plan) => ({ ...plan, pieces: [...plan.pieces, doneFrame] }),
  finish: (plan, { reason = "network_error" }) => rewrite(plan, /"finish_reason":"\w+"/, `"finish_reason":"${reason}"`),
  otherModel: (plan) => rewrite(plan, /"model":"[^"]+"/, '"model":"glm-5.3"'),
  usage: (plan, { raw = null }) => rewrite(plan, /"usage":\{.*\}\}(?=\})/, `"usage":${JSON.stringify(raw)}`),
  duplicateToolFrame: (plan) => {
    const at = plan.pieces.findIndex((piece) => piece.includes('"tool_calls"'));
    return at < 0 ? plan : { ...plan, pieces: plan.pieces.toSpliced(at, 0, plan.pieces[at] as Buffer) };
  },
  hugeAnswer: (plan, { bytes = 1024 * 1024 }) => (plan.isStream ? growStream(plan, bytes) : growJson(plan, bytes)),
  hugeLine: (plan, { bytes = 4 * 1024 * 1024 }) => insert(plan, 1, `data: {"x":"${"x".repeat(bytes)}"}\n\n`),
  manyFrames: (plan, { bytes = 10_000 }) => insert(plan, 0, 'data: {"choices":[]}\n\n'.repeat(bytes)),

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
  return rewrite(plan, /"content":"/, `"content":"${"x".repeat(bytes)}`);
}

function growStream(plan: ListedPlan, bytes: number): Plan {
  const frame = Buffer.from(`data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(16_000)}"}}]}\n\n`);
  const count = Math.ceil(bytes / frame.length);
  return { ...plan, pieces: [...Array.from({ length: count }, () => frame), ...plan.pieces], paceMs: 0 };
}

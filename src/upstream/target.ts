// One key of the pool: where each API of its upstream is, how it is told who calls, and in which dialect.

import type { Dispatcher } from "undici";
import type { AnswerFormat } from "../base/answer-format.ts";
import type { Clock } from "../base/clock.ts";
import { addIncludeUsage } from "../base/include-usage.ts";
import { Refusal } from "../base/refusal.ts";
import type { Translation } from "../base/translation.ts";
import type { AnswerKind, UpstreamApi } from "../base/upstream-call.ts";
import { type AnswerJudge, createAnswerJudge } from "./answer-judge.ts";
import type { UpstreamRequest, UpstreamTarget } from "./upstream.ts";

export interface Target {
  readonly origins: readonly string[];
  /** Throws `not_found` when it has nothing that could serve the request. */
  prepare(request: UpstreamRequest): Prepared;
}

interface Prepared {
  readonly origin: string;
  readonly dispatch: Pick<Dispatcher.DispatchOptions, "method" | "path" | "headers" | "body">;
  readonly judge: AnswerJudge;
  readonly way: AnswerWay;
}

/** What is awaited of the answer, and what must be done to it. */
export interface AnswerWay {
  readonly isStream: boolean;
  readonly answers: AnswerKind;
  readonly format: AnswerFormat;
  readonly translation: Translation | null;
  readonly dropsUsageChunk: boolean;
  /** Only reads: sending it again has no effect. */
  readonly isRepeatable: boolean;
}

interface Base {
  readonly origin: string;
  readonly path: string;
}

const glmApiPath = /\/(?:coding\/)?paas\/v4$/;
const chatPath = "/chat/completions";
const jsonType = "application/json";

export function createTarget(described: UpstreamTarget, product: string, clock: Clock): Target {
  const { kind, apiKey, baseUrl, anthropicBaseUrl } = described;
  const judge = createAnswerJudge(apiKey ?? "", clock);
  const bases: Record<UpstreamApi, Base | null> = {
    paas: toBase(baseUrl),
    anthropic: anthropicBaseUrl === null ? null : toBase(anthropicBaseUrl),
    responses: null,
    root: glmApiPath.test(baseUrl) ? toBase(baseUrl.replace(glmApiPath, "")) : null,
  };
  // Built from scratch: nothing of the client's headers reaches the upstream but what its endpoint names.
  const common = ["user-agent", product, "accept-encoding", "identity"];
  if (apiKey !== null) common.push("authorization", `Bearer ${apiKey}`);

  function prepare(request: UpstreamRequest): Prepared {
    const base = bases[request.api];
    if (base !== null) return prepareAt(base, request);
    if (request.translate === null) {
      throw new Refusal("not_found", { detail: "no upstream that serves this has such an endpoint" });
    }
    const translation = request.translate({ kind, nowMs: clock.wallNow() });
    const body = translation.chatBody;
    const translated = { ...request, path: chatPath, body, headers: [], contentType: jsonType } as const;
    return prepareAt(bases.paas as Base, { ...translated, format: "chat" }, translation);
  }

  function prepareAt(base: Base, request: UpstreamRequest, translation: Translation | null = null): Prepared {
    const { method, upload, isStream, answers, format } = request;
    const headers = [...common, ...request.headers, "accept", isStream ? "text/event-stream" : acceptOf(answers)];
    // GLM tells its usage unasked; others must be asked, and the client may know nothing of the event that tells it.
    const asking = kind === "openai" && isStream && format === "chat" ? addIncludeUsage(request.body) : null;
    const body = upload?.stream ?? asking ?? request.body;
    if (method !== "GET" && request.contentType !== "") headers.push("content-type", request.contentType);
    if (upload && upload.byteCount !== null) headers.push("content-length", String(upload.byteCount));
    return {
      origin: base.origin,
      dispatch: {
        method: method as Dispatcher.HttpMethod,
        path: base.path + request.path,
        headers,
        body: method === "GET" || (method === "DELETE" && request.body.length === 0) ? null : body,
      },
      judge,
      way: {
        isStream,
        answers,
        format,
        translation,
        // A translator needs the usage event: what its client did not ask for, it leaves out itself.
        dropsUsageChunk: asking !== null && translation === null,
        isRepeatable: method === "GET",
      },
    };
  }

  const origins = Object.values(bases).flatMap((base) => (base === null ? [] : [base.origin]));
  return { origins: [...new Set(origins)], prepare };
}

function toBase(url: string): Base {
  const { origin, pathname } = new URL(url);
  return { origin, path: pathname.replace(/\/+$/, "") };
}

function acceptOf(answers: AnswerKind): string {
  return answers === "json" ? jsonType : "*/*";
}

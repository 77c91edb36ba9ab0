// One chat call over HTTP: the gateway's Call and the relay's Client on top of Node's request and response.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { StreamedAnswer, WholeAnswer } from "../base/answer.ts";
import type { SharedByteBudget } from "../base/byte-budget.ts";
import type { Client } from "../base/client.ts";
import type { Clock } from "../base/clock.ts";
import { type TrafficClass, trafficClasses } from "../base/principal.ts";
import type { QueuePassage, QueueStanding, RemainingLimit } from "../base/queue-facts.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { type CacheControl, type Call, cacheControls } from "../call.ts";
import type { QuotaStanding } from "../quota/quotas.ts";
import type { Endpoint, Incoming } from "../surfaces/endpoint.ts";
import { createFormReader } from "../surfaces/form-reader.ts";
import { readJsonBody, requireIdentity } from "./body.ts";
import { readCredential } from "./credentials.ts";
import { createHeartbeats, type HeartbeatSettings, type Heartbeats } from "./heartbeats.ts";
import { toIetfFields, toOpenAiFields } from "./limit-fields.ts";
import { formatQuotaWarnings } from "./quota-fields.ts";
import { type HeaderFields, type Reply, retryAfterMsOf } from "./reply.ts";
import { openStreamBody, type StreamBody } from "./stream-body.ts";
import { receiveUpload } from "./upload.ts";

const retryCountMax = 10;
const streamFields: HeaderFields = [
  ...["content-type", "text/event-stream; charset=utf-8"],
  ...["cache-control", "no-cache, no-transform"],
  ...["x-accel-buffering", "no"],
];

export interface HttpCallOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly reply: Reply;
  readonly endpoint: Endpoint;
  /** Canonical, without the query. */
  readonly path: string;
  readonly bodyBytesMax: number;
  readonly uploadBytesMax: number;
  readonly bodyBudget: SharedByteBudget;
  /** Null: who waits gets no sign of life. */
  readonly heartbeats: HeartbeatSettings | null;
  readonly sendsIetfFields: boolean;
  readonly clock: Clock;
}

export class HttpCall implements Call, Client {
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly credential: string | null;
  readonly patienceMs: number | null;
  readonly retryCount: number;
  readonly cacheControl: CacheControl | null;
  readonly trafficClass: TrafficClass | null;
  readonly signal: AbortSignal;
  readonly client: Client = this;

  readonly #options: HttpCallOptions;
  readonly #response: ServerResponse;
  readonly #controller = new AbortController();
  /** The head of an event stream is out, by heartbeats or by the answer. */
  #isStream = false;
  /** What goes out are bytes that have no room for words of ours. */
  #isBytes = false;
  /** A byte of the answer itself, its head included, is out. */
  #hasAnswered = false;
  #heartbeats: Heartbeats | null = null;
  #body: StreamBody | null = null;
  #onDrained = () => {};
  #readLimits: () => readonly RemainingLimit[] = () => [];

  constructor(options: HttpCallOptions) {
    const { request, response, reply, endpoint } = options;
    this.#options = options;
    this.#response = response;
    this.id = reply.requestId;
    this.endpoint = endpoint;
    const { requestIdHeader } = endpoint.surface;
    if (requestIdHeader !== null) reply.setHeader(requestIdHeader, this.id);
    this.credential = readCredential(request.headers);
    this.patienceMs = readPatienceMs(request.headers["x-stainless-timeout"]);
    this.retryCount = readRetryCount(request.headers["x-stainless-retry-count"]);
    this.trafficClass = trafficClasses.find((name) => name === request.headers["x-queue-class"]) ?? null;
    this.cacheControl = cacheControls.find((name) => name === request.headers["x-cache"]) ?? null;
    this.signal = this.#controller.signal;
    this.#tellQueue({ waitedMs: 0 });
    // Writing to a client that is going away fails in its own time; "close" tells.
    response.on("error", () => {});
    response.once("stalled", () => this.abort(new Refusal("client_stalled")));
    // The response's "close", not the request's, tells that the client has left (nodejs/node documents both).
    response.once("close", () => {
      if (!response.writableFinished) this.abort(new Refusal("client_gone"));
    });
  }

  abort = (refusal: Refusal): void => {
    this.#heartbeats?.stop();
    this.#controller.abort(refusal);
  };

  async receive(userId: string): Promise<Incoming> {
    const { request, path } = this.#options;
    const { headers, url = "" } = request;
    const queryAt = url.indexOf("?");
    const received = await this.#receiveBody(userId);
    return {
      ...received,
      path,
      query: queryAt === -1 ? "" : url.slice(queryAt),
      contentType: headers["content-type"] ?? "",
      header: (name) => [headers[name] ?? ""].flat().join(", "),
    };
  }

  async #receiveBody(userId: string): Promise<Pick<Incoming, "body" | "upload" | "form">> {
    const { request, endpoint, bodyBytesMax, uploadBytesMax, bodyBudget, clock } = this.#options;
    const { "content-type": type = "", "content-encoding": coding } = request.headers;
    const bounds = { bytesMax: bodyBytesMax, budget: bodyBudget.of(userId), clock };
    if (endpoint.takes === "nothing") return { body: Buffer.alloc(0), upload: null, form: null };
    if (endpoint.takes === "json" || !/^multipart\/form-data\b/i.test(type)) {
      return { body: await readJsonBody(request, this.#response, bounds, this.signal), upload: null, form: null };
    }
    requireIdentity(coding);
    return receiveUpload(request, this.#response, { ...bounds, uploadBytesMax }, this, createFormReader(type));
  }

  noteAllowances(read: () => readonly RemainingLimit[]): void {
    this.#readLimits = read;
  }

  noteQuotas(warnings: readonly QuotaStanding[]): void {
    if (warnings.length > 0) this.#options.reply.setHeader("x-quota-warning", formatQuotaWarnings(warnings));
  }

  noteQueued(look: () => QueueStanding, isStream: boolean): void {
    const { heartbeats, clock, endpoint } = this.#options;
    // Where it stood when it arrived: what a refusal tells that does not know better.
    const { position, etaMs } = look();
    this.#tellQueue({ position, etaMs });
    if (!isStream || heartbeats === null || this.signal.aborted) return;
    this.#heartbeats ??= createHeartbeats(heartbeats, clock, {
      open: ({ position, etaMs }, waitedMs) => {
        this.#tellQueue({ position, etaMs, waitedMs });
        this.#sendStreamHead(200);
      },
      beat: (standing) => {
        // A reader who is behind already needs no more of it.
        if (this.#response.writableLength > 0) return;
        this.write(Buffer.from(endpoint.surface.formatHeartbeat(heartbeats.style, standing, this.id)));
      },
    });
    this.#heartbeats.queued(look);
  }

  noteQueue(passage: QueuePassage): void {
    this.#heartbeats?.granted();
    this.#tellQueue(passage);
  }

  noteFallback(model: string, reason: string): void {
    this.#options.reply.setHeader("x-fallback-model", model);
    this.#options.reply.setHeader("x-fallback-reason", reason);
  }

  noteCache(state: string): void {
    this.#options.reply.setHeader("x-cache", state);
  }

  sendWhole(answer: WholeAnswer): Promise<void> {
    this.#heartbeats?.stop();
    if (this.#isStream) {
      const detail = "it is no stream, though one was asked for";
      return Promise.reject(new Refusal("upstream_unexpected", { detail }));
    }
    this.#hasAnswered = true;
    this.#noteUpstream(answer);
    this.#tellLimits(null);
    this.#options.reply.send(answer.status, answer.contentType, answer.body);
    return this.#untilSent();
  }

  openStream(answer: StreamedAnswer): void {
    this.#heartbeats?.stop();
    this.#hasAnswered = true;
    if (this.#isStream) return;
    this.#noteUpstream(answer);
    if (answer.isEvents) this.#sendStreamHead(answer.status);
    else this.#sendBytesHead(answer);
  }

  write(bytes: Buffer): boolean {
    this.#body ??= openStreamBody(this.#response, () => this.#onDrained());
    return this.#body.write(bytes);
  }

  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  onDrained(callback: () => void): void {
    this.#onDrained = callback;
  }

  endStream(): Promise<void> {
    this.#response.end();
    return this.#untilSent();
  }

  async refuse(refusal: Refusal): Promise<"refused" | "cut" | "cancelled"> {
    const response = this.#response;
    this.#heartbeats?.stop();
    if (refusal.reason === "client_gone" || refusal.reason === "client_stalled" || response.destroyed) {
      response.socket?.resetAndDestroy();
      return "cancelled";
    }
    const { endpoint, reply } = this.#options;
    const { surface } = endpoint;
    if (!response.headersSent) {
      const { position, etaMs, elapsedMs } = refusal.facts;
      this.#tellQueue({ position, etaMs, waitedMs: refusal.reason === "queue_timeout" ? elapsedMs : undefined });
      this.#tellLimits(retryAfterMsOf(refusal));
      for (const [name, value] of Object.entries(surface.adviseHeaders(refusal))) reply.setHeader(name, value);
      reply.refuse(refusal, surface.formatRefusal);
      return "refused";
    }
    // An answer that was ended already has no room for another word.
    if (this.#isStream && !this.#isBytes && !response.writableEnded) {
      response.end(surface.formatStreamError(refusal, reply.requestId, reply.language));
    } else response.destroy();
    return this.#hasAnswered ? "cut" : "refused";
  }

  #sendStreamHead(status: number): void {
    this.#isStream = true;
    this.#tellLimits(null);
    this.#response.writeHead(status, this.#options.reply.headersWith(streamFields));
    this.#response.flushHeaders();
  }

  #sendBytesHead({ status, contentType, headers }: StreamedAnswer): void {
    this.#isStream = true;
    this.#isBytes = true;
    this.#tellLimits(null);
    const type = contentType === "" ? "application/octet-stream" : contentType;
    this.#response.writeHead(
      status,
      this.#options.reply.headersWith([...Object.entries(headers).flat(), "content-type", type]),
    );
    this.#response.flushHeaders();
  }

  #tellQueue(facts: { [Name in keyof QueuePassage]?: number | undefined }): void {
    const { reply } = this.#options;
    if (facts.position !== undefined) reply.setHeader("x-queue-position", String(facts.position));
    if (facts.etaMs !== undefined) reply.setHeader("x-queue-eta-ms", String(Math.round(facts.etaMs)));
    if (facts.waitedMs !== undefined) reply.setHeader("x-queue-wait-ms", String(Math.round(facts.waitedMs)));
  }

  #tellLimits(retryAfterMs: number | null): void {
    const { reply, sendsIetfFields } = this.#options;
    const limits = this.#readLimits();
    reply.setHeaders(toOpenAiFields(limits));
    if (sendsIetfFields) reply.setHeaders(toIetfFields(limits, retryAfterMs));
  }

  #noteUpstream(answer: WholeAnswer | StreamedAnswer): void {
    if (answer.upstreamRequestId === null) return;
    this.#options.reply.setHeader("x-upstream-request-id", answer.upstreamRequestId);
  }

  #untilSent(): Promise<void> {
    const response = this.#response;
    if (response.writableFinished) return Promise.resolve();
    if (this.signal.aborted) return Promise.reject(refusalOf(this.signal));
    return new Promise((resolve, reject) => {
      response.once("finish", resolve);
      this.signal.addEventListener("abort", () => reject(refusalOf(this.signal)), { once: true });
    });
  }
}

/** In steps, since the queue keeps an order of deadlines for each length of wait there is. */
const patienceStepMs = 100;

/** `x-stainless-timeout` of the official SDKs: seconds. */
function readPatienceMs(header: string | string[] | undefined): number | null {
  const seconds = typeof header === "string" ? Number(header) : Number.NaN;
  if (!(seconds > 0 && seconds <= 86_400)) return null;
  return Math.max(1, Math.floor((seconds * 1_000) / patienceStepMs)) * patienceStepMs;
}

/** `x-stainless-retry-count` of the official SDKs. More tries than they make are not believed. */
function readRetryCount(header: string | string[] | undefined): number {
  return typeof header === "string" && /^\d{1,3}$/.test(header) ? Math.min(Number(header), retryCountMax) : 0;
}

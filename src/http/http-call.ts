// One chat call over HTTP: the gateway's Call and the relay's Client on top of Node's request and response.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { StreamedAnswer, WholeAnswer } from "../base/answer.ts";
import type { ByteBudget } from "../base/byte-budget.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import type { Call } from "../call.ts";
import type { Client } from "../relay/client.ts";
import type { Surface } from "../surfaces/surface.ts";
import { readJsonBody } from "./body.ts";
import type { Reply } from "./reply.ts";

export interface HttpCallOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly reply: Reply;
  readonly surface: Surface;
  readonly bodyBytesMax: number;
  readonly bodyBudget: ByteBudget;
  readonly writeStallMs: number;
}

export class HttpCall implements Call, Client {
  readonly id: string;
  readonly surface: Surface;
  readonly bearer: string | null;
  readonly patienceMs: number | null;
  readonly signal: AbortSignal;
  readonly client: Client = this;

  readonly #options: HttpCallOptions;
  readonly #response: ServerResponse;
  readonly #controller = new AbortController();
  #isStream = false;

  constructor(options: HttpCallOptions) {
    const { request, response, reply, surface } = options;
    this.#options = options;
    this.#response = response;
    this.id = reply.requestId;
    this.surface = surface;
    this.bearer = readBearer(request.headers.authorization);
    this.patienceMs = readPatienceMs(request.headers["x-stainless-timeout"]);
    this.signal = this.#controller.signal;
    this.noteQueue(0);
    // Writing to a client that is going away fails in its own time; "close" tells.
    response.on("error", () => {});
    // Before Node's own listener, which arms the socket's timer anew: the next pipelined response shares the socket.
    response.prependOnceListener("finish", () => response.setTimeout(0));
    // The response's "close", not the request's, tells that the client has left (nodejs/node documents both).
    response.once("close", () => {
      if (!response.writableFinished) this.abort(new Refusal("client_gone"));
    });
  }

  abort = (refusal: Refusal): void => this.#controller.abort(refusal);

  readBody(): Promise<Buffer> {
    const { request, bodyBytesMax, bodyBudget } = this.#options;
    return readJsonBody(request, this.#response, { bytesMax: bodyBytesMax, budget: bodyBudget }, this.signal);
  }

  noteQueue(waitedMs: number): void {
    this.#options.reply.setHeader("x-queue-wait-ms", String(Math.round(waitedMs)));
  }

  sendWhole(answer: WholeAnswer): Promise<void> {
    this.#noteUpstream(answer);
    this.#options.reply.send(answer.status, answer.contentType, answer.body);
    return this.#untilSent();
  }

  openStream(answer: StreamedAnswer): void {
    this.#noteUpstream(answer);
    this.#isStream = true;
    const headers = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    };
    this.#response.writeHead(answer.status, this.#options.reply.headersWith(headers));
    this.#response.flushHeaders();
  }

  write(bytes: Buffer): boolean {
    const isCaughtUp = this.#response.write(bytes);
    if (!isCaughtUp) this.#watchStall();
    return isCaughtUp;
  }

  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  onDrained(callback: () => void): void {
    this.#response.on("drain", () => {
      this.#response.setTimeout(0);
      callback();
    });
  }

  endStream(): Promise<void> {
    this.#response.end();
    return this.#untilSent();
  }

  async refuse(refusal: Refusal): Promise<"refused" | "cut" | "cancelled"> {
    const response = this.#response;
    if (refusal.reason === "client_gone" || refusal.reason === "client_stalled" || response.destroyed) {
      response.socket?.resetAndDestroy();
      return "cancelled";
    }
    const { surface, reply } = this.#options;
    if (!response.headersSent) {
      if (refusal.reason === "queue_timeout") this.noteQueue(refusal.facts.elapsedMs ?? 0);
      reply.refuse(refusal, surface.formatRefusal);
      return "refused";
    }
    // An answer that was ended already has no room for another word.
    if (this.#isStream && !response.writableEnded) {
      response.end(surface.formatStreamError(refusal, reply.requestId, reply.language));
    } else response.destroy();
    // A client that does not read its last event either is cut by the stall timer.
    this.#watchStall();
    return "cut";
  }

  #noteUpstream(answer: WholeAnswer | StreamedAnswer): void {
    if (answer.upstreamRequestId === null) return;
    this.#options.reply.setHeader("x-upstream-request-id", answer.upstreamRequestId);
  }

  /** Cuts the client when it takes no byte for too long. Node's socket timer sees partial progress. */
  #watchStall(): void {
    this.#response.setTimeout(this.#options.writeStallMs);
    if (this.#response.listenerCount("timeout") > 0) return;
    this.#response.once("timeout", () => {
      this.abort(new Refusal("client_stalled"));
      this.#response.socket?.resetAndDestroy();
    });
  }

  #untilSent(): Promise<void> {
    const response = this.#response;
    if (response.writableFinished) return Promise.resolve();
    if (this.signal.aborted) return Promise.reject(refusalOf(this.signal));
    this.#watchStall();
    return new Promise((resolve, reject) => {
      response.once("finish", resolve);
      this.signal.addEventListener("abort", () => reject(refusalOf(this.signal)), { once: true });
    });
  }
}

function readBearer(authorization: string | undefined): string | null {
  return /^Bearer +([^\s]+)$/i.exec(authorization ?? "")?.[1] ?? null;
}

/** `x-stainless-timeout` of the official SDKs: seconds. */
function readPatienceMs(header: string | string[] | undefined): number | null {
  const seconds = typeof header === "string" ? Number(header) : Number.NaN;
  return seconds > 0 && seconds <= 86_400 ? seconds * 1_000 : null;
}

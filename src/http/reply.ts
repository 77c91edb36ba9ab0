// The answer to one HTTP request, until its first byte of payload: headers that every answer has, JSON and text
// bodies, and refusals with what clients need to know to come back at the right time.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Refusal } from "../base/refusal.ts";
import type { Language } from "../base/refusal-words.ts";
import { expectsContinue } from "./body.ts";

export type RefusalFormat = (refusal: Refusal, requestId: string, language: Language) => string;

/** Names in lower case and their values, in turn: how `writeHead` takes them fastest. */
export type HeaderFields = readonly string[];

/** When to come back, for retryable refusals that do not know better. */
const retryAfterMsDefault = 1_000;
/** A request's unread rest up to this size may still come, for a moment, so that its connection can be used again. */
const unreadBytesMax = 64 * 1024;

export class Reply {
  readonly requestId: string;
  readonly language: Language;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  /** A plain list: an object that gets its keys one by one costs V8 several times as much. */
  readonly #fields: string[];

  constructor(request: IncomingMessage, response: ServerResponse, requestId: string, language: Language) {
    this.requestId = requestId;
    this.language = language;
    this.#request = request;
    this.#response = response;
    this.#fields = ["x-request-id", requestId, "cache-control", "no-store", "x-content-type-options", "nosniff"];
  }

  /** Adds a header to whatever goes out, in the place of one of that name. */
  setHeader(name: string, value: string): void {
    put(this.#fields, name, value);
  }

  setHeaders(fields: HeaderFields): void {
    putAll(this.#fields, fields);
  }

  /** Every header that an answer has anyway, and the given ones. */
  headersWith(more: HeaderFields): string[] {
    const fields = this.#fields.slice();
    putAll(fields, more);
    return fields;
  }

  send(status: number, contentType: string, body: string | Buffer, more: HeaderFields = []): void {
    const [request, response] = [this.#request, this.#response];
    if (response.headersSent || response.destroyed) return;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const fields = this.headersWith(more);
    put(fields, "content-type", contentType);
    put(fields, "content-length", String(bytes.length));
    if (!canKeepConnection(request)) put(fields, "connection", "close");
    response.writeHead(status, fields);
    // A HEAD request is answered with the head that GET would have.
    if (request.method === "HEAD") response.end();
    else response.end(bytes);
  }

  refuse(refusal: Refusal, format: RefusalFormat): void {
    const body = format(refusal, this.requestId, this.language);
    this.send(refusal.status, "application/json; charset=utf-8", body, adviceOf(refusal));
  }
}

function put(fields: string[], name: string, value: string): void {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    fields[index + 1] = value;
    return;
  }
  fields.push(name, value);
}

function putAll(fields: string[], more: HeaderFields): void {
  for (let index = 0; index < more.length; index += 2) put(fields, more[index] as string, more[index + 1] as string);
}

function canKeepConnection(request: IncomingMessage): boolean {
  if (request.complete || request.destroyed) return true;
  const length = request.headers["content-length"];
  // Who asked first ("expect: 100-continue") sends nothing when told no.
  if (expectsContinue(request)) return false;
  if (length === undefined) return request.headers["transfer-encoding"] === undefined;
  return Number(length) <= unreadBytesMax;
}

/** What `Retry-After` says, or null when it says nothing. */
export function retryAfterMsOf(refusal: Refusal): number | null {
  return refusal.facts.retryAfterMs ?? (refusal.shouldRetry ? retryAfterMsDefault : null);
}

/** Headers by which clients, SDKs and browsers learn what to do about a refusal. */
export function adviceOf(refusal: Refusal): HeaderFields {
  const fields = ["x-should-retry", String(refusal.shouldRetry)];
  const retryAfterMs = retryAfterMsOf(refusal);
  if (retryAfterMs !== null) {
    fields.push("retry-after-ms", String(Math.ceil(retryAfterMs)));
    fields.push("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  }
  if (refusal.status === 401) fields.push("www-authenticate", 'Bearer realm="glm-proxy", error="invalid_token"');
  if (refusal.facts.allow !== undefined) fields.push("allow", refusal.facts.allow);
  return fields;
}

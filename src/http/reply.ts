// The answer to one HTTP request, until its first byte of payload: headers that every answer has, JSON and text
// bodies, and refusals with what clients need to know to come back at the right time.

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../base/clock.ts";
import type { Refusal } from "../base/refusal.ts";
import type { Language } from "../base/refusal-words.ts";

export interface Reply {
  readonly requestId: string;
  readonly language: Language;
  /** Adds a header to whatever goes out. */
  setHeader(name: string, value: string): void;
  /** Every header that an answer has anyway, and the given ones. */
  headersWith(more: OutgoingHttpHeaders): OutgoingHttpHeaders;
  send(status: number, contentType: string, body: string | Buffer, more?: OutgoingHttpHeaders): void;
  refuse(refusal: Refusal, format: RefusalFormat): void;
}

export type RefusalFormat = (refusal: Refusal, requestId: string, language: Language) => string;

/** When to come back, for retryable refusals that do not know better. */
const retryAfterMsDefault = 1_000;
/** A request's unread rest up to this size is read and dropped, so that its connection can be used again. */
const unreadBytesMax = 64 * 1024;
/** How long a client may go on sending after its answer. */
const lingerMs = 1_000;

export function createReply(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  language: Language,
  clock: Clock,
): Reply {
  const common: OutgoingHttpHeaders = {
    "x-request-id": requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };

  const reply: Reply = {
    requestId,
    language,
    setHeader(name, value) {
      common[name] = value;
    },
    headersWith: (more) => ({ ...common, ...more }),
    send(status, contentType, body, more = {}) {
      if (response.headersSent || response.destroyed) return;
      const bytes = typeof body === "string" ? Buffer.from(body) : body;
      const headers = { ...common, "content-type": contentType, "content-length": bytes.length, ...more };
      if (canKeepConnection(request)) {
        response.writeHead(status, headers);
        // A HEAD request is answered with the head that GET would have.
        if (request.method === "HEAD") response.end();
        else response.end(bytes);
      } else {
        endAfterRequest(status, headers, bytes);
      }
    },
    refuse(refusal, format) {
      reply.send(refusal.status, "application/json; charset=utf-8", format(refusal, requestId, language), {
        ...adviceOf(refusal),
      });
    },
  };

  /**
   * The client still sends a body that nobody reads. Closing at once would reset the connection and could destroy
   * the answer before it is read, so the answer goes out, the rest is dropped, and the end comes a little later.
   */
  function endAfterRequest(status: number, headers: OutgoingHttpHeaders, bytes: Buffer): void {
    response.writeHead(status, { ...headers, connection: "close" });
    if (request.method !== "HEAD") response.write(bytes);
    const end = () => {
      cancel();
      response.end();
    };
    const cancel = clock.after(lingerMs, end);
    request.once("end", end).once("error", end).once("close", end).resume();
  }

  return reply;
}

function canKeepConnection(request: IncomingMessage): boolean {
  if (request.complete || request.destroyed) return true;
  const length = request.headers["content-length"];
  // Who asked first ("expect: 100-continue") sends nothing when told no.
  if (request.headers.expect !== undefined) return false;
  if (length === undefined) return request.headers["transfer-encoding"] === undefined;
  return Number(length) <= unreadBytesMax;
}

/** What `Retry-After` says, or null when it says nothing. */
export function retryAfterMsOf(refusal: Refusal): number | null {
  return refusal.facts.retryAfterMs ?? (refusal.shouldRetry ? retryAfterMsDefault : null);
}

/** Headers by which clients, SDKs and browsers learn what to do about a refusal. */
function adviceOf(refusal: Refusal): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { "x-should-retry": String(refusal.shouldRetry) };
  const retryAfterMs = retryAfterMsOf(refusal);
  if (retryAfterMs !== null) {
    headers["retry-after-ms"] = String(Math.ceil(retryAfterMs));
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  }
  if (refusal.status === 401) headers["www-authenticate"] = 'Bearer realm="glm-proxy", error="invalid_token"';
  if (refusal.facts.allow !== undefined) headers.allow = refusal.facts.allow;
  return headers;
}

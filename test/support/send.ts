// One request on a connection of its own, and a chat's body: what tests over sockets begin with.

import { Agent, type IncomingHttpHeaders, request as openRequest } from "node:http";

export interface Sent {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as JSON, or undefined. */
  readonly json: unknown;
  /** From the request to the answer's end. */
  readonly durationMs: number;
}

export interface SendOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string | Buffer;
  readonly token?: string;
  readonly signal?: AbortSignal;
  /** The status and the headers are there. */
  readonly onHead?: (status: number) => void;
  readonly onData?: (chunk: Buffer) => void;
}

export function send(url: string, options: SendOptions = {}): Promise<Sent> {
  const { body, token, signal, onHead, onData } = options;
  const text = typeof body === "string" || Buffer.isBuffer(body) ? body : body && JSON.stringify(body);
  const headers = {
    ...(text ? { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) } : {}),
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...options.headers,
  };
  const method = options.method ?? (text ? "POST" : "GET");
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const request = openRequest(url, { method, headers, agent: new Agent(), ...(signal && { signal }) }, (response) => {
      const chunks: Buffer[] = [];
      onHead?.(response.statusCode ?? 0);
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        onData?.(chunk);
      });
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const received = bytes.toString("utf8");
        const durationMs = performance.now() - startedAt;
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, bytes, text: received, json: parse(received), durationMs });
      });
    });
    request.on("error", reject);
    request.end(text || undefined);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A chat request's body. */
export function chat(content = "hello", more: object = {}): Record<string, unknown> {
  return { model: "glm-4.5-flash", messages: [{ role: "user", content }], thinking: { type: "disabled" }, ...more };
}

// A client of the simulator for its own tests: one request on a connection of its own, forms, and events taken apart.

import { Agent, type IncomingHttpHeaders, request as openRequest } from "node:http";
import { systemClock } from "../base/clock.ts";

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
}

export function send(url: string, options: SendOptions = {}): Promise<Sent> {
  const { body, token, signal } = options;
  const text = typeof body === "string" || Buffer.isBuffer(body) ? body : body && JSON.stringify(body);
  const headers = {
    ...(text ? { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) } : {}),
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...options.headers,
  };
  const method = options.method ?? (text ? "POST" : "GET");
  const startedAt = systemClock.now();
  return new Promise((resolve, reject) => {
    const request = openRequest(url, { method, headers, agent: new Agent(), ...(signal && { signal }) }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const received = bytes.toString("utf8");
        const durationMs = systemClock.now() - startedAt;
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

/** A form's body and the headers that belong to it. */
export function form(fields: Readonly<Record<string, string>>, file?: Buffer, name = "a.bin"): SendOptions {
  const boundary = "----simulator-test";
  const texts = Object.entries(fields).map(
    ([field, text]) => `--${boundary}\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${text}\r\n`,
  );
  const head =
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\n` +
    "content-type: application/octet-stream\r\n\r\n";
  const parts = file ? [Buffer.from(head), file, Buffer.from("\r\n")] : [];
  const body = Buffer.concat([Buffer.from(texts.join("")), ...parts, Buffer.from(`--${boundary}--\r\n`)]);
  return { body, headers: { "content-type": `multipart/form-data; boundary=${boundary}` } };
}

export interface SeenEvent {
  readonly name: string | null;
  readonly data: string;
}

export function toEvents(text: string): SeenEvent[] {
  return text.split("\n\n").flatMap((block) => {
    const lines = block.split("\n");
    const read = (field: string) => lines.find((line) => line.startsWith(`${field}: `))?.slice(field.length + 2);
    const data = read("data");
    return data === undefined ? [] : [{ name: read("event") ?? null, data }];
  });
}

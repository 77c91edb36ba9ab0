// The control plane over HTTP: through a unix socket, or a URL with a key. Redirects are not followed, since the key must
// not go anywhere else.

import { type ClientRequest, type IncomingMessage, request as openPlain, Agent as PlainAgent } from "node:http";
import { request as openTls, Agent as TlsAgent } from "node:https";
import { CommandError } from "../command-error.ts";
import { exitCodes } from "../world.ts";
import type { AdminClient, Answer, Method } from "./admin-client.ts";
import { createEventParser } from "./event-parser.ts";

export type Target =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "url"; readonly url: URL; readonly key: string };

/** A copy of a large database takes its time. */
const answerMsMax = 600_000;
const silenceMsMax = 60_000;
const answerBytesMax = 256 * 1024 * 1024;

export function createHttpClient(target: Target, product: string): AdminClient {
  const isTls = target.kind === "url" && target.url.protocol === "https:";
  const agent = isTls ? new TlsAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true });

  function open(
    method: Method,
    path: string,
    headers: Record<string, string | number>,
    timeout: number,
  ): ClientRequest {
    const all = { "user-agent": product, "accept-language": "en", ...headers };
    if (target.kind === "socket") {
      return openPlain({ socketPath: target.path, host: "localhost", agent, method, path, headers: all, timeout });
    }
    const { url, key } = target;
    const openRequest = isTls ? openTls : openPlain;
    const whole = new URL(url.pathname.replace(/\/+$/, "") + path, url);
    return openRequest(whole, { agent, method, timeout, headers: { ...all, authorization: `Bearer ${key}` } });
  }

  function explain(error: NodeJS.ErrnoException): CommandError {
    if (error instanceof CommandError) return error;
    const where = target.kind === "socket" ? target.path : target.url.origin;
    return new CommandError(`Cannot reach the gateway at ${where}: ${wordsOf(error)}.`, {
      exitCode: exitCodes.unavailable,
    });
  }

  /** Resolves with the head of the answer; the body is still to be read. */
  function start(
    method: Method,
    path: string,
    body: object | undefined,
    accept: string,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const text = body === undefined ? null : JSON.stringify(body);
    const headers = {
      accept,
      ...(text !== null && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = open(method, path, headers, timeoutMs);
    const abort = () => request.destroy(new Error("given up"));
    signal?.addEventListener("abort", abort, { once: true });
    request.on("response", resolve);
    request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    request.on("error", (error) => reject(explain(error)));
    request.on("close", () => signal?.removeEventListener("abort", abort));
    if (signal?.aborted) abort();
    request.end(text ?? undefined);
    return promise;
  }

  async function readAll(response: IncomingMessage): Promise<Answer> {
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400) {
      response.destroy();
      throw new CommandError(
        `Cannot follow ${status} to ${response.headers.location ?? "elsewhere"}: the key is for the given URL only.`,
        { advice: "Give the URL that the gateway itself has." },
      );
    }
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > answerBytesMax) throw new CommandError("Cannot read the answer: it is too large.");
        chunks.push(chunk);
      }
    } catch (error) {
      throw explain(error as Error);
    }
    return { status, json: parseJson(Buffer.concat(chunks).toString("utf8")) };
  }

  return {
    via: target.kind,
    url: target.kind === "url" ? target.url.href : null,
    async request(method, path, body) {
      return readAll(await start(method, path, body, "application/json", answerMsMax));
    },
    async events(path, { onOpen, onEvent }, signal) {
      const response = await start("GET", path, undefined, "text/event-stream", silenceMsMax, signal);
      if (response.statusCode !== 200) {
        const { status, json } = await readAll(response);
        const detail = (json as { detail?: unknown } | undefined)?.detail;
        throw new CommandError(
          `Cannot follow the events: ${typeof detail === "string" ? detail : `the server answers ${status}.`}`,
        );
      }
      onOpen();
      const parser = createEventParser(onEvent);
      response.setEncoding("utf8");
      const { promise, resolve } = Promise.withResolvers<void>();
      response.on("data", (text: string) => parser.push(text));
      response.on("error", () => resolve());
      response.on("close", () => resolve());
      await promise;
    },
    async close() {
      agent.destroy();
    },
  };
}

function wordsOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "nothing listens there";
    case "ENOENT":
      return "there is no such socket";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "there is no such host";
    case "ECONNRESET":
    case "EPIPE":
      return "the connection was closed";
    case "EACCES":
      return "it is another account's";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return "its certificate is of an authority that is not known here (NODE_EXTRA_CA_CERTS=file.pem adds one)";
    case "EPROTO":
      return "it does not speak TLS (use http://?)";
    default:
      return error.message || String(error.code);
  }
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

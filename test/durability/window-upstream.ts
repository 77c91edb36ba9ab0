// A thread that is an upstream with limits and nothing else: it answers each call after some time and writes down when
// calls came and how long they ran. It knows nothing of the gateway, and nothing in the gateway's thread delays it.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

export interface UpstreamPlan {
  readonly answerMs: number;
  readonly tokensPerCall: number;
  /** How long it goes on with a call whose client is gone. */
  readonly noticeMs: number;
}

/** Milliseconds of the machine's monotonic clock. */
export interface UpstreamBook {
  readonly arrivals: readonly number[];
  /** When calls began (1) and ended (-1). */
  readonly changes: readonly (readonly [at: number, by: 1 | -1])[];
}

const { answerMs, tokensPerCall, noticeMs } = workerData as UpstreamPlan;
const arrivals: number[] = [];
const changes: (readonly [number, 1 | -1])[] = [];
const now = () => Number(process.hrtime.bigint()) / 1e6;

const server = createServer((request, response) => {
  arrivals.push(now());
  changes.push([now(), 1]);
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    changes.push([now(), -1]);
  };
  const timer = setTimeout(() => {
    const usage = { prompt_tokens: tokensPerCall - 1, completion_tokens: 1, total_tokens: tokensPerCall };
    const choices = [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "stop" }];
    end();
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: "1", object: "chat.completion", created: 1, model: "glm", choices, usage }));
  }, answerMs);
  request.resume();
  response.once("close", () => {
    clearTimeout(timer);
    if (!isOver) setTimeout(end, noticeMs);
  });
});

server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
parentPort?.on("message", () => parentPort?.postMessage({ arrivals, changes } satisfies UpstreamBook));

// GLM over HTTP/1.1: one pool of connections, dispatched at the lowest level that undici offers, so that the moment
// of the send is known, bytes are forwarded as they come, and an abort closes the socket at once.

import { type Dispatcher, Pool } from "undici";
import type { Answer } from "../base/answer.ts";
import type { ByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import { refusalOf } from "../base/refusal.ts";
import { createAnswerJudge } from "./answer-judge.ts";
import { createExchange } from "./exchange.ts";
import type { Flight, Upstream, UpstreamRequest } from "./upstream.ts";

export interface GlmUpstreamOptions {
  /** Without a trailing slash, such as "https://open.bigmodel.cn/api/paas/v4". */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Sent as user-agent. */
  readonly product: string;
  readonly clock: Clock;
  /** Bytes of answers that are being collected, all calls together. */
  readonly collectBudget: ByteBudget;
}

export const connectTimeoutMs = 10_000;

export function createGlmUpstream(options: GlmUpstreamOptions): Upstream {
  const { baseUrl, apiKey, product, clock, collectBudget } = options;
  const { origin, pathname } = new URL(baseUrl);
  const judge = createAnswerJudge(apiKey, clock);
  const basePath = pathname.replace(/\/+$/, "");
  const pool = new Pool(origin, {
    // Admission bounds the calls in flight; a second bound here would make granted calls wait unseen.
    connections: null,
    pipelining: 1,
    allowH2: false,
    connectTimeout: connectTimeoutMs,
    // Thinking models are silent for minutes: the call's own deadlines rule, each with its own error.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    keepAliveTimeoutThreshold: 4_000,
    maxHeaderSize: 16_384,
    maxRequestsPerClient: 1_000,
    strictContentLength: true,
    autoSelectFamily: true,
  });
  // Built from scratch: nothing of the client's headers reaches the upstream.
  const headers = ["authorization", `Bearer ${apiKey}`, "content-type", "application/json", "user-agent", product];
  headers.push("accept-encoding", "identity", "accept");

  async function send(request: UpstreamRequest, flight: Flight): Promise<Answer> {
    if (flight.signal.aborted) {
      flight.onEnd("aborted");
      throw refusalOf(flight.signal);
    }
    const exchange = createExchange(request, flight, { judge, clock, connectTimeoutMs, collectBudget });
    const dispatch: Dispatcher.DispatchOptions = {
      method: "POST",
      path: basePath + request.path,
      headers: [...headers, request.isStream ? "text/event-stream" : "application/json"],
      body: request.body,
    };
    pool.dispatch(dispatch, exchange.handler);
    return exchange.answer;
  }

  return { send, close: () => pool.destroy() };
}

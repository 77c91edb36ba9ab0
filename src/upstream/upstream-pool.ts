// The upstreams over HTTP/1.1: each key is a target of its own, keys of one host share its connections. Dispatched at
// the lowest level that undici offers, so that the moment of the send is known, bytes are forwarded as they come, and
// an abort closes the socket at once.

import type { Dispatcher } from "undici";
import type { Answer } from "../base/answer.ts";
import type { SharedByteBudget } from "../base/byte-budget.ts";
import type { Clock } from "../base/clock.ts";
import { Refusal, refusalOf } from "../base/refusal.ts";
import { type Connections, createConnections, type ProxySettings } from "./connections.ts";
import { createExchange } from "./exchange.ts";
import { createTarget, type Target } from "./target.ts";
import type { Flight, Upstream, UpstreamRequest, UpstreamTarget } from "./upstream.ts";

export interface UpstreamPoolOptions {
  readonly targets: readonly UpstreamTarget[];
  /** Sent as user-agent. */
  readonly product: string;
  /** What stands between us and the upstreams, or null. */
  readonly proxy: ProxySettings | null;
  readonly clock: Clock;
  /** Bytes of answers that are being collected, all calls together. */
  readonly collectBudget: SharedByteBudget;
  /** How long a connection may take to come about. */
  readonly connectTimeoutMs: number;
  /** How long an event stream is held back for its first event, now. */
  readonly firstEventMs: () => number;
}

export function createUpstreamPool(options: UpstreamPoolOptions): Upstream {
  const { product, clock, collectBudget, connectTimeoutMs } = options;
  const connections: Connections = createConnections(options.proxy, connectTimeoutMs);
  let targets = new Map<string, Target>();

  function configure(described: readonly UpstreamTarget[]): void {
    targets = new Map(described.map((target) => [target.name, createTarget(target, product, clock)]));
    connections.keepOnly(new Set([...targets.values()].flatMap(({ origins }) => origins)));
  }

  async function send(request: UpstreamRequest, flight: Flight): Promise<Answer> {
    if (flight.signal.aborted) {
      flight.onEnd("aborted");
      throw refusalOf(flight.signal);
    }
    try {
      const target = targets.get(flight.upstreamKey);
      // Taken out of the configuration in the moment between its grant and its send.
      if (!target) throw new Refusal("upstream_account", { retryAfterMs: 1_000 });
      const { origin, dispatch, judge, way } = target.prepare(request);
      const firstEventMs = options.firstEventMs();
      const context = { judge, clock, connectTimeoutMs, firstEventMs, collectBudget };
      const exchange = createExchange(way, flight, context);
      const sending: Dispatcher.DispatchOptions = { origin, ...dispatch };
      connections.to(origin).dispatch(sending, exchange.handler);
      return exchange.answer;
    } catch (error) {
      flight.onEnd("aborted");
      throw error;
    }
  }

  configure(options.targets);
  return { send, configure, close: connections.close };
}

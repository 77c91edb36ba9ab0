// Connections to the upstreams' hosts, kept alive and shared by all keys of a host; through a proxy where the
// environment names one.

import type { Socket } from "node:net";
import { Client, type Dispatcher, EnvHttpProxyAgent, Pool } from "undici";
import { createDirectHosts } from "./direct-hosts.ts";

/** As curl and others read it from the environment: URLs, and hosts that are reached directly. */
export interface ProxySettings {
  readonly http: string | null;
  readonly https: string | null;
  /** Hosts and networks that are reached directly (see direct-hosts.ts). */
  readonly none: string;
}

export interface Connections {
  to(origin: string): Dispatcher;
  /** Others are closed, once what runs over them has ended. */
  keepOnly(origins: ReadonlySet<string>): void;
  /** Closes every connection now. */
  close(): Promise<void>;
}

/** A handler that learns, before its request starts, how to find the socket that it goes over. */
export interface SocketHandler extends Dispatcher.DispatchHandler {
  findSocket: (() => Socket | null) | null;
}

const bounds = {
  // Admission bounds the calls in flight; a second bound here would make granted calls wait unseen.
  connections: null,
  pipelining: 1,
  allowH2: false,
  // Thinking models are silent for minutes: the call's own deadlines rule, each with its own error.
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: 4_000,
  keepAliveTimeoutThreshold: 4_000,
  maxHeaderSize: 16_384,
  maxRequestsPerClient: 1_000,
  strictContentLength: true,
  autoSelectFamily: true,
} as const;

/** One connection, which tells its requests' handlers the socket: undici keeps that to itself. */
class SocketClient extends Client {
  #socket: Socket | null = null;
  readonly #findSocket = () => this.#socket;

  constructor(origin: string | URL, { connect, ...options }: Pool.Options) {
    if (typeof connect !== "function") throw new Error("undici's pools give their clients a connector");
    super(origin, {
      ...options,
      connect: (target, done) =>
        connect(target, (...result) => {
          this.#socket = result[1];
          done(...result);
        }),
    });
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if ("findSocket" in handler) handler.findSocket = this.#findSocket;
    return super.dispatch(options, handler);
  }
}

export function createConnections(proxy: ProxySettings | null, connectTimeoutMs: number): Connections {
  const byOrigin = new Map<string, Dispatcher>();
  const isDirect = createDirectHosts(proxy?.none ?? "");
  const own = { ...bounds, connectTimeout: connectTimeoutMs };
  /** Also of a proxy's own pools, which come without the bounds. */
  const openPool = (origin: string | URL, options: object) =>
    new Pool(origin, { ...own, ...options, factory: (url, given) => new SocketClient(url, given) });

  function open(origin: string): Dispatcher {
    const isProxied = proxy !== null && (origin.startsWith("https:") ? proxy.https : proxy.http) !== null;
    if (!isProxied || isDirect(origin)) return openPool(origin, {});
    // An empty string keeps it from reading the environment by itself.
    return new EnvHttpProxyAgent({
      ...own,
      factory: openPool,
      httpProxy: proxy.http ?? "",
      httpsProxy: proxy.https ?? "",
      noProxy: "",
    });
  }

  return {
    to(origin) {
      let dispatcher = byOrigin.get(origin);
      if (!dispatcher) {
        dispatcher = open(origin);
        byOrigin.set(origin, dispatcher);
      }
      return dispatcher;
    },
    keepOnly(origins) {
      for (const [origin, dispatcher] of byOrigin) {
        if (origins.has(origin)) continue;
        byOrigin.delete(origin);
        // Lets running calls end. A failure to close is nothing that anybody could mend.
        dispatcher.close().catch(() => {});
      }
    },
    async close() {
      await Promise.all(Array.from(byOrigin.values(), (dispatcher) => dispatcher.destroy()));
    },
  };
}

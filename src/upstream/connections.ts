// Connections to the upstreams' hosts, kept alive and shared by all keys of a host; through a proxy where the
// environment names one.

import { type Dispatcher, EnvHttpProxyAgent, Pool } from "undici";
import { connectTimeoutMs } from "./timeouts.ts";

/** As curl and others read it from the environment: URLs, and hosts that are reached directly. */
export interface ProxySettings {
  readonly http: string | null;
  readonly https: string | null;
  /** Hosts with a comma or space between them, or "*". */
  readonly none: string;
}

export interface Connections {
  to(origin: string): Dispatcher;
  /** Others are closed, once what runs over them has ended. */
  keepOnly(origins: ReadonlySet<string>): void;
  /** Closes every connection now. */
  close(): Promise<void>;
}

const bounds = {
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
} as const;

export function createConnections(proxy: ProxySettings | null): Connections {
  const byOrigin = new Map<string, Dispatcher>();

  function open(origin: string): Dispatcher {
    const isProxied = proxy !== null && (origin.startsWith("https:") ? proxy.https : proxy.http) !== null;
    if (!isProxied) return new Pool(origin, bounds);
    // An empty string keeps it from reading the environment by itself.
    return new EnvHttpProxyAgent({
      ...bounds,
      httpProxy: proxy.http ?? "",
      httpsProxy: proxy.https ?? "",
      noProxy: proxy.none,
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

// A gateway that somebody else has started, in front of the lab's upstream (see --upstream-port).

import type { Peer } from "./peer.ts";

export interface Given {
  readonly name: string;
  /** Where its chat completions are, without that: http://127.0.0.1:4000/v1. */
  readonly url: string;
  readonly pid: number | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Throws when the URL is none that the driver can reach. */
export function toGivenPeer({ name, url, pid, headers }: Given): Peer {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol !== "http:" || !["127.0.0.1", "localhost"].includes(hostname)) {
    throw new Error(`the peer ${name} has to be at http://127.0.0.1: the lab measures over loopback alone`);
  }
  const path = `${pathname.replace(/\/+$/, "")}/chat/completions`;
  return {
    name,
    about: `${name} at ${url}`,
    start: async () => ({
      target: { port: Number(port || 80), path, headers },
      pid,
      readyMs: null,
      stop: async () => {},
    }),
  };
}
